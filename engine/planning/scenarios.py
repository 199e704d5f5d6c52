"""Chooses the scenario pack that fits a model, and draws scenarios that use all of its values equally often."""

import hashlib
import heapq
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from engine.definitions.scenario_packs import FALLBACK_PACK, Pack, Packs
from engine.domain.model import Length, Model
from engine.domain.samples import Scenario
from engine.planning.genre import (
    drop_kinds,
    is_one_line,
    is_same_kind,
    is_short,
    read_audiences,
    read_forms,
    shares_field,
)
from engine.planning.subjects import (
    find_used_words,
    list_shared_words,
    list_used_words,
    name_subjects,
    read_domains,
)
from engine.quality.diversity import Coverage
from engine.text.function_words import list_content_words
from engine.text.words import count_words

# A pack is taken for the field of a model if at least so many of its words are among the model's own. Where the model
# names its kind of text, more is asked: two words in common gave product reviews the lists of a help desk.
MIN_WORDS, MIN_WORDS_BESIDE_A_KIND = 2, 3
# A length of those for all models fits one of whose seeds at least a tenth have it, and the longest half its words.
# Together such lengths have to cover most seeds, or lengths are made from the seeds.
MIN_SHARE_OF_SEEDS = 0.1
MAX_OVER_SEEDS = 2
MIN_COVERED = 0.8
# How far the lengths that are made from seeds go beyond the 90th percentile of their words.
ABOVE = 1.25
# Lengths without seeds, for kinds of text that are shorter than the lengths for all.
ONE_LINE = Length("one line", 3, 12)
A_FEW_WORDS = Length("a few words", 4, 12)
MAX_SHORT_WORDS = 40


@dataclass(frozen=True, slots=True)
class Proposal:
    """What a chat model proposes for a model's scenarios; what it leaves out is chosen as without it."""

    subjects: tuple[str, ...] = ()
    audiences: tuple[str, ...] = ()
    forms: tuple[str, ...] = ()


NO_PROPOSAL = Proposal()
PROPOSABLE = ("subjects", "audiences", "forms")
# How the reasons say that a pack was taken, and that it suits the texts.
FROM_A_PACK, MADE_FOR = "from the pack", "which is made for what the model judges"
# What to do where one was chosen that may not.
GIVE_SUBJECTS = (
    "Where your texts are about other things, give eight or more `subjects` under `scenarios` in model.yaml: they "
    "decide what the texts are about."
)


@dataclass(frozen=True, slots=True)
class TopicSubjects:
    """The subjects inside a topic and outside of it, in tiers like those of ``ScenarioPool``."""

    inside: tuple[tuple[str, ...], ...]
    outside: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class ScenarioPool:
    """The values from which one model's scenarios are drawn.

    ``subjects`` are in tiers: all of one tier are used before the next. ``topic_subjects`` are the subjects of topic
    traits, by trait key, for topics whose poles differ in subject. ``reasons`` say where the subjects, audiences, forms
    and lengths come from, by these names.
    """

    pack: str
    subjects: tuple[tuple[str, ...], ...]
    audiences: tuple[str, ...]
    forms: tuple[str, ...]
    lengths: tuple[Length, ...]
    topic_subjects: Mapping[str, TopicSubjects] = field(default_factory=dict)
    reasons: Mapping[str, str] = field(default_factory=dict)

    def length(self, name: str) -> Length:
        """Returns the length with that name."""
        return {length.name: length for length in self.lengths}[name]


def choose_scenario_pool(model: Model, packs: Packs, proposed: Proposal = NO_PROPOSAL) -> ScenarioPool:
    """Makes the scenario pool of a model.

    Subjects, audiences, forms and lengths come each from the first that has them: the author's ``scenarios``, the synth
    model's proposal, a pack that is made for this kind of text, the model's own words, a pack of its field. The tiers
    of the subjects are: the proposed ones, those of the pack, those that brief and seeds name; where no pack is of the
    field, those that the brief names come first.
    """
    name = rank_packs(model, packs)[0]
    pack, said = packs.packs[name], model.scenarios
    forms, audiences = read_forms(model), read_audiences(model)
    made_for = _is_made_for(pack, forms)
    named = (name, pack, _explain_pack(model, name, pack, forms))
    subjects, why_subjects = _choose_subjects(model, named, proposed)
    audiences, why_audiences = _choose_values("audiences", model, named, proposed, () if made_for else audiences)
    chosen_forms, why_forms = _choose_values("forms", model, named, proposed, () if made_for else forms)
    lengths, why_lengths = _choose_lengths(model, packs.lengths, said.forms or forms)
    return ScenarioPool(
        pack=name,
        subjects=_keep_first(subjects),
        audiences=audiences,
        forms=chosen_forms,
        lengths=lengths,
        reasons={
            "subjects": why_subjects,
            "audiences": why_audiences,
            "forms": why_forms,
            "lengths": why_lengths,
        },
    )


def borrows_subjects(model: Model, scenario_pool: ScenarioPool) -> bool:
    """Whether the subjects are those of a pack that nobody has named, and that is not made for this kind of text."""
    why = scenario_pool.reasons["subjects"]
    return not model.scenarios.pack and FROM_A_PACK in why and MADE_FOR not in why


def list_proposable(model: Model) -> tuple[str, ...]:
    """Lists what a chat model is asked to propose: all that the author's ``scenarios`` leave open."""
    said = model.scenarios
    if said.pack:
        return ()
    return tuple(part for part in PROPOSABLE if not getattr(said, part))


def rank_packs(model: Model, packs: Packs) -> list[str]:
    """Ranks the packs: the author's, those made for this kind of text, those of the field, ``everyday``, the others.

    A pack is of the field if its words name the kind of text, or enough of them are among the model's own. One that is
    made for another kind of text comes last, unless it speaks of the same field, as a pack for commit messages does for
    commit titles.
    """
    forms = read_forms(model)
    # Each word once, and once for all packs: seeds may be many.
    own = " ".join(dict.fromkeys(list_content_words(_model_texts(model))))
    used, named = find_used_words([own]), find_used_words(forms)
    scores = {name: len(list_used_words(pack.words, used)) for name, pack in packs.packs.items()}
    enough = MIN_WORDS_BESIDE_A_KIND if forms else MIN_WORDS
    speaks = {name: bool(list_used_words(pack.words, named)) for name, pack in packs.packs.items()}

    def rank(name: str) -> tuple[int, bool, int, str]:
        pack = packs.packs[name]
        if name == model.scenarios.pack:
            group = 0
        elif _is_made_for(pack, forms) and scores[name] >= MIN_WORDS:
            group = 1
        elif _is_foreign(pack, forms):
            group = 5
        elif speaks[name] or scores[name] >= enough:
            group = 2
        else:
            group = 3 if name == FALLBACK_PACK else 4
        return group, not speaks[name], -scores[name], name

    return sorted(scores, key=rank)


def draw_scenarios(scenario_pool: ScenarioPool, key: str, used_subjects: Iterable[str]) -> Iterator[Scenario]:
    """Yields scenarios without end, from its arguments alone; each value is drawn as often as any other, ±1.

    ``key`` seeds the order. Subjects that attached samples have used come after unused ones; ``used_subjects`` lists or
    counts them.
    """
    subjects = _draw_tiers(scenario_pool.subjects, f"{key}/subject", used_subjects)
    audiences = _draw_tiers((scenario_pool.audiences,), f"{key}/audience", ())
    forms = _draw_tiers((scenario_pool.forms,), f"{key}/form", ())
    lengths = _draw_tiers((tuple(length.name for length in scenario_pool.lengths),), f"{key}/length", ())
    for subject, audience, form, length in zip(subjects, audiences, forms, lengths, strict=False):
        yield Scenario(subject, audience, form, length)


def _is_made_for(pack: Pack, forms: Sequence[str]) -> bool:
    return any(is_same_kind(form, kind) for form in forms for kind in pack.kinds)


def _is_foreign(pack: Pack, forms: Sequence[str]) -> bool:
    """Whether a pack is made for other kinds of text than a model's, and for those of another field."""
    near = any(is_same_kind(form, kind) or shares_field(form, kind) for form in forms for kind in pack.kinds)
    return bool(forms and pack.kinds) and not near


def _explain_pack(model: Model, name: str, pack: Pack, forms: Sequence[str]) -> str:
    if name == model.scenarios.pack:
        return f"{FROM_A_PACK} {name!r}, which model.yaml names"
    made_for = [form for form in forms if any(is_same_kind(form, kind) for kind in pack.kinds)]
    if made_for:
        return f"{FROM_A_PACK} {name!r}, {MADE_FOR}: {made_for[0]}"
    shared = list_shared_words(pack.words, _model_texts(model))
    if shared:
        return f"{FROM_A_PACK} {name!r}, which has words of the model's own: {', '.join(shared[:4])}"
    return f"{FROM_A_PACK} {name!r}, because the model's own words point to no other"


def _choose_subjects(
    model: Model, named: tuple[str, Pack, str], proposed: Proposal
) -> tuple[list[tuple[str, ...]], str]:
    name, pack, why = named
    said = model.scenarios
    if said.subjects:
        return [said.subjects], "given in model.yaml"
    domains = tuple(drop_kinds(read_domains(model.brief)))
    own = (*domains, *name_subjects([seed.text for seed in model.draw_seeds()]))
    if proposed.subjects:
        return [proposed.subjects, pack.subjects, own], "proposed by the synth model"
    if name == FALLBACK_PACK and domains and not said.pack:
        return [(), domains, pack.subjects, own], f"those that the brief names, then {why}"
    return [(), pack.subjects, own], why


def _choose_values(
    part: Literal["audiences", "forms"],
    model: Model,
    named: tuple[str, Pack, str],
    proposed: Proposal,
    read: tuple[str, ...],
) -> tuple[tuple[str, ...], str]:
    _, pack, why = named
    if given := getattr(model.scenarios, part):
        return given, "given in model.yaml"
    if model.scenarios.pack:
        return getattr(pack, part), why
    if own := getattr(proposed, part):
        return own, "proposed by the synth model"
    if read:
        return read, "read from the model's own words"
    return getattr(pack, part), why


def _choose_lengths(model: Model, shared: Sequence[Length], forms: Sequence[str]) -> tuple[tuple[Length, ...], str]:
    """Returns the author's lengths, else those that fit the seeds, else the kind of text, else the shared ones."""
    if model.scenarios.lengths:
        return model.scenarios.lengths, "given in model.yaml"
    counts = sorted(count_words(seed.text) for seed in model.draw_seeds())
    if counts:
        fitting = [
            length
            for length in shared
            if length.max_words <= MAX_OVER_SEEDS * counts[-1] and _share_within(counts, [length]) >= MIN_SHARE_OF_SEEDS
        ]
        why = f"those of the seeds, which have {counts[0]} to {counts[-1]} words"
        return (tuple(fitting) if _share_within(counts, fitting) >= MIN_COVERED else _make_lengths(counts)), why
    if forms and all(map(is_one_line, forms)):
        return (ONE_LINE,), f"of one line, as {forms[0]} has it"
    if forms and all(map(is_short, forms)):
        short = (length for length in shared if length.max_words <= MAX_SHORT_WORDS)
        return (A_FEW_WORDS, *short), f"short, as {forms[0]} is"
    return tuple(shared), "those for all models, because there are no seeds"


def _share_within(counts: Sequence[int], lengths: Sequence[Length]) -> float:
    inside = [any(length.min_words <= count <= length.max_words for length in lengths) for count in counts]
    return sum(inside) / len(counts)


def _make_lengths(counts: Sequence[int]) -> tuple[Length, ...]:
    """Makes lengths from the seeds' numbers of words, sorted: two if the longest are more than twice the shortest."""
    tenth = len(counts) // 10
    low, high = counts[tenth], math.ceil(ABOVE * counts[-1 - tenth])
    if high <= 2 * low:
        return (_name_length(low, high),)
    middle = round(math.sqrt(low * high))
    return _name_length(low, middle), _name_length(middle, high)


def _name_length(low: int, high: int) -> Length:
    return Length(f"{low} to {high} words", low, high)


def _draw_tiers(tiers: Sequence[Sequence[str]], key: str, used: Iterable[str]) -> Iterator[str]:
    """Yields the least used value next; equals come by tier, then in an order that changes with every use."""
    tier_of = {value: tier for tier, values in reversed(list(enumerate(tiers))) for value in values}
    # A counter stays as it is.
    counted = Counter(used)
    uses = {value: counted[value] for value in tier_of}
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
    return [*said, *traits, *(seed.text for seed in model.draw_seeds())]


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
