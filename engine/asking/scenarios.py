"""Choose the values of a model's scenarios, and draw scenarios that use all values equally often."""

import hashlib
import heapq
import math
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from engine.asking.fields import REST, SEEDS, Field, drop_taken, index_packs, list_own_fields, spread_subjects
from engine.asking.text_subjects import LEAST_SUBJECTS, find_text_subjects
from engine.definitions.scenario_packs import FALLBACK_PACK, Packs
from engine.domain.definition import Length
from engine.domain.model import Model
from engine.domain.samples import Scenario
from engine.domain.unlabelled_texts import MAX_PLANNED
from engine.text.formatting import join_words
from engine.text.language import decide_language
from engine.text.words import count_words, split_words

# A shared length fits a model if at least a tenth of its seeds are within it, and the longest seed has at least half
# its maximum words. If the fitting lengths do not cover most seeds, lengths are computed from the seeds.
MIN_SHARE_OF_SEEDS = 0.1
MAX_OVER_SEEDS = 2
MIN_COVERED = 0.8
# Maximum of the computed lengths, as a multiple of the 90th percentile of the seeds' words.
ABOVE = 1.25
# The kind of text is looked for in this many first words of the description, and in the handle.
FIRST_WORDS = 6


@dataclass(frozen=True, slots=True)
class Proposal:
    """A chat model's proposal for a model's scenarios. A missing part is chosen as without a proposal."""

    subjects: tuple[str, ...] = ()
    audiences: tuple[str, ...] = ()
    forms: tuple[str, ...] = ()


NO_PROPOSAL = Proposal()
PROPOSABLE = ("subjects", "audiences", "forms")
GIVEN = "given in model.yaml"
TEXTS = "your texts without labels"


@dataclass(frozen=True, slots=True)
class TopicSubjects:
    """The subjects inside a topic and outside it, in fields as in ``ScenarioPool``."""

    inside: tuple[Field, ...]
    outside: tuple[Field, ...]


@dataclass(frozen=True, slots=True)
class ScenarioPool:
    """The values from which one model's scenarios are drawn.

    ``pack`` is the scenario pack of the audiences and forms. ``fields`` have the subjects, and equal shares of the
    scenarios. ``topic_subjects`` are the subjects of topic traits with poles that differ in subject, by trait key.
    ``reasons`` name the sources of the subjects, audiences, forms and lengths, by these names.
    """

    pack: str
    fields: tuple[Field, ...]
    audiences: tuple[str, ...]
    forms: tuple[str, ...]
    lengths: tuple[Length, ...]
    topic_subjects: Mapping[str, TopicSubjects] = field(default_factory=dict)
    reasons: Mapping[str, str] = field(default_factory=dict)

    @property
    def subjects(self) -> tuple[str, ...]:
        """Return all subjects, field by field."""
        return tuple(subject for item in self.fields for subject in item.subjects)

    @property
    def uncovered(self) -> tuple[str, ...]:
        """Return the fields that the model names and no pack covers."""
        return tuple(item.name for item in self.fields if not item.covered)

    def length(self, name: str) -> Length:
        """Return the length with that name."""
        return {length.name: length for length in self.lengths}[name]


def choose_scenario_pool(
    model: Model, packs: Packs, proposed: Proposal = NO_PROPOSAL, taken: Collection[str] = ()
) -> ScenarioPool:
    """Return the scenario pool of a model.

    Subjects, audiences, forms and lengths each come from the first source that has them: the author's ``scenarios``,
    the pack named there, the author's own texts (no audiences or forms), the synth model's proposal, the packs nearest
    to the model. Subjects, including proposed ones, are shared out over the fields that the model names.

    Args:
        taken: subjects that must not be used, unless none is left, in the form of ``normalise``.
    """
    supports_language = decide_language(model).encoder_supports_language
    name = model.scenarios.pack or (index_packs(packs).choose_pack(model) if supports_language else FALLBACK_PACK)
    fields, why = _choose_subjects(model, packs, proposed, taken, supports_language)
    audiences, why_audiences = _choose_values("audiences", model, packs, name, proposed)
    forms, why_forms = _choose_values("forms", model, packs, name, proposed)
    lengths, why_lengths = _choose_lengths(model, packs)
    reasons = {"subjects": why, "audiences": why_audiences, "forms": why_forms, "lengths": why_lengths}
    return ScenarioPool(name, fields, audiences, forms, lengths, reasons=reasons)


def advise_on_fields(scenario_pool: ScenarioPool) -> str | None:
    """Advise on fields that no pack covers, or on a model that names none, with a line of YAML; None without advice."""
    names, others = scenario_pool.uncovered, [item.name for item in scenario_pool.fields]
    if names:
        quoted = join_words([f"“{name}”" for name in names])
        problem = f"No scenario pack has enough subjects for {quoted}, so too few texts may be about that"
        return f'{problem}. Name eight or more subjects in the brief: `domain: ["{names[0]}: this, that, …"]`.'
    if REST in others and not set(others) - {REST, SEEDS}:
        return (
            "The model does not name the field of its texts, so some are about everyday life. Name it in the brief: "
            '`domain: ["Letters from town halls, tax offices, schools"]`.'
        )
    return None


def list_proposable(model: Model) -> tuple[str, ...]:
    """List the parts that a chat model should propose because the author's ``scenarios`` and own texts lack them."""
    given = model.scenarios
    if given.pack:
        return ()
    has_subjects = len(model.texts.drawn) >= LEAST_SUBJECTS and decide_language(model).encoder_supports_language
    return tuple(part for part in PROPOSABLE if not getattr(given, part) and not (part == "subjects" and has_subjects))


def draw_scenarios(scenario_pool: ScenarioPool, key: str, used_subjects: Iterable[str]) -> Iterator[Scenario]:
    """Yield scenarios without end, determined by the arguments alone; each value is drawn as often as any other, ±1.

    If a scenario was drawn before, its form waits until the scenarios with the other forms were drawn too, because two
    cells with one scenario would have one prompt, paid twice. So the counts of forms may differ by a few more. ``key``
    seeds the order. Unused subjects come before ``used_subjects``, the list or counts of those of attached samples.
    """
    subjects = _draw_fields(scenario_pool.fields, f"{key}/subject", used_subjects)
    audiences = _draw_evenly(scenario_pool.audiences, f"{key}/audience")
    forms = _draw_evenly(scenario_pool.forms, f"{key}/form")
    lengths = _draw_evenly(tuple(length.name for length in scenario_pool.lengths), f"{key}/length")
    drawn: Counter[Scenario] = Counter()
    waiting: list[str] = []
    for subject, audience, length in zip(subjects, audiences, lengths, strict=False):
        least = min(drawn[Scenario(subject, audience, form, length)] for form in scenario_pool.forms)
        passed: list[str] = []
        while True:
            form = waiting.pop(0) if waiting else next(forms)
            scenario = Scenario(subject, audience, form, length)
            if drawn[scenario] == least:
                break
            passed.append(form)
        # The passed forms come next, so that each form keeps its count.
        waiting = passed + waiting
        drawn[scenario] += 1
        yield scenario


def _choose_subjects(
    model: Model, packs: Packs, proposed: Proposal, taken: Collection[str], supports_language: bool
) -> tuple[tuple[Field, ...], str]:
    given = model.scenarios
    if left := drop_taken(given.subjects, taken):
        return (Field("scenarios.subjects", (left,)),), GIVEN
    if given.pack and (left := drop_taken(packs.packs[given.pack].subjects, taken)):
        return (Field(given.pack, (left,)),), _name_pack(given.pack)
    if not supports_language:
        return list_own_fields(model, packs, proposed.subjects, taken), "those that the model's own words name"
    if len(subjects := find_text_subjects(model, taken)) >= LEAST_SUBJECTS:
        return (Field(TEXTS, (subjects,)),), f"what {TEXTS} are about"
    fields = spread_subjects(model, packs, proposed.subjects, taken)
    why = f"spread over {join_words([item.name for item in fields])}"
    return fields, f"proposed by the synth model, and {why}" if proposed.subjects else why


def _choose_values(
    part: Literal["audiences", "forms"], model: Model, packs: Packs, name: str, proposed: Proposal
) -> tuple[tuple[str, ...], str]:
    if given := getattr(model.scenarios, part):
        return given, GIVEN
    if model.scenarios.pack:
        return getattr(packs.packs[name], part), _name_pack(name)
    if values := getattr(proposed, part):
        return values, "proposed by the synth model"
    near = f"which is nearest to the model's own words ('scenarios: {name}' takes its subjects too)"
    why = "for any model, because no pack is near this one" if name == FALLBACK_PACK else near
    return getattr(packs.packs[name], part), f"from the pack {name!r}, {why}"


def _name_pack(name: str) -> str:
    return f"from the pack {name!r}, which model.yaml names"


def _choose_lengths(model: Model, packs: Packs) -> tuple[tuple[Length, ...], str]:
    """Return the author's lengths, else lengths that fit seeds or texts, else those for the kind of text, else all."""
    if model.scenarios.lengths:
        return model.scenarios.lengths, GIVEN
    seeds = [seed.text for seed in model.draw_seeds()]
    counts, shared = sorted(map(count_words, seeds or model.texts.drawn[:MAX_PLANNED])), packs.lengths
    if counts:
        fitting = [
            length
            for length in shared
            if length.max_words <= MAX_OVER_SEEDS * counts[-1] and _share_within(counts, [length]) >= MIN_SHARE_OF_SEEDS
        ]
        why = f"those of {'the seeds' if seeds else TEXTS}, which have {counts[0]} to {counts[-1]} words"
        return (tuple(fitting) if _share_within(counts, fitting) >= MIN_COVERED else _make_lengths(counts)), why
    first = {*split_words(model.description)[:FIRST_WORDS], *split_words(model.handle.replace("-", " "))}
    for kind, lengths in packs.lengths_of_kinds.items():
        if first & {kind, f"{kind}s"}:
            return lengths, f"short, as a {kind} is"
    return shared, "those for all models, because there are no seeds"


def _share_within(counts: Sequence[int], lengths: Sequence[Length]) -> float:
    inside = [any(length.min_words <= count <= length.max_words for length in lengths) for count in counts]
    return sum(inside) / len(counts)


def _make_lengths(counts: Sequence[int]) -> tuple[Length, ...]:
    """Return lengths from the seeds' sorted word counts: two if long seeds have over twice the words of short ones."""
    tenth = len(counts) // 10
    low, high = counts[tenth], math.ceil(ABOVE * counts[-1 - tenth])
    if high <= 2 * low:
        return (_name_length(low, high),)
    middle = round(math.sqrt(low * high))
    return _name_length(low, middle), _name_length(middle, high)


def _name_length(low: int, high: int) -> Length:
    return Length(f"{low} to {high} words", low, high)


def _draw_evenly(values: Sequence[str], key: str) -> Iterator[str]:
    return _draw_fields((Field("", (tuple(values),)),), key, ())


def _draw_fields(fields: Sequence[Field], key: str, used: Iterable[str]) -> Iterator[str]:
    """Yield the least used subject next; among equals, one of the field drawn least, and of its first tier.

    Further ties are broken in an order that changes with every use.
    """
    # If ``used`` is a counter, this copies its counts.
    counted = Counter(used)
    heaps, turns = [], []
    for number, item in enumerate(fields):
        placed = ((counted[value], tier, value) for tier, values in enumerate(item.tiers) for value in values)
        heap = [(count, tier, _rank(key, value, count), value) for count, tier, value in placed]
        heapq.heapify(heap)
        heaps.append(heap)
        turns.append((heap[0][0], 0, _rank(key, item.name, 0), number))
    heapq.heapify(turns)
    while turns:
        _, drawn, _, number = turns[0]
        heap = heaps[number]
        count, tier, _, value = heap[0]
        yield value
        heapq.heapreplace(heap, (count + 1, tier, _rank(key, value, count + 1), value))
        heapq.heapreplace(turns, (heap[0][0], drawn + 1, _rank(key, fields[number].name, drawn + 1), number))


def _rank(key: str, value: str, count: int) -> bytes:
    return hashlib.sha256(f"{key}\0{value}\0{count}".encode()).digest()


def count_shares(scenarios: Iterable[Scenario], scenario_pool: ScenarioPool) -> dict[str, int]:
    """Count the scenarios of each field of a pool. A subject of a topic's side counts for the field that has it."""
    field_of = {subject: item.name for item in reversed(scenario_pool.fields) for subject in item.subjects}
    counts = Counter(field_of.get(scenario.subject, "others") for scenario in scenarios)
    return {name: counts[name] for name in [*(item.name for item in scenario_pool.fields), "others"] if counts[name]}
