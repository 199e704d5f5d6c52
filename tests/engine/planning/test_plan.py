"""A plan is a pure function of its inputs, and its cells come in pairs that differ in nothing but the pole."""

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from fakes.builders import SCENARIO_POOL, make_level, make_model, make_seeds, make_test_plan, make_trait
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.definitions.effort import Level
from engine.domain.model import POLES, Attached, Brief, Length, Model, Pole, SynthType, TraitType
from engine.planning.plan import Cell, Plan, RoundHistory, add_to_history, make_plan, nest_counts, plan_round
from engine.planning.scenarios import ScenarioPool

MODES = ("Verbs turned into nouns.", "Two dates for one thing.", "Blame.", "Advice without an object.", "Hedges.")
BRIEF = Brief(intent=("Find what is clear.",), failure_modes=MODES)
TWO_TRAITS = make_model(make_trait(), make_trait("warmth"), brief=BRIEF)
NO_HISTORY = RoundHistory({})


def plan_first(plan: Plan, draws: int = 1) -> tuple[Cell, ...]:
    return plan_round(plan, 1, plan.full_shortfall(), NO_HISTORY, draws)


def plan_rounds(plan: Plan, *shortfalls: dict[tuple[str, Pole], int]) -> list[tuple[Cell, ...]]:
    history, rounds = NO_HISTORY, []
    for round_no, shortfall in enumerate(shortfalls, start=1):
        cells = plan_round(plan, round_no, shortfall, history)
        history = add_to_history(history, cells)
        rounds.append(cells)
    return rounds


def group_pairs(cells: Sequence[Cell]) -> dict[str, list[Cell]]:
    pairs = defaultdict(list)
    for cell in cells:
        pairs[cell.pair_id].append(cell)
    return pairs


def name_plan(
    model: Model = TWO_TRAITS,
    synth_type: SynthType = "from_traits",
    level: Level | None = None,
    scenario_pool: ScenarioPool = SCENARIO_POOL,
    seed: int = 0,
    prompts: str = "prompts-1",
) -> str:
    return make_plan(model, synth_type, level or make_level(), scenario_pool, seed, prompts).plan_id


def spread(times: Sequence[int]) -> int:
    return max(times) - min(times)


def test_two_cells_of_a_pair_share_everything_but_the_pole() -> None:
    for pair in group_pairs(plan_first(make_test_plan(TWO_TRAITS))).values():
        positive, negative = pair

        assert POLES == (positive.pole, negative.pole)
        assert (positive.scenario, positive.trait, positive.round_no, positive.draw) == (
            negative.scenario,
            negative.trait,
            negative.round_no,
            negative.draw,
        )


def test_cells_of_one_draw_number_are_all_there_for_both_poles() -> None:
    cells = plan_first(make_test_plan(), draws=3)

    for pair in group_pairs(cells).values():
        assert [
            ("positive", 0),
            ("positive", 1),
            ("positive", 2),
            ("negative", 0),
            ("negative", 1),
            ("negative", 2),
        ] == [(cell.pole, cell.draw) for cell in pair]
        assert 1 == len({cell.scenario for cell in pair})


def test_cells_are_numbered_in_order_and_named_once() -> None:
    plan = make_test_plan(TWO_TRAITS)
    rounds = plan_rounds(plan, dict(plan.full_shortfall()), {("warmth", "negative"): 2}, dict(plan.full_shortfall()))
    cells = [cell for cells in rounds for cell in cells]

    assert list(range(len(cells))) == [cell.order for cell in cells]
    assert len(cells) == len({cell.id for cell in cells})


@pytest.mark.parametrize("seed", range(4))
def test_no_scenario_value_is_tied_to_a_pole(seed: int) -> None:
    plan = make_test_plan(TWO_TRAITS, make_level(30), seed=seed)
    shortfall: dict[tuple[str, Pole], int] = {("clarity", "positive"): 3, ("clarity", "negative"): 9}
    for cells in plan_rounds(plan, dict(plan.full_shortfall()), shortfall):
        for name in ("subject", "audience", "form", "length"):
            counts = {
                pole: Counter((cell.trait, getattr(cell.scenario, name)) for cell in cells if cell.pole == pole)
                for pole in POLES
            }
            assert counts["positive"] == counts["negative"]


def test_each_trait_has_its_own_order_of_scenarios() -> None:
    scenarios = defaultdict(list)
    for cell in plan_first(make_test_plan(TWO_TRAITS, make_level(30))):
        scenarios[cell.trait].append(cell.scenario)

    assert scenarios["clarity"] != scenarios["warmth"]


def test_same_inputs_make_the_same_plan_and_cells() -> None:
    one, other = (
        make_test_plan(make_model(make_trait(), make_trait("warmth"), seeds=make_seeds(), brief=BRIEF))
        for _ in range(2)
    )

    assert one.plan_id == other.plan_id
    assert plan_first(one, draws=2) == plan_first(other, draws=2)


def test_plan_id_is_32_hexadecimal_digits() -> None:
    plan_id = name_plan()

    assert 32 == len(plan_id)
    assert 0 <= int(plan_id, 16)


def change_model(**fields: Any) -> dict[str, Any]:
    return {"model": replace(TWO_TRAITS, **fields)}


def change_trait(**fields: Any) -> dict[str, Any]:
    first, second = TWO_TRAITS.traits
    return change_model(traits=(replace(first, **fields), second))


def change_level(**fields: Any) -> dict[str, Any]:
    return {"level": replace(make_level(), **fields)}


CHANGES: dict[str, dict[str, Any]] = {
    "handle": change_model(handle="u22a8.other"),
    "description": change_model(description="Other."),
    "order of traits": change_model(traits=TWO_TRAITS.traits[::-1]),
    "one trait less": change_model(traits=TWO_TRAITS.traits[:1]),
    "seeds": change_model(seeds=make_seeds()),
    "attached": change_model(attached_digests=("0" * 64,)),
    "trait's key": change_trait(key="other"),
    "trait's name": change_trait(name="Other"),
    "trait's type": change_trait(type="topic"),
    "trait's description": change_trait(description="Other."),
    "trait's positive label": change_trait(positive_label="Other"),
    "trait's negative label": change_trait(negative_label="Other"),
    "trait's positive paraphrase": change_trait(positive_paraphrase=("Other.",)),
    "trait's negative paraphrase": change_trait(negative_paraphrase=("Other.",)),
    "intent": change_model(brief=replace(BRIEF, intent=("Other.",))),
    "domain": change_model(brief=replace(BRIEF, domain=("Other.",))),
    "exemplars of good": change_model(brief=replace(BRIEF, exemplars_of_good=("Other.",))),
    "failure modes": change_model(brief=replace(BRIEF, failure_modes=("Other.",))),
    "edge cases": change_model(brief=replace(BRIEF, edge_cases=("Other.",))),
    "non-goals": change_model(brief=replace(BRIEF, non_goals=("Other.",))),
    "synth type": {"synth_type": "enrich"},
    "effort": change_level(effort="high"),
    "exemplars per pole": change_level(exemplars_per_pole=5),
    "over-generation": change_level(over_generation=3.0),
    "exemplars per call": change_level(exemplars_per_call=2),
    "temperature": change_level(temperature=0.1),
    "subjects": {"scenario_pool": replace(SCENARIO_POOL, subjects=(("other",), *SCENARIO_POOL.subjects))},
    "audiences": {"scenario_pool": replace(SCENARIO_POOL, audiences=("other",))},
    "forms": {"scenario_pool": replace(SCENARIO_POOL, forms=("other",))},
    "lengths": {
        "scenario_pool": replace(SCENARIO_POOL, lengths=(Length(name="one sentence", min_words=8, max_words=26),))
    },
    "seed": {"seed": 1},
    "prompts": {"prompts": "prompts-2"},
}


@pytest.mark.parametrize("change", CHANGES)
def test_each_input_changes_the_plan_id(change: str) -> None:
    assert name_plan() != name_plan(**CHANGES[change])


def test_no_two_changes_make_the_same_plan_id() -> None:
    assert len(CHANGES) == len({name_plan(**change) for change in CHANGES.values()})


@pytest.mark.parametrize("field", ["text", "quality", "trait"])
def test_each_part_of_a_seed_changes_the_plan_id(field: str) -> None:
    seeds = make_seeds()
    value: Any = {"text": "Other.", "quality": 0.5, "trait": "warmth"}[field]
    changed = (replace(seeds[0], **{field: value}), *seeds[1:])

    assert name_plan(replace(TWO_TRAITS, seeds=seeds)) != name_plan(replace(TWO_TRAITS, seeds=changed))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("top_up_rounds", 9),
        ("max_cost_usd", 0.01),
        ("synth_model", "openai/other"),
        ("judge_model", "openai/other"),
    ],
)
def test_limits_and_the_models_that_are_asked_do_not_change_the_plan_id(field: str, value: Any) -> None:
    level = replace(make_level(), **{field: value})

    assert name_plan() == name_plan(level=level)
    assert plan_first(make_test_plan(TWO_TRAITS)) == plan_first(make_test_plan(TWO_TRAITS, level))


def test_place_of_a_seed_and_the_models_own_effort_do_not_change_the_plan_id() -> None:
    model = replace(TWO_TRAITS, seeds=make_seeds())
    moved = tuple(replace(seed, place="elsewhere.csv:9") for seed in make_seeds())

    assert name_plan(model) == name_plan(replace(model, seeds=moved, effort="max"))


@pytest.mark.parametrize("wanted", [1, 3, 4, 11])
@pytest.mark.parametrize("count", [1, 2, 4, 5])
def test_failure_modes_are_shared_out_evenly_over_negatives_and_never_on_positives(count: int, wanted: int) -> None:
    modes = MODES[:count]
    model = replace(TWO_TRAITS, brief=Brief(failure_modes=modes))
    cells = plan_first(make_test_plan(model, make_level(wanted)))

    assert {None} == {cell.failure_mode for cell in cells if cell.pole == "positive"}
    for trait in ("clarity", "warmth"):
        counts = Counter(cell.failure_mode for cell in cells if cell.trait == trait and cell.pole == "negative")
        assert spread([counts[mode] for mode in modes]) <= 1
        assert 2 * wanted == sum(counts[mode] for mode in modes)


def test_failure_modes_go_on_where_the_round_before_ended() -> None:
    plan = make_test_plan(make_model(brief=BRIEF), make_level(3))
    shortfall: dict[tuple[str, Pole], int] = {("clarity", "negative"): 1}
    modes = [cell.failure_mode for cells in plan_rounds(plan, shortfall, shortfall, shortfall) for cell in cells]

    assert [MODES[number % 5] for number in range(12)] == modes


def test_model_without_failure_modes_names_none() -> None:
    assert {None} == {cell.failure_mode for cell in plan_first(make_test_plan(make_model()))}


def test_near_misses_are_half_of_the_negatives_of_a_topic() -> None:
    model = make_model(make_trait(type="topic"), make_trait("warmth"))
    cells = plan_first(make_test_plan(model, make_level(5)))
    missing = Counter((cell.trait, cell.pole) for cell in cells if cell.near_miss)

    assert {("clarity", "negative"): 5} == missing
    assert 10 == sum(cell.trait == "clarity" and cell.pole == "negative" for cell in cells)


@pytest.mark.parametrize("trait_type", ["spectrum", "claim", "outlier"])
def test_other_types_have_no_near_misses(trait_type: TraitType) -> None:
    assert not any(cell.near_miss for cell in plan_first(make_test_plan(make_model(make_trait(type=trait_type)))))


def test_later_rounds_use_new_scenarios() -> None:
    subjects = tuple(f"subject {number}" for number in range(100))
    plan = make_test_plan(level=make_level(4), scenario_pool=replace(SCENARIO_POOL, subjects=(subjects,)))
    shortfall = dict(plan.full_shortfall())
    rounds = plan_rounds(plan, shortfall, {("clarity", "positive"): 2}, shortfall)

    ids = [{cell.pair_id for cell in cells} for cells in rounds]
    seen = [{cell.scenario.subject for cell in cells} for cells in rounds]
    assert [8, 8, 24] == [len(pairs) for pairs in ids]
    assert [8, 8, 24] == [len(subjects) for subjects in seen]
    assert 40 == len(set().union(*ids)) == len(set().union(*seen))


def test_only_the_poles_that_lack_something_are_asked() -> None:
    plan = make_test_plan(TWO_TRAITS)
    shortfall: dict[tuple[str, Pole], int] = {
        ("clarity", "positive"): 0,
        ("clarity", "negative"): 3,
        ("warmth", "positive"): 0,
    }
    cells = plan_round(plan, 1, shortfall, NO_HISTORY)

    assert {("clarity", "negative"): 6} == Counter((cell.trait, cell.pole) for cell in cells)
    assert () == plan_round(plan, 1, {}, NO_HISTORY)


def test_full_lack_is_the_quota_of_every_trait_and_pole() -> None:
    plan = make_test_plan(TWO_TRAITS, make_level(7))

    assert {(trait, pole): 7 for trait in ("clarity", "warmth") for pole in POLES} == plan.full_shortfall()


def test_subjects_of_attached_samples_come_last_for_their_own_trait() -> None:
    used = SCENARIO_POOL.subjects[0][:3]
    attached = tuple(Attached("clarity", f"Text about {subject}.", 1.0, subject) for subject in used)
    cells = plan_first(make_test_plan(replace(TWO_TRAITS, attached=attached), make_level(1)))

    subjects = {
        trait: {cell.scenario.subject for cell in cells if cell.trait == trait} for trait in ("clarity", "warmth")
    }
    assert set(SCENARIO_POOL.subjects[0][3:]) == subjects["clarity"]
    assert subjects["warmth"] == {
        cell.scenario.subject
        for cell in plan_first(make_test_plan(TWO_TRAITS, make_level(1)))
        if cell.trait == "warmth"
    }


def test_what_is_spent_adds_up_over_rounds_and_traits() -> None:
    plan = make_test_plan(TWO_TRAITS, make_level(2))
    first = plan_first(plan, draws=3)
    history = add_to_history(NO_HISTORY, first)
    again = add_to_history(history, plan_round(plan, 2, {("warmth", "positive"): 1}, history))

    assert RoundHistory({"clarity": 4, "warmth": 4}, 48) == history
    assert RoundHistory({"clarity": 4, "warmth": 8}, 52) == again


SHORTFALLS = st.dictionaries(
    st.sampled_from([(key, pole) for key in ("clarity", "warmth") for pole in POLES]), st.integers(0, 9)
)


@given(
    shortfalls=st.lists(SHORTFALLS, min_size=1, max_size=3),
    over_generation=st.floats(1, 4),
    per_call=st.integers(1, 5),
    draws=st.integers(1, 3),
    seed=st.integers(0, 3),
)
@settings(max_examples=60, database=None, derandomize=True)
def test_rounds_ask_for_what_is_lacking_in_whole_scenarios(
    shortfalls: list[dict[tuple[str, Pole], int]], over_generation: float, per_call: int, draws: int, seed: int
) -> None:
    level = make_level(4, over_generation=over_generation, exemplars_per_call=per_call)
    plan = make_test_plan(TWO_TRAITS, level, seed=seed)
    history, pairs, orders = NO_HISTORY, set[str](), list[int]()
    for round_no, shortfall in enumerate(shortfalls, start=1):
        cells = plan_round(plan, round_no, shortfall, history, draws)
        for trait in ("clarity", "warmth"):
            lacking = {pole: shortfall.get((trait, pole), 0) for pole in POLES}
            scenarios = math.ceil(max(lacking.values()) * over_generation * round_no / per_call)
            for pole in POLES:
                own = [cell for cell in cells if (cell.trait, cell.pole) == (trait, pole)]
                assert (scenarios * draws if lacking[pole] else 0) == len(own)
                assert len(own) * per_call >= lacking[pole]
        fresh = {cell.pair_id for cell in cells}
        assert not fresh & pairs
        pairs |= fresh
        orders += [cell.order for cell in cells]
        history = add_to_history(history, cells)
    assert list(range(len(orders))) == orders
    assert len(pairs) == sum(history.scenarios.values())


def test_lacking_quotas_are_inputs_of_the_plan_and_the_only_ones_that_it_asks_for() -> None:
    lacking: dict[tuple[str, Pole], int] = {
        ("clarity", "positive"): 3,
        ("clarity", "negative"): 0,
        ("warmth", "positive"): 0,
        ("warmth", "negative"): 0,
    }
    whole = make_plan(TWO_TRAITS, "from_traits", make_level(), SCENARIO_POOL, 0, "prompts-1")
    plans = [
        make_plan(TWO_TRAITS, "from_traits", make_level(), SCENARIO_POOL, 0, "prompts-1", quotas)
        for quotas in (lacking, {**lacking, ("clarity", "positive"): 2}, whole.full_shortfall())
    ]

    assert name_plan() == whole.plan_id
    assert 4 == len({whole.plan_id, *(plan.plan_id for plan in plans)})
    assert (3, 4) == (plans[0].wanted, whole.wanted)
    assert {("clarity", "positive")} == {(cell.trait, cell.pole) for cell in plan_first(plans[0])}
    assert nest_counts(lacking) == {
        "clarity": {"positive": 3, "negative": 0},
        "warmth": {"positive": 0, "negative": 0},
    }
