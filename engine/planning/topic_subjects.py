"""Splits a scenario pool's subjects into those inside and outside a topic, so that its poles differ in subject.

For every other type of trait both texts of a pair have the same subject. A topic is its subject: asked for a text that
is not about the topic, with a subject inside it, a small model writes about the topic all the same.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from engine.definitions.scenario_packs import Packs
from engine.domain.model import Model, Pole, Trait
from engine.planning.scenarios import ScenarioPool, TopicSubjects, rank_packs
from engine.quality.pole_scores import list_pole_names
from engine.quality.separation import Numbers
from engine.text.embedding import Embedder

# For subjects outside the topic, so many packs that fit the model next best are taken beside its own pack.
MORE_PACKS = 4
# A side with fewer subjects than this takes the nearest ones of the other side.
MIN_SUBJECTS = 8
# Subjects are split if at least this share of the model's own pack lies inside the topic, as nearly all subjects of a
# pack about health do. Otherwise the topic may come up with any subject of the pack, as a weakness may with any part of
# a web shop, and pairs go on sharing their subject.
MIN_OWN_SHARE = 0.75


def split_by_topic(model: Model, scenario_pool: ScenarioPool, packs: Packs, embedder: Embedder) -> ScenarioPool:
    """Returns the scenario pool with ``topic_subjects`` for each topic trait whose poles are to differ in subject."""
    topics = list_topics(model)
    if not topics:
        return scenario_pool
    tiers = _list_tiers(model, scenario_pool, packs)
    split = {trait.key: _split(model, trait, tiers, embedder) for trait in topics}
    given = model.scenarios.subjects
    if given:
        split = {key: _keep_inside(found, given) for key, found in split.items()}
    own = given or packs.packs[scenario_pool.pack].subjects
    return replace(
        scenario_pool,
        topic_subjects={key: found for key, found in split.items() if _share_inside(found, own) >= MIN_OWN_SHARE},
    )


def list_topics(model: Model) -> list[Trait]:
    """Lists the traits that are topics; without any, nothing is split."""
    return [trait for trait in model.traits if trait.type == "topic"]


def list_topic_texts(model: Model, scenario_pool: ScenarioPool, packs: Packs) -> list[list[str]]:
    """Lists the texts that ``split_by_topic`` embeds, in its batches and order; none if no trait is a topic."""
    topics = list_topics(model)
    subjects = _flatten(_list_tiers(model, scenario_pool, packs)) if topics else []
    return [
        texts
        for trait in topics
        for texts in (_describe_topic(model, trait), subjects, _list_seeds(model, trait, "negative"))
    ]


def find_threshold(values: Numbers) -> float:
    """Finds the threshold that splits values into two groups with the greatest variance between them (Otsu 1979)."""
    ranked = np.sort(values)
    best, best_variance = float(ranked[0]), -1.0
    for cut in range(1, len(ranked)):
        low, high = ranked[:cut], ranked[cut:]
        variance = len(low) * len(high) * float(high.mean() - low.mean()) ** 2
        if variance > best_variance:
            best, best_variance = float(ranked[cut - 1] + ranked[cut]) / 2, variance
    return best


def _split(model: Model, trait: Trait, tiers: Sequence[Sequence[str]], embedder: Embedder) -> TopicSubjects:
    subjects = _flatten(tiers)
    scores = _score_subjects(model, trait, subjects, embedder)
    threshold = find_threshold(scores)
    ranked = [subjects[index] for index in np.argsort(-scores, kind="stable")]
    inside = {subject for subject, score in zip(subjects, scores, strict=True) if score > threshold}
    outside = set(subjects) - inside
    least = min(MIN_SUBJECTS, len(subjects) // 2)
    inside |= set(ranked[:least])
    outside = (outside | set(ranked[-least:])) - set(ranked[:least])
    return TopicSubjects(
        *(tuple(tuple(item for item in tier if item in side) for tier in tiers) for side in (inside, outside))
    )


def _keep_inside(topic_subjects: TopicSubjects, given: Sequence[str]) -> TopicSubjects:
    """Keeps only the author's subjects inside a topic; outside of it the packs may add theirs."""
    return replace(
        topic_subjects, inside=tuple(tuple(item for item in tier if item in given) for tier in topic_subjects.inside)
    )


def _share_inside(topic_subjects: TopicSubjects, subjects: Sequence[str]) -> float:
    inside = {subject for tier in topic_subjects.inside for subject in tier}
    return sum(subject in inside for subject in subjects) / len(subjects)


def _score_subjects(model: Model, trait: Trait, subjects: Sequence[str], embedder: Embedder) -> Numbers:
    """Scores subjects along an axis from what the model's other texts are about to the topic; higher is inside."""
    topic = embedder.embed(_describe_topic(model, trait))
    vectors = embedder.embed(subjects)
    negative = _list_seeds(model, trait, "negative")
    others = embedder.embed(negative) if negative else vectors
    axis = topic.mean(axis=0) - others.mean(axis=0)
    return np.asarray(np.round(vectors @ axis, 6), dtype=np.float64)


def _list_tiers(model: Model, scenario_pool: ScenarioPool, packs: Packs) -> tuple[tuple[str, ...], ...]:
    """Lists the subjects of the scenario pool in their tiers, and those of the packs that fit the model next best."""
    near = [name for name in rank_packs(model, packs) if name != scenario_pool.pack][:MORE_PACKS]
    return (*scenario_pool.subjects, tuple(subject for name in near for subject in packs.packs[name].subjects))


def _flatten(tiers: Sequence[Sequence[str]]) -> list[str]:
    return list(dict.fromkeys(subject for tier in tiers for subject in tier))


def _describe_topic(model: Model, trait: Trait) -> list[str]:
    names = list_pole_names(trait, "positive")
    return [*names, trait.description or trait.name, *_list_seeds(model, trait, "positive")]


def _list_seeds(model: Model, trait: Trait, pole: Pole) -> list[str]:
    return [seed.text for seed in model.draw_seeds_at(trait.key, pole)]
