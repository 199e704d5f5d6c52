"""A plan is a pure function of its inputs, and its cells come in pairs that differ in nothing but the pole."""

import itertools
import math
from collections import Counter
from dataclasses import fields, replace
from typing import Any

import pytest
from fakes.builders import SCENARIO_POOL, make_level, make_model, make_seeds, make_test_plan, make_trait
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.asking.fields import Field
from engine.asking.plan import Cell, Plan, make_plan, nest_poles, plan_round
from engine.asking.scenarios import TopicSubjects
from engine.domain.definition import Brief, Length, OwnScenarios, Pole
from engine.domain.model import POLES, Attached, Existing
from engine.domain.unlabelled_texts import OwnTexts, TextsFile

MODES = ("Verbs turned into nouns.", "Two dates for one thing.", "Blame.", "Advice without an object.", "Hedges.")
BRIEF = Brief(intent=("Find what is clear.",), failure_modes=MODES)
TWO_TRAITS = make_model(make_trait(), make_trait("warmth"), brief=BRIEF)
SEEDS = make_seeds()
SEEDED = replace(TWO_TRAITS, seeds=SEEDS)

SUN, RAIN = ((Field("all", ((word,),)),) for word in ("sun", "rain"))


def plan_first(plan: Plan) -> tuple[Cell, ...]:
    return plan_round(plan, 1, plan.quotas)


def plan_rounds(plan: Plan, *shortfalls: dict[tuple[str, Pole], int]) -> list[tuple[Cell, ...]]:
    rounds: list[tuple[Cell, ...]] = []
    for round_no, shortfall in enumerate(shortfalls, start=1):
        rounds.append(plan_round(plan, round_no, shortfall, [cell for cells in rounds for cell in cells]))
    return rounds


def name_plan(**inputs: Any) -> str:
    given: dict[str, Any] = {"model": TWO_TRAITS, "synth_type": "from_traits", "level": make_level()}
    given |= {"scenario_pool": SCENARIO_POOL, "seed": 0, "prompts_version": "prompts-1"}
    return make_plan(**(given | inputs)).plan_id


def test_cells_of_a_pair_are_there_for_each_pole_and_share_all_else() -> None:
    pairs = itertools.groupby(plan_first(make_test_plan(TWO_TRAITS)), key=lambda cell: cell.pair_id)
    for _, pair in pairs:
        cells = list(pair)
        assert [*POLES] == [cell.pole for cell in cells]
        assert 1 == len({(cell.scenario, cell.trait, cell.index, cell.round_no) for cell in cells})


def test_same_inputs_make_the_same_plan_and_each_trait_has_its_own_order_of_scenarios() -> None:
    one, other = (make_test_plan(SEEDED, make_level(30)) for _ in range(2))
    cells = plan_first(one)

    assert one.plan_id == other.plan_id
    assert cells == plan_first(other)
    clarity, warmth = ([cell.scenario for cell in cells if cell.trait == trait] for trait in ("clarity", "warmth"))
    assert clarity != warmth


def list_changes() -> list[dict[str, Any]]:
    model: dict[str, Any] = {"handle": "u22a8.other", "description": "Other.", "language": "de"}
    existing: dict[str, Any] = {"attached_digests": ("0",), "held_out_digests": ("0",)}
    existing |= {"proposed_digests": (("a run", "0"),), "refused": ("A text.",), "reviewed": SEEDS[:1]}
    model |= {"conflicting_labels": SEEDS[:1]}
    model |= {"scenarios": OwnScenarios(pack="bugs"), "texts": OwnTexts((TextsFile("a.csv", "0", 1),))}
    trait: dict[str, Any] = {"key": "other", "name": "Other", "type": "topic", "description": "Other."}
    trait |= {"positive_label": "Other", "negative_label": "Other"}
    trait |= {"positive_paraphrase": ("Other.",), "negative_paraphrase": ("Other.",)}
    seed: dict[str, Any] = {"text": "Other.", "quality": 0.5, "trait": "warmth"}
    level: dict[str, Any] = {"effort": "high", "exemplars_per_pole": 5, "over_generation": 3.0}
    level |= {"exemplars_per_call": 2, "temperature": 0.1}
    pool: dict[str, Any] = {"fields": (Field("one", (("other",),)), *SCENARIO_POOL.fields), "audiences": ("other",)}
    pool |= {"forms": ("other",), "lengths": (Length("one sentence", 8, 26),)}
    pool |= {"topic_subjects": {"warmth": TopicSubjects(SUN, RAIN)}}
    first, second = TWO_TRAITS.traits
    models = [
        *(replace(TWO_TRAITS, **{name: value}) for name, value in model.items()),
        *(replace(TWO_TRAITS, existing=Existing(**{name: value})) for name, value in existing.items()),
        *(replace(TWO_TRAITS, brief=replace(BRIEF, **{part.name: ("Other.",)})) for part in fields(Brief)),
        *(replace(TWO_TRAITS, traits=(replace(first, **{name: value}), second)) for name, value in trait.items()),
        *(replace(TWO_TRAITS, traits=traits) for traits in ((second, first), (first,))),
        SEEDED,
        *(replace(SEEDED, seeds=(replace(SEEDS[0], **{name: value}), *SEEDS[1:])) for name, value in seed.items()),
    ]
    return [
        *({"model": changed} for changed in models),
        *({"level": replace(make_level(), **{name: value})} for name, value in level.items()),
        *({"scenario_pool": replace(SCENARIO_POOL, **{name: value})} for name, value in pool.items()),
        {"scenario_pool": replace(SCENARIO_POOL, topic_subjects={"warmth": TopicSubjects(RAIN, SUN)})},
        {"synth_type": "enrich"},
        {"seed": 1},
        {"prompts_version": "prompts-2"},
    ]


def test_each_input_makes_a_plan_id_of_its_own() -> None:
    changes = list_changes()

    assert 1 + len(changes) == len({name_plan(), *(name_plan(**change) for change in changes)})
    assert 32 == len(name_plan())
    # Limits, asked models and places of seeds change nothing.
    level = {"top_up_rounds": 9, "max_cost_usd": 0.01, "synth_model": "openai/other", "judge_model": "openai/other"}
    moved = tuple(replace(seed, place="elsewhere.csv:9") for seed in SEEDS)

    assert name_plan() == name_plan(level=make_level(**level))  # type: ignore[arg-type]
    assert name_plan(model=SEEDED) == name_plan(model=replace(SEEDED, seeds=moved, effort="max"))


@pytest.mark.parametrize(("count", "wanted"), [(1, 3), (4, 11), (5, 1)])
def test_failure_modes_are_shared_out_evenly_over_negatives_and_never_on_positives(count: int, wanted: int) -> None:
    modes = MODES[:count]
    cells = plan_first(make_test_plan(replace(TWO_TRAITS, brief=Brief(failure_modes=modes)), make_level(wanted)))

    assert {None} == {cell.failure_mode for cell in cells if cell.pole == "positive"}
    for trait in ("clarity", "warmth"):
        counts = Counter(cell.failure_mode for cell in cells if cell.trait == trait and cell.pole == "negative")
        times = [counts[mode] for mode in modes]
        assert max(times) - min(times) <= 1
        assert 2 * wanted == sum(times)


def test_failure_modes_go_on_where_the_round_before_ended() -> None:
    plan = make_test_plan(make_model(brief=BRIEF), make_level(3))
    shortfall: dict[tuple[str, Pole], int] = {("clarity", "negative"): 1}
    rounds = plan_rounds(plan, shortfall, shortfall, shortfall)

    assert [MODES[number % 5] for number in range(12)] == [cell.failure_mode for cells in rounds for cell in cells]


def test_near_misses_are_half_of_the_negatives_of_a_topic_and_of_each_of_its_failure_modes() -> None:
    kinds = [make_trait(kind, type=kind) for kind in ("topic", "spectrum", "claim", "outlier")]
    plain = plan_first(make_test_plan(make_model(*kinds), make_level(5)))
    brief = Brief(failure_modes=MODES[:2])
    with_modes = plan_first(make_test_plan(make_model(make_trait(type="topic"), brief=brief), make_level(4)))

    assert {("topic", "negative"): 5} == Counter((cell.trait, cell.pole) for cell in plain if cell.near_miss)
    assert {None} == {cell.failure_mode for cell in plain}
    assert dict.fromkeys(MODES[:2], 2) == Counter(cell.failure_mode for cell in with_modes if cell.near_miss)


def test_later_rounds_use_new_scenarios_and_cells_are_numbered_in_order_and_named_once() -> None:
    subjects = tuple(f"subject {number}" for number in range(100))
    plan = make_test_plan(
        level=make_level(4), scenario_pool=replace(SCENARIO_POOL, fields=(Field("all", (subjects,)),))
    )
    shortfall = dict(plan.quotas)
    rounds = plan_rounds(plan, shortfall, {("clarity", "positive"): 2}, shortfall)
    seen = [{cell.scenario.subject for cell in cells} for cells in rounds]
    cells = [*itertools.chain(*rounds)]

    assert [8, 8, 24] == [len(subjects) for subjects in seen]
    assert 40 == len(set().union(*seen))
    assert [*range(16 + 8 + 48)] == [cell.order for cell in cells]
    assert len(cells) == len({cell.id for cell in cells})


def test_subjects_of_attached_samples_come_last_for_their_own_trait() -> None:
    subjects = SCENARIO_POOL.subjects
    attached = tuple(Attached("clarity", f"Text about {subject}.", 1.0, subject) for subject in subjects[:3])
    one, other = (
        plan_first(make_test_plan(model, make_level(1)))
        for model in (replace(TWO_TRAITS, existing=Existing(attached=attached)), TWO_TRAITS)
    )

    assert set(subjects[3:]) == {cell.scenario.subject for cell in one if cell.trait == "clarity"}
    assert [cell for cell in one if cell.trait == "warmth"] == [cell for cell in other if cell.trait == "warmth"]


SHORTFALLS = st.dictionaries(
    st.sampled_from([(key, pole) for key in ("clarity", "warmth") for pole in POLES]), st.integers(0, 9)
)


@given(
    shortfalls=st.lists(SHORTFALLS, min_size=1, max_size=3),
    over_generation=st.floats(1, 4),
    per_call=st.integers(1, 5),
)
@settings(max_examples=30, database=None, derandomize=True)
def test_rounds_ask_for_what_is_lacking_in_whole_scenarios(
    shortfalls: list[dict[tuple[str, Pole], int]], over_generation: float, per_call: int
) -> None:
    level = make_level(4, over_generation=over_generation, exemplars_per_call=per_call)
    plan = make_test_plan(TWO_TRAITS, level)
    pairs = set[str]()
    for round_no, (shortfall, cells) in enumerate(zip(shortfalls, plan_rounds(plan, *shortfalls), strict=True), 1):
        for trait in ("clarity", "warmth"):
            lacking = {pole: shortfall.get((trait, pole), 0) for pole in POLES}
            scenarios = math.ceil(max(lacking.values()) * over_generation * round_no / per_call)
            for pole in POLES:
                own = [cell for cell in cells if (cell.trait, cell.pole) == (trait, pole)]
                assert (scenarios if lacking[pole] else 0) == len(own)
        fresh = {cell.pair_id for cell in cells}
        assert not fresh & pairs
        pairs |= fresh


def test_lacking_quotas_are_inputs_of_the_plan_and_the_only_ones_that_it_asks_for() -> None:
    lacking = {(trait, pole): 0 for trait in ("clarity", "warmth") for pole in POLES} | {("clarity", "positive"): 3}
    whole, *plans = (
        make_plan(TWO_TRAITS, "from_traits", make_level(), SCENARIO_POOL, 0, "prompts-1", quotas)
        for quotas in (None, lacking, {**lacking, ("clarity", "positive"): 2})
    )

    assert dict.fromkeys(lacking, 4) == whole.quotas
    assert whole.plan_id not in (name_plan(missing=whole.quotas), plans[0].plan_id)
    assert plans[0].plan_id != plans[1].plan_id
    assert (3, 4) == (plans[0].max_quota, whole.max_quota)
    assert {("clarity", "positive")} == {(cell.trait, cell.pole) for cell in plan_first(plans[0])}
    assert nest_poles(lacking) == {"clarity": {"positive": 3, "negative": 0}, "warmth": {"positive": 0, "negative": 0}}
