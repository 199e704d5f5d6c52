"""Plan the cells of each round as a pure function: one call for exemplars per cell, one scenario per pair of cells."""

import hashlib
import itertools
import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import TypeVar

from pydantic_core import to_jsonable_python

from engine.asking.fields import Field
from engine.asking.scenarios import ScenarioPool, draw_scenarios
from engine.asking.seed_variations import (
    AS_SEED,
    SeedKey,
    SeedRotation,
    bound_variation_length,
    count_seed_uses,
    make_seed_key,
)
from engine.axis.reference_axis import ReferenceAxis
from engine.definitions.effort import Level
from engine.domain.definition import Length, Pole, Trait
from engine.domain.model import POLES, Model, Seed, SynthType, digest_text
from engine.domain.samples import Scenario
from engine.store.index.samples import as_stored
from engine.text.language import ENGLISH, Language, decide_language

# With a weak model's 15 % of cut replies, this many useless ones in a row occur once in four million rounds by chance.
MIN_HOPELESS = 8

Value = TypeVar("Value")
Shortfall = Mapping[tuple[str, Pole], int]


@dataclass(frozen=True, slots=True)
class CellHints:
    """Hints from earlier rounds for the prompts of one trait and pole in a later round.

    Args:
        shots: subject and text of the best exemplars so far, for a pole without authored texts.
        contrast: the text of the other pole's best exemplar so far, if that pole has no authored texts.
        openings: used first words, to be avoided.
        banned: words that reveal the pole, to be avoided.
        words: the smallest and largest number of words, if the poles differ in length.
    """

    shots: tuple[tuple[str, str], ...] = ()
    contrast: str = ""
    openings: tuple[str, ...] = ()
    banned: tuple[str, ...] = ()
    words: tuple[int, int] | None = None


NO_HINTS = CellHints()


@dataclass(frozen=True, slots=True)
class Cell:
    """One planned call, for exemplars of one trait at one pole in one scenario.

    ``order`` numbers the cells of the whole run. Rules that depend on an order, such as which of two duplicates stays,
    use it, so the order of the replies has no effect. ``index`` numbers the scenarios of a trait. ``seed`` is the
    authored sample that ``diversify`` varies.
    """

    id: str
    order: int
    trait: str
    pole: Pole
    scenario: Scenario
    pair_id: str
    round_no: int
    index: int = 0
    failure_mode: str | None = None
    near_miss: bool = False
    hints: CellHints = NO_HINTS
    seed: Seed | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """The plan of a run. ``plan_id`` is a digest of the inputs in ``make_plan``.

    ``language`` is the language of its texts. ``missing`` are the quotas of a run that only fills up its sets, by trait
    key and pole; None if every quota is the effort's. ``axes`` place the texts of each trait between its poles, by
    trait key; a trait has none if the encoder does not support the language.
    """

    plan_id: str
    model: Model
    synth_type: SynthType
    level: Level
    scenario_pool: ScenarioPool
    seed: int
    language: Language = ENGLISH
    missing: Shortfall | None = None
    axes: Mapping[str, ReferenceAxis] = field(default_factory=dict, compare=False)

    @property
    def max_quota(self) -> int:
        """Return the largest quota. Without ``missing``, each trait and pole has this quota."""
        return max(self.quotas.values())

    @property
    def quotas(self) -> Shortfall:
        """Return the number of exemplars to choose, by trait key and pole."""
        if self.missing is not None:
            return self.missing
        return dict.fromkeys(self.model.poles, self.level.exemplars_per_pole)

    def is_placed(self, trait: str) -> bool:
        """Return whether an axis places the texts of a trait between its poles."""
        axis = self.axes.get(trait)
        return axis is not None and axis.basis != "nothing"

    def length(self, cell: Cell) -> Length:
        """Return the range of words of a cell's texts, from its scenario or around the seed that it varies."""
        return bound_variation_length(cell.seed) if cell.seed else self.scenario_pool.length(cell.scenario.length)


# Fields of a model that hold samples, or that change no text.
_NO_DEFINITION = (
    *("seeds", "conflicting_labels", "texts", "existing", "skipped", "document"),
    *("own_suites", "effort", "additional_terms", "upstream_sources"),
)


def make_plan(
    model: Model,
    synth_type: SynthType,
    level: Level,
    scenario_pool: ScenarioPool,
    seed: int,
    prompts_version: str,
    missing: Shortfall | None = None,
) -> Plan:
    """Return the plan for these inputs.

    Limits (rounds, cost) and the name of the synth model are not part of the plan id. So a run that stopped at a limit
    resumes under the same ``plan_id`` when the limit is raised.
    """
    language = decide_language(model)
    inputs = {
        **_describe_definition(model),
        "language": language.tag,
        "attached": list(model.existing.attached_digests),
        "held_out": list(model.existing.held_out_digests),
        "proposed": [digest for _, digest in model.existing.proposed_digests],
        "refused": [digest_text(text) for text in model.existing.refused],
        "reviewed": _describe_seeds(model.existing.reviewed),
        "synth_type": synth_type,
        "effort": level.effort,
        "exemplars_per_pole": level.exemplars_per_pole,
        "over_generation": level.texts_a_kept,
        "exemplars_per_call": level.exemplars_per_call,
        "temperature": level.temperature,
        "scenarios": [
            [[field.name, field.tiers] for field in scenario_pool.fields],
            scenario_pool.audiences,
            scenario_pool.forms,
            [asdict(length) for length in scenario_pool.lengths],
        ],
        "topic_subjects": {
            key: [
                [[field.name, field.tiers] for field in side]
                for side in (topic_subjects.inside, topic_subjects.outside)
            ]
            for key, topic_subjects in scenario_pool.topic_subjects.items()
        },
        "seed": seed,
        "prompts": prompts_version,
        **({} if missing is None else {"lacking": nest_poles(missing)}),
    }
    return Plan(_digest(inputs), model, synth_type, level, scenario_pool, seed, language, missing)


def nest_poles(values: Mapping[tuple[str, Pole], Value]) -> dict[str, dict[str, Value]]:
    """Return values by trait key and pole in the form of JSON: by trait, then by pole."""
    nested: dict[str, dict[str, Value]] = {}
    for (trait, pole), value in values.items():
        nested.setdefault(trait, {})[pole] = value
    return nested


def digest_definition_and_samples(model: Model) -> str:
    """Return a digest of a model's handle, description, traits, brief, authored samples and texts, and its language, if
    it names one.
    """
    language = {"language": model.language} if model.language else {}
    return _digest({**_describe_definition(model), **language})


def digest_definition(model: Model) -> str:
    """Return a digest of a model's definition without authored samples: of every field but ``_NO_DEFINITION``."""
    parts = {
        item.name: getattr(model, item.name) for item in fields(Model) if item.init and item.name not in _NO_DEFINITION
    }
    return _digest(to_jsonable_python({**parts, "texts": [file.sha256 for file in model.texts.files]}))


def plan_round(
    plan: Plan,
    round_no: int,
    shortfall: Shortfall,
    earlier: Sequence[Cell] = (),
    *,
    kept: Mapping[SeedKey, int] | None = None,
    near_misses: bool = True,
    hints: Mapping[tuple[str, Pole], CellHints] | None = None,
) -> tuple[Cell, ...]:
    """Plan the cells of one round: for each trait with a shortfall, new scenarios for the poles that are short.

    Args:
        round_no: from 1. A later round requests more texts, because exemplars that are still missing are hard to get.
        shortfall: the number of missing exemplars, by trait key and pole.
        earlier: all cells of earlier rounds.
        kept: the number of chosen or attached variations of each seed; None counts the attached variations.
        near_misses: whether the model is good enough to write about a topic's subject and yet not about the topic.
        hints: hints from earlier rounds for the prompts, by trait key and pole.
    """
    hints = hints or {}
    cells: list[Cell] = []
    turns = None
    if plan.synth_type == "diversify":
        planned = Counter(make_seed_key(cell.seed, cell.pole) for cell in earlier if cell.seed)
        cells_a_kept = plan.level.texts_a_kept * round_no / plan.level.exemplars_per_call
        turns = SeedRotation(plan.model, count_seed_uses(plan.model) if kept is None else kept, planned, cells_a_kept)
    drawn = Counter(trait for trait, _ in {(cell.trait, cell.index) for cell in earlier})
    for trait in plan.model.traits:
        poles = [pole for pole in POLES if shortfall.get((trait.key, pole), 0) > 0]
        if not poles:
            continue
        start = drawn[trait.key]
        count = count_scenarios(plan.level, round_no, max(shortfall[trait.key, pole] for pole in poles))
        sides = plan.scenario_pool.topic_subjects.get(trait.key)
        # A near miss keeps the subject of its pair, inside the topic. A model that completes plain text gets no near
        # misses: it is so weak that it writes about the topic whenever the subject lies inside it.
        outside = _draw(plan, trait, "/outside", sides.outside, start, count) if sides else []
        fields = sides.inside if sides else plan.scenario_pool.fields
        for index, scenario in enumerate(_draw(plan, trait, "", fields, start, count), start=start):
            seeds = turns.take(trait, poles, scenario.subject) if turns else {}
            for pole in poles:
                order = len(earlier) + len(cells)
                cell = _make_cell(plan, trait, pole, scenario, index, round_no, order)
                cell = replace(cell, hints=hints.get((trait.key, pole), NO_HINTS))
                if pole == "negative" and outside and not (cell.near_miss and near_misses):
                    subject = outside[index - start].subject
                    cell = replace(cell, scenario=replace(scenario, subject=subject), near_miss=False)
                if pole in seeds:
                    # The seed determines everything except the subject, including the failure mode.
                    as_seed = Scenario(cell.scenario.subject, AS_SEED, AS_SEED, AS_SEED)
                    cell = replace(cell, scenario=as_seed, seed=seeds[pole], failure_mode=None, near_miss=False)
                cells.append(cell)
    return tuple(cells)


def count_scenarios(level: Level, round_no: int, missing: int) -> int:
    """Return how many scenarios a round draws for a trait with ``missing`` exemplars to add at one pole."""
    return math.ceil(missing * level.texts_a_kept * round_no / level.exemplars_per_call)


def _describe_definition(model: Model) -> dict[str, object]:
    return {
        "own_scenarios": asdict(model.scenarios),
        "handle": model.handle,
        "description": model.description,
        "traits": [asdict(trait) for trait in model.traits],
        "brief": asdict(model.brief),
        "seeds": _describe_seeds(model.seeds),
        "contested": [[item.trait, item.sha256] for item in model.conflicting_labels],
        **({"texts": [file.sha256 for file in model.texts.files]} if model.texts.files else {}),
    }


def _describe_seeds(seeds: Sequence[Seed]) -> list[object]:
    return [[item.trait, item.quality, item.sha256] for item in seeds]


def _digest(inputs: Mapping[str, object]) -> str:
    return hashlib.sha256(json.dumps(inputs, sort_keys=True, ensure_ascii=False).encode()).hexdigest()[:32]


def _draw(plan: Plan, trait: Trait, side: str, fields: tuple[Field, ...], start: int, count: int) -> list[Scenario]:
    used = as_stored(plan.model.existing.attached).count_subjects(trait.key)
    drawn = draw_scenarios(replace(plan.scenario_pool, fields=fields), f"{plan.seed}/{trait.key}{side}", used)
    return list(itertools.islice(drawn, start, start + count))


def _make_cell(plan: Plan, trait: Trait, pole: Pole, scenario: Scenario, index: int, round_no: int, order: int) -> Cell:
    modes = plan.model.brief.failure_modes
    negative = pole == "negative"
    # Every other cell is a near miss, and so is every other cell of each failure mode.
    cycle, position = divmod(index, max(1, len(modes)))
    return Cell(
        id=f"{trait.key}/{index:05d}/{pole}",
        order=order,
        trait=trait.key,
        pole=pole,
        scenario=scenario,
        pair_id=f"{trait.key}/{index:05d}",
        round_no=round_no,
        index=index,
        failure_mode=modes[index % len(modes)] if negative and modes else None,
        near_miss=negative and trait.type == "topic" and (cycle + position) % 2 == 0,
    )
