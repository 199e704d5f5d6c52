"""Scenarios are drawn evenly and repeatably, those not used yet first; a model gets the lists of its own field."""

import itertools
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
from fakes.builders import AUDIENCES, FORMS, LENGTHS, SCENARIO_POOL, SUBJECTS, make_model, make_seeds, make_trait
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.definitions.loader import list_handles, load_model
from engine.definitions.scenario_packs import Packs, load_packs
from engine.domain.model import Brief, Length, OwnScenarios, Seed
from engine.domain.samples import Scenario
from engine.planning.scenarios import Proposal, ScenarioPool, choose_scenario_pool, draw_scenarios, rank_packs
from engine.settings import PROJECT_ROOT

MODELS = str(PROJECT_ROOT / "data" / "models")
SCENARIOS = PROJECT_ROOT / "data" / "scenarios"
PACK_OF = {
    "u22a8.bug-report": "bugs",
    "u22a8.commit-message": "commits",
    "u22a8.compelling-readme": "projects",
    "u22a8.expense-note": "expenses",
    "u22a8.meeting-notes": "meetings",
    "u22a8.plain-language": "letters",
    "u22a8.release-claims": "releases",
    "u22a8.security-triage": "security",
    "u22a8.support-reply": "support",
    "u22a8.technical-writing": "documentation",
}
PACK_NAMES = sorted(path.stem for path in SCENARIOS.glob("*.yaml") if path.stem != "lengths")

LENGTHS_TEXT = "- {name: short, min_words: 5, max_words: 20}\n"
PACK_TEXT = "words: [apple, pear]\nsubjects: [a tree]\naudiences: [a friend]\nforms: [a note]\n"


def take(
    count: int, scenario_pool: ScenarioPool = SCENARIO_POOL, key: str = "0/clarity", used: Sequence[str] = ()
) -> list[Scenario]:
    return list(itertools.islice(draw_scenarios(scenario_pool, key, used), count))


def write_packs(folder: Path, **texts: str) -> Path:
    everyday = PACK_TEXT.replace("apple, pear", "")
    for name, text in ({"lengths": LENGTHS_TEXT, "everyday": everyday} | texts).items():
        (folder / f"{name}.yaml").write_text(text)
    return folder


def spread(values: Sequence[str]) -> int:
    counts = Counter(values).values()
    return max(counts) - min(counts)


@pytest.fixture(scope="module")
def packs() -> Packs:
    return load_packs(SCENARIOS)


@given(st.integers(1, 60), st.integers(0, 5), st.integers(1, 9))
@settings(max_examples=40, database=None, derandomize=True)
def test_each_value_is_drawn_as_often_as_any_other(count: int, seed: int, subjects: int) -> None:
    scenario_pool = ScenarioPool(
        "x", (tuple(f"subject {number}" for number in range(subjects)),), AUDIENCES, FORMS, LENGTHS
    )
    drawn = take(count, scenario_pool, f"{seed}/clarity")

    for name, values in (
        ("subject", scenario_pool.subjects[0]),
        ("audience", AUDIENCES),
        ("form", FORMS),
        ("length", tuple(length.name for length in LENGTHS)),
    ):
        counts = Counter(getattr(scenario, name) for scenario in drawn)
        times = [counts[value] for value in values]
        assert max(times) - min(times) <= 1
        assert count == sum(times)


def test_drawing_is_a_pure_function_and_a_longer_draw_begins_with_a_shorter() -> None:
    assert take(40) == take(40)
    assert take(7) == take(40)[:7]


def test_key_changes_the_order() -> None:
    orders = {tuple(scenario.subject for scenario in take(5, key=f"{seed}/clarity")) for seed in range(10)}

    assert len(orders) > 5


def test_order_changes_with_every_turn() -> None:
    subjects = [scenario.subject for scenario in take(50)]
    turns = {tuple(subjects[start : start + 5]) for start in range(0, 50, 5)}

    assert all(set(SUBJECTS) == set(turn) for turn in turns)
    assert len(turns) > 5


def test_no_value_is_tied_to_a_value_of_another_list() -> None:
    drawn = take(200)

    for one, other in itertools.combinations(("subject", "audience", "form", "length"), 2):
        together = Counter((getattr(item, one), getattr(item, other)) for item in drawn)
        values = [len({pair[place] for pair in together}) for place in (0, 1)]
        assert values[0] * values[1] == len(together), (one, other)


def test_subjects_that_attached_samples_have_used_come_last() -> None:
    used = [SUBJECTS[0], SUBJECTS[1], SUBJECTS[1]]
    subjects = [scenario.subject for scenario in take(8, used=used)]

    assert set(SUBJECTS[2:]) == set(subjects[:3])
    assert set(SUBJECTS) - {SUBJECTS[1]} == set(subjects[3:7])
    assert spread([*subjects[:7], *used]) == 0


def test_subject_of_nobody_is_not_drawn_because_it_was_used() -> None:
    assert set(SUBJECTS) == {scenario.subject for scenario in take(20, used=["another matter"] * 3)}


def test_used_subjects_do_not_change_the_other_values() -> None:
    plain, after = take(20), take(20, used=[SUBJECTS[0]])

    assert [(item.audience, item.form, item.length) for item in plain] == [
        (item.audience, item.form, item.length) for item in after
    ]
    assert [item.subject for item in plain] != [item.subject for item in after]


def test_earlier_tier_is_used_up_before_the_next_is_begun() -> None:
    tiers = (("a", "b"), ("c", "d", "e"), ("f",))
    subjects = [item.subject for item in take(12, ScenarioPool("x", tiers, AUDIENCES, FORMS, LENGTHS))]

    assert [{"a", "b"}, {"c", "d", "e"}, {"f"}] == [set(subjects[:2]), set(subjects[2:5]), set(subjects[5:6])]
    assert [{"a", "b"}, {"c", "d", "e"}, {"f"}] == [set(subjects[6:8]), set(subjects[8:11]), set(subjects[11:])]


def test_earlier_tier_that_is_used_already_waits_for_the_others() -> None:
    tiers = (("a", "b"), ("c", "d"))
    subjects = [item.subject for item in take(4, ScenarioPool("x", tiers, AUDIENCES, FORMS, LENGTHS), used=["a", "b"])]

    assert {"c", "d"} == set(subjects[:2])
    assert {"a", "b"} == set(subjects[2:])


def test_tiers_are_proposed_then_the_packs_then_the_models_own(packs: Packs) -> None:
    model = make_model(seeds=make_seeds(), brief=Brief(domain=("Letters from town halls, tax offices",)))
    scenario_pool = choose_scenario_pool(model, packs, Proposal(("a proposed one", "another proposed one")))

    proposed, pack, own = scenario_pool.subjects
    assert ("a proposed one", "another proposed one") == proposed
    assert packs.packs[scenario_pool.pack].subjects == pack
    assert "tax offices" in own
    assert len(own) >= 4


def test_subject_of_two_tiers_stays_in_the_first_whatever_its_case(packs: Packs) -> None:
    subjects = packs.packs["everyday"].subjects
    lower, capital = subjects[0], next(subject for subject in subjects if subject != subject.casefold())
    scenario_pool = choose_scenario_pool(
        make_model(), packs, Proposal((lower.upper(), capital.casefold(), "new", "new"))
    )

    assert (lower.upper(), capital.casefold(), "new") == scenario_pool.subjects[0]
    assert tuple(subject for subject in subjects if subject not in (lower, capital)) == scenario_pool.subjects[1]


def test_length_is_found_by_its_name() -> None:
    assert LENGTHS[1] == SCENARIO_POOL.length("two")
    with pytest.raises(KeyError):
        SCENARIO_POOL.length("three")


def test_author_s_values_come_before_all_others(packs: Packs) -> None:
    given = OwnScenarios(None, ("a kettle",), ("a shopper",), ("a product review",), (Length("one line", 3, 9),))
    model = make_model(handle="ns.poems", description="Whether a poem is good.", scenarios=given)
    pool = choose_scenario_pool(model, packs, Proposal(("a drill",), ("a reader",), ("a poem",)))

    assert (("a kettle",),) == pool.subjects
    assert (given.audiences, given.forms, given.lengths) == (pool.audiences, pool.forms, pool.lengths)
    assert {"given in model.yaml"} == set(pool.reasons.values())


def test_pack_that_the_author_names_gives_what_the_author_does_not(packs: Packs) -> None:
    model = make_model(scenarios=OwnScenarios("travel", forms=("a postcard",)), description="Whether a poem is good.")
    pool = choose_scenario_pool(model, packs, Proposal(("a drill",), ("a reader",), ("a poem",)))

    travel = packs.packs["travel"]
    assert ("travel", travel.audiences, ("a postcard",)) == (pool.pack, pool.audiences, pool.forms)
    assert travel.subjects == pool.subjects[1]
    assert "from the pack 'travel', which model.yaml names" == pool.reasons["audiences"]


def test_what_a_chat_model_proposes_comes_before_words_and_packs(packs: Packs) -> None:
    model = load_model(MODELS, "u22a8.bug-report")
    whole = choose_scenario_pool(model, packs, Proposal(("a kettle",), ("a shopper",), ("a product review",)))
    subjects_only = choose_scenario_pool(model, packs, Proposal(("a kettle",)))

    assert (("a shopper",), ("a product review",)) == (whole.audiences, whole.forms)
    assert "proposed by the synth model" == whole.reasons["forms"]
    assert packs.packs["bugs"].forms == subjects_only.forms
    assert ("a kettle",) == subjects_only.subjects[0]


def test_pack_for_another_kind_of_text_is_not_taken_for_its_words(packs: Packs) -> None:
    said = "Whether a product review helps. Customers, refunds, parcels, delivery, warranty, repairs, returns."
    model = make_model(handle="ns.x", description=said)

    assert "support" != choose_scenario_pool(model, packs).pack
    assert ("a product review",) == choose_scenario_pool(model, packs).forms
    ranked = rank_packs(model, packs)
    assert ranked.index("everyday") < ranked.index("support")


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
def test_lengths_are_those_of_the_seeds(packs: Packs, counts: Sequence[int], ranges: list[tuple[int, int]]) -> None:
    seeds = tuple(Seed("clarity", " ".join(["word"] * count), 1.0, str(count)) for count in counts)
    lengths = choose_scenario_pool(make_model(seeds=seeds), packs).lengths

    assert ranges == [(length.min_words, length.max_words) for length in lengths]
    assert len(lengths) == len({length.name for length in lengths})


@pytest.mark.parametrize(
    ("description", "longest"),
    [("Whether a headline is fair.", 12), ("Whether a chat message is kind.", 40), ("Whether a review is fair.", 110)],
)
def test_lengths_without_seeds_fit_the_kind_of_text(packs: Packs, description: str, longest: int) -> None:
    lengths = choose_scenario_pool(make_model(handle="ns.x", description=description), packs).lengths

    assert longest == max(length.max_words for length in lengths)


@pytest.mark.parametrize("handle", sorted(PACK_OF))
def test_catalogue_model_gets_the_lists_of_its_field(packs: Packs, handle: str) -> None:
    assert PACK_OF[handle] == choose_scenario_pool(load_model(MODELS, handle), packs).pack


def test_every_catalogue_model_has_a_field_that_is_known_here() -> None:
    assert sorted(PACK_OF) == list_handles(MODELS)


@pytest.mark.parametrize("description", ["", "Whether a text is good.", "Whether an apple is ripe."])
def test_model_that_speaks_of_no_field_gets_everyday_lists(packs: Packs, description: str) -> None:
    model = make_model(make_trait("quality", description=""), handle="ns.x", description=description)

    assert "everyday" == choose_scenario_pool(model, packs).pack


def test_one_shared_word_is_not_enough_and_two_are(tmp_path: Path) -> None:
    packs = load_packs(write_packs(tmp_path, fruit=PACK_TEXT))
    models = [
        make_model(handle="ns.x", description=text) for text in ("An apple.", "Apples, apples.", "Apples, pears.")
    ]

    assert ["everyday", "everyday", "fruit"] == [choose_scenario_pool(model, packs).pack for model in models]
