"""Chooses the scenario pack that fits a model, and draws scenarios that use all of its values equally often."""

import hashlib
import heapq
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from engine.definitions.scenario_packs import FALLBACK_PACK, Packs
from engine.domain.model import Length, Model
from engine.domain.samples import Scenario
from engine.planning.subjects import count_shared_words, name_subjects, read_domains
from engine.quality.diversity import Coverage


@dataclass(frozen=True, slots=True)
class TopicSubjects:
    """The subjects inside a topic and outside of it, in tiers like those of ``ScenarioPool``."""

    inside: tuple[tuple[str, ...], ...]
    outside: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class ScenarioPool:
    """The values from which one model's scenarios are drawn.

    ``subjects`` are in tiers: all of one tier are used before the next. ``topic_subjects`` are the subjects of topic
    traits, by trait key, for topics whose poles differ in subject.
    """

    pack: str
    subjects: tuple[tuple[str, ...], ...]
    audiences: tuple[str, ...]
    forms: tuple[str, ...]
    lengths: tuple[Length, ...]
    topic_subjects: Mapping[str, TopicSubjects] = field(default_factory=dict)

    def length(self, name: str) -> Length:
        """Returns the length with that name."""
        return {length.name: length for length in self.lengths}[name]


def choose_scenario_pool(model: Model, packs: Packs, proposed: Sequence[str] = ()) -> ScenarioPool:
    """Makes the scenario pool of a model from the pack whose words the model's own text uses most, else ``everyday``.

    The tiers of its subjects are: those that the synth model has proposed, those of the pack, those that the brief and
    the seeds name.
    """
    name = rank_packs(model, packs)[0]
    pack = packs.packs[name]
    own = [*read_domains(model.brief), *name_subjects([seed.text for seed in model.seeds])]
    return ScenarioPool(
        pack=name,
        subjects=_keep_first((tuple(proposed), pack.subjects, tuple(own))),
        audiences=pack.audiences,
        forms=pack.forms,
        lengths=packs.lengths,
    )


def rank_packs(model: Model, packs: Packs) -> list[str]:
    """Ranks the packs by how many of their words the model's own text uses; ``everyday`` is first if none has two."""
    texts = _model_texts(model)
    scores = {name: count_shared_words(pack.words, texts) for name, pack in packs.packs.items()}
    ranked = sorted(scores, key=lambda name: (-scores[name], name))
    if scores[ranked[0]] < 2:
        ranked.sort(key=lambda name: name != FALLBACK_PACK)
    return ranked


def draw_scenarios(scenario_pool: ScenarioPool, key: str, used_subjects: Sequence[str]) -> Iterator[Scenario]:
    """Yields scenarios without end, from its arguments alone; each value is drawn as often as any other, ±1.

    ``key`` seeds the order. Subjects that attached samples have used come after unused ones.
    """
    subjects = _draw_tiers(scenario_pool.subjects, f"{key}/subject", used_subjects)
    audiences = _draw_tiers((scenario_pool.audiences,), f"{key}/audience", ())
    forms = _draw_tiers((scenario_pool.forms,), f"{key}/form", ())
    lengths = _draw_tiers((tuple(length.name for length in scenario_pool.lengths),), f"{key}/length", ())
    for subject, audience, form, length in zip(subjects, audiences, forms, lengths, strict=False):
        yield Scenario(subject, audience, form, length)


def _draw_tiers(tiers: Sequence[Sequence[str]], key: str, used: Sequence[str]) -> Iterator[str]:
    """Yields the least used value next; equals come by tier, then in an order that changes with every use."""
    tier_of = {value: tier for tier, values in reversed(list(enumerate(tiers))) for value in values}
    uses = {value: used.count(value) for value in tier_of}
    heap = [(uses[value], tier, _rank(key, value, uses[value]), value) for value, tier in tier_of.items()]
    heapq.heapify(heap)
    while heap:
        count, tier, _, value = heap[0]
        yield value
        heapq.heapreplace(heap, (count + 1, tier, _rank(key, value, count + 1), value))


def _rank(key: str, value: str, count: int) -> bytes:
    return hashlib.sha256(f"{key}\0{value}\0{count}".encode()).digest()


def _keep_first(tiers: Sequence[Sequence[str]]) -> tuple[tuple[str, ...], ...]:
    """Removes from each tier the values that an earlier tier has, ignoring case."""
    seen: set[str] = set()
    kept = []
    for tier in tiers:
        fresh = [value for value in dict.fromkeys(tier) if value.casefold() not in seen]
        seen.update(value.casefold() for value in fresh)
        kept.append(tuple(fresh))
    return tuple(kept)


def _model_texts(model: Model) -> list[str]:
    brief = model.brief
    said = [model.handle.replace("-", " "), model.description, *brief.intent, *brief.domain, *brief.failure_modes]
    traits = [f"{trait.name} {trait.description}" for trait in model.traits]
    return [*said, *traits, *(seed.text for seed in model.seeds)]


def measure_coverage(scenarios: Sequence[Scenario], scenario_pool: ScenarioPool) -> Mapping[str, Coverage]:
    """Counts the different subjects, audiences, forms and lengths that are used, by scenario field.

    ``possible`` is the number of scenarios, or of the pool's values if that is smaller.
    """
    offered = {
        "subject": {subject for tier in scenario_pool.subjects for subject in tier},
        "audience": set(scenario_pool.audiences),
        "form": set(scenario_pool.forms),
        "length": {length.name for length in scenario_pool.lengths},
    }
    return {
        part: Coverage(len({getattr(scenario, part) for scenario in scenarios}), min(len(scenarios), len(values)))
        for part, values in offered.items()
    }
