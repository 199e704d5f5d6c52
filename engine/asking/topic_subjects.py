"""Split a scenario pool's subjects into those inside and outside a topic, so that its poles differ in subject.

For every other type of trait, both texts of a pair have the same subject. For a topic this fails: a small model that
should write a text outside the topic, on a subject inside it, writes about the topic anyway.
"""

from collections.abc import Collection, Sequence
from dataclasses import replace

import numpy as np

from engine.asking.fields import Field, PackIndex, drop_taken, index_packs, keep_once
from engine.asking.scenarios import ScenarioPool, TopicSubjects
from engine.axis.pole_scores import list_pole_names
from engine.axis.separation import Numbers
from engine.definitions.scenario_packs import Packs
from engine.domain.definition import Trait
from engine.domain.model import Model

# Number of packs next nearest to the topic with candidates, beside its own pack and the model's subjects.
MORE_PACKS = 4
# A side with fewer subjects than this receives the nearest subjects of its opposite.
MIN_SUBJECTS = 8
# Subjects are split if at least this share of the topic's own pack lies inside the topic, like nearly all subjects of a
# pack about health. Otherwise the topic may come up with any subject of the pack, like a weakness with any part of a
# web shop, and pairs share their subject as for other traits.
MIN_OWN_SHARE = 0.75


def split_by_topic(
    model: Model, scenario_pool: ScenarioPool, packs: Packs, taken: Collection[str] = ()
) -> ScenarioPool:
    """Return the scenario pool with ``topic_subjects`` for each topic trait with poles that must differ in subject.

    Args:
        taken: subjects that must not be used, in the form of ``normalise``.
    """
    topics = [trait for trait in model.traits if trait.type == "topic"]
    split = {trait.key: _split(model, trait, scenario_pool, packs, taken) for trait in topics}
    return replace(scenario_pool, topic_subjects={key: subjects for key, subjects in split.items() if subjects})


def find_threshold(values: Numbers) -> float:
    """Return the threshold that splits values into two groups with the greatest variance between them (Otsu 1979)."""
    ranked = np.sort(values)
    best, best_variance = float(ranked[0]), -1.0
    for cut in range(1, len(ranked)):
        low, high = ranked[:cut], ranked[cut:]
        variance = len(low) * len(high) * float(high.mean() - low.mean()) ** 2
        if variance > best_variance:
            best, best_variance = float(ranked[cut - 1] + ranked[cut]) / 2, variance
    return best


def _split(
    model: Model, trait: Trait, scenario_pool: ScenarioPool, packs: Packs, taken: Collection[str]
) -> TopicSubjects | None:
    """Split the subjects for a topic; None if its pairs share their subjects, as for other types of traits."""
    given = model.scenarios.subjects
    near, more = _list_pack_fields(model, trait, packs, taken)
    core = drop_taken(given, taken) or near.subjects
    fields = keep_once([*scenario_pool.fields, near, *more])
    subjects = [subject for field in fields for subject in field.subjects]
    scores = _score_subjects(index_packs(packs), model, trait, subjects)
    threshold = find_threshold(scores)
    ranked = [subjects[index] for index in np.argsort(-scores, kind="stable")]
    least = min(MIN_SUBJECTS, len(subjects) // 2)
    inside = {subject for subject, score in zip(subjects, scores, strict=True) if score > threshold}
    inside = (inside | set(ranked[:least])) - set(ranked[len(ranked) - least :])
    first = tuple(subject for subject in core if subject in inside)
    if len(first) < MIN_OWN_SHARE * len(core) or not first:
        return None
    others = () if given else tuple(subject for subject in ranked if subject in inside)
    outside = _keep(scenario_pool.fields, set(subjects) - inside)
    if sum(len(field.subjects) for field in outside) < MIN_SUBJECTS:
        outside = _keep(fields, set(subjects) - inside)
    return TopicSubjects(keep_once([Field(trait.name, (first, others))]), outside) if outside else None


def _keep(fields: Sequence[Field], subjects: Collection[str]) -> tuple[Field, ...]:
    return keep_once(
        [
            replace(field, tiers=tuple(tuple(filter(subjects.__contains__, tier)) for tier in field.tiers))
            for field in fields
        ]
    )


def _score_subjects(index: PackIndex, model: Model, trait: Trait, subjects: Sequence[str]) -> Numbers:
    """Score subjects along the axis from the model's other texts to the topic; a higher score is nearer the topic."""
    vectors = index.embed(subjects)
    negative = [seed.text for seed in model.seeds_at(trait.key, "negative")]
    others = index.embed(negative) if negative else vectors
    axis = index.embed(_describe_topic(model, trait)).mean(axis=0) - others.mean(axis=0)
    return np.asarray(np.round(vectors @ axis, 6), dtype=np.float64)


def _list_pack_fields(model: Model, trait: Trait, packs: Packs, taken: Collection[str]) -> tuple[Field, list[Field]]:
    index = index_packs(packs)
    topic = index.place(_describe_topic(model, trait)).mean(axis=0)
    near = np.argsort(-np.round(index.fields @ topic, 6), kind="stable")[: 1 + MORE_PACKS]
    names = [index.names[number] for number in near]
    nearest, *more = (Field(name, (drop_taken(packs.packs[name].subjects, taken),)) for name in names)
    return nearest, more


def _describe_topic(model: Model, trait: Trait) -> list[str]:
    seeds = [seed.text for seed in model.seeds_at(trait.key, "positive")]
    return [*list_pole_names(trait, "positive"), trait.description or trait.name, *seeds]
