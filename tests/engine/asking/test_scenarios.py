"""Scenarios are drawn evenly and repeatably, those not used yet first."""

import itertools
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import pytest
from fakes.builders import AUDIENCES, FORMS, LENGTHS, SCENARIO_POOL, SUBJECTS, make_model
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.asking.fields import Field
from engine.asking.scenarios import Proposal, ScenarioPool, choose_scenario_pool, count_shares, draw_scenarios
from engine.definitions.loader import load_model
from engine.definitions.scenario_packs import SCENARIOS_FOLDER, load_packs
from engine.domain.definition import Brief, Length, OwnScenarios
from engine.domain.model import Seed
from engine.domain.samples import Scenario
from engine.settings import PROJECT_ROOT

MODELS = str(PROJECT_ROOT / "data" / "models")
PACKS = load_packs(SCENARIOS_FOLDER)
PROPOSED = Proposal(("a drill",), ("a reader",), ("a poem",))


def take(
    count: int, scenario_pool: ScenarioPool = SCENARIO_POOL, key: str = "0/clarity", used: Sequence[str] = ()
) -> list[Scenario]:
    return list(itertools.islice(draw_scenarios(scenario_pool, key, used), count))


@given(st.integers(1, 60), st.integers(0, 5), st.integers(1, 9))
@settings(max_examples=20, database=None, derandomize=True)
def test_each_value_is_drawn_as_often_as_any_other(count: int, seed: int, subjects: int) -> None:
    own = tuple(f"subject {number}" for number in range(subjects))
    pool = replace(SCENARIO_POOL, fields=(Field("all", (own,)),))
    drawn = take(count, pool, f"{seed}/clarity")
    offered = {"subject": own, "audience": AUDIENCES, "form": FORMS, "length": [length.name for length in LENGTHS]}

    for name, values in offered.items():
        counts = Counter(getattr(scenario, name) for scenario in drawn)
        times = [counts[value] for value in values]
        assert max(times) - min(times) <= (1 if name != "form" else 1 + len(FORMS))
        assert count == sum(times)
    assert drawn[: count // 2] == take(count // 2, pool, f"{seed}/clarity")


def test_order_changes_with_the_key_and_with_every_turn() -> None:
    subjects = [scenario.subject for scenario in take(50)]
    turns = {tuple(subjects[start : start + 5]) for start in range(0, 50, 5)}
    orders = {tuple(scenario.subject for scenario in take(5, key=f"{seed}/clarity")) for seed in range(10)}

    assert all(set(SUBJECTS) == set(turn) for turn in turns)
    assert min(len(turns), len(orders)) > 5


def test_no_value_is_tied_to_a_value_of_another_list() -> None:
    drawn = take(200)

    for one, other in itertools.combinations(("subject", "audience", "form", "length"), 2):
        together = {(getattr(item, one), getattr(item, other)) for item in drawn}
        assert len({one for one, _ in together}) * len({other for _, other in together}) == len(together)


def test_subjects_that_attached_samples_have_used_come_last_and_change_no_other_value() -> None:
    used = [SUBJECTS[0], SUBJECTS[1], SUBJECTS[1], "another matter"]
    plain, after = take(8), take(8, used=used)
    subjects = [scenario.subject for scenario in after]

    assert set(SUBJECTS[2:]) == set(subjects[:3])
    assert set(SUBJECTS) - {SUBJECTS[1]} == set(subjects[3:7])
    assert [replace(item, subject="") for item in plain] == [replace(item, subject="") for item in after]


def test_earlier_tier_is_used_up_before_the_next_is_begun_unless_it_is_used_already() -> None:
    pool = replace(SCENARIO_POOL, fields=(Field("all", (("a", "b"), ("c", "d", "e"), ("f",))),))
    subjects, after = [item.subject for item in take(12, pool)], take(4, pool, used=["a", "b"])
    tiers = [{"a", "b"}, {"c", "d", "e"}, {"f"}]

    assert tiers + tiers == [{*subjects[start:end]} for start, end in itertools.pairwise((0, 2, 5, 6, 8, 11, 12))]
    assert [{"c", "d", "e"}, {"f"}] == [{item.subject for item in part} for part in (after[:3], after[3:])]


def test_fields_have_equal_shares_while_they_have_subjects_that_are_not_used() -> None:
    fields = Field("few", (("a", "b"),)), Field("many", (tuple("cdefgh"),)), Field("one", (("i",),), covered=False)
    drawn = take(9, replace(SCENARIO_POOL, fields=fields))
    pool = replace(SCENARIO_POOL, fields=fields)

    assert {"few": 1, "many": 1, "one": 1} == count_shares(drawn[:3], pool)
    assert {"few": 2, "many": 2, "one": 1} == count_shares(drawn[:5], pool)
    assert set("abcdefghi") == {item.subject for item in drawn}
    assert {"others": 1} == count_shares([Scenario("z", "", "", "")], pool)


def test_scenario_comes_again_only_after_those_of_all_other_forms() -> None:
    drawn = take(200, replace(SCENARIO_POOL, fields=(Field("all", (("a", "b", "c"),)),), forms=("x", "y", "z")))
    for rest in {replace(item, form="") for item in drawn}:
        times = Counter(item.form for item in drawn if replace(item, form="") == rest)

        assert max(times.values()) - min(times[form] for form in ("x", "y", "z")) <= 1


def test_author_s_values_come_before_all_others_then_those_of_the_pack_that_the_author_names() -> None:
    given = OwnScenarios(None, ("a kettle",), ("a shopper",), ("a product review",), (Length("one line", 3, 9),))
    model = make_model(handle="ns.poems", description="Whether a poem is good.", scenarios=given)
    pool = choose_scenario_pool(model, PACKS, PROPOSED)

    assert ("a kettle",) == pool.subjects
    assert (given.audiences, given.forms, given.lengths) == (pool.audiences, pool.forms, pool.lengths)
    assert {"given in model.yaml"} == set(pool.reasons.values())

    named = replace(model, scenarios=OwnScenarios("travel", forms=("a postcard",)))
    pool, travel = choose_scenario_pool(named, PACKS, PROPOSED), PACKS.packs["travel"]
    assert ("travel", travel.audiences, ("a postcard",)) == (pool.pack, pool.audiences, pool.forms)
    assert travel.subjects == pool.subjects
    assert "from the pack 'travel', which model.yaml names" == pool.reasons["audiences"]


def test_what_a_chat_model_proposes_comes_before_the_packs() -> None:
    model = load_model(MODELS, "u22a8.bug-report")
    whole, subjects_only = (choose_scenario_pool(model, PACKS, item) for item in (PROPOSED, Proposal(("a drill",))))

    assert (PROPOSED.audiences, PROPOSED.forms) == (whole.audiences, whole.forms)
    assert "proposed by the synth model" == whole.reasons["forms"]
    assert PACKS.packs["bugs"].forms == subjects_only.forms
    assert ["a drill"] == [item.tiers[0][0] for item in subjects_only.fields if "a drill" in item.subjects]


@pytest.mark.parametrize(
    ("handle", "domain", "pack"),
    [
        ("acme.hotel-guests", "Reviews that guests write about hotels and resorts", "travel"),
        ("acme.piano-visits", "Reports of piano tuners after a visit to a customer's home", "everyday"),
        ("acme.dental-notes", "Appointment notes about fillings, crowns and gums", "everyday"),
        ("acme.kehrberichte", "Berichte über Kamine, Ruß und Öfen", "everyday"),
    ],
)
def test_audiences_and_forms_are_a_near_pack_s_and_else_the_fallback_s(handle: str, domain: str, pack: str) -> None:
    pool = choose_scenario_pool(make_model(handle=handle, brief=Brief(domain=(domain,))), PACKS)

    assert (pack, PACKS.packs[pack].audiences, PACKS.packs[pack].forms) == (pool.pack, pool.audiences, pool.forms)
    assert ("no pack is near" in pool.reasons["forms"]) == (pack == "everyday")


@pytest.mark.parametrize(
    ("counts", "ranges"),
    [
        ((21, 22, 24, 24, 26, 27), [(8, 25), (14, 40)]),
        ((3, 4, 4, 5, 6, 8), [(3, 5), (5, 10)]),
        ((7, 8, 9, 9, 10, 11), [(7, 14)]),
        ((200, 220, 240, 260), [(200, 325)]),
        ((1, 1, 1), [(1, 2)]),
        ((10, 30, 40, 60), [(8, 25), (14, 40), (25, 65), (45, 110)]),
    ],
)
def test_lengths_are_those_of_the_seeds(counts: Sequence[int], ranges: list[tuple[int, int]]) -> None:
    seeds = tuple(Seed("clarity", " ".join(["word"] * count), 1.0, str(count)) for count in counts)
    lengths = choose_scenario_pool(make_model(seeds=seeds), PACKS).lengths

    assert ranges == [(length.min_words, length.max_words) for length in lengths]
    assert len(lengths) == len({length.name for length in lengths})


@pytest.mark.parametrize(
    ("description", "longest"),
    [("Whether a headline is fair.", 12), ("How rude a chat message is.", 40), ("Whether a letter is plain.", 110)],
)
def test_lengths_without_seeds_are_those_of_the_kind_of_text(description: str, longest: int) -> None:
    model = make_model(handle="ns.x", description=description)

    assert longest == max(length.max_words for length in choose_scenario_pool(model, PACKS).lengths)
