"""The choice meets the quota exactly, in pairs where it can, and gives every other exemplar its reason."""

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from fakes.builders import make_exemplar, make_level, make_model, make_test_plan, make_trait
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.asking.plan import Plan
from engine.choosing.choice import MIN_MARGIN, Choice, ChoiceContext, choose_exemplars, keep_earlier_choice
from engine.domain.definition import Pole
from engine.domain.model import POLES
from engine.domain.samples import Exemplar, Reason, count_reasons

CLARITY: dict[Pole, tuple[str, Pole]] = {pole: ("clarity", pole) for pole in POLES}
PLACES = {"positive": 1, "negative": -1}


def plan_of(wanted: int, *traits: str) -> Plan:
    return make_test_plan(make_model(*(make_trait(key) for key in traits or ("clarity",))), make_level(wanted))


def make_pair(
    index: int, positive: float | None = None, negative: float | None = None, trait: str = "clarity", draw: int = 0
) -> list[Exemplar]:
    """The two exemplars of one subject with the judge's odds."""
    odds = {"positive": positive, "negative": negative}
    return [make_exemplar(f"{pole} {index}", pole, index, trait, draw=draw, odds=odds[pole]) for pole in POLES]


def make_pairs(
    count: int, positive: float | None = None, negative: float | None = None, trait: str = "clarity"
) -> list[Exemplar]:
    return [exemplar for index in range(count) for exemplar in make_pair(index, positive, negative, trait)]


def score(made: Sequence[Exemplar]) -> dict[str, float]:
    return {exemplar.key: exemplar.odds or 0.0 for exemplar in made}


def choose_judged(plan: Plan, made: Sequence[Exemplar]) -> Choice:
    """The choice by the odds alone, as for a weak model."""
    return choose_exemplars(plan, made, ChoiceContext(score(made), only_clear=True))


def list_keys(exemplars: Sequence[Exemplar]) -> list[str]:
    return [exemplar.key for exemplar in exemplars]


def reasons_of(choice: Choice, exemplars: Sequence[Exemplar]) -> list[Reason | None]:
    reasons = {rejected.key: rejected.reason for rejected in choice.rejected}
    return [reasons[exemplar.key] for exemplar in exemplars]


def test_quota_of_each_trait_is_met_exactly_and_the_rest_is_surplus() -> None:
    made = [*make_pairs(5), *make_pairs(4, trait="tone"), stray := make_exemplar("stray", trait="another")]
    choice = choose_exemplars(plan_of(3, "clarity", "tone"), made)

    assert list_keys([*made[:6], *made[10:16]]) == list_keys(choice.chosen)
    assert Counter({(trait, pole): 3 for trait in ("clarity", "tone") for pole in POLES}) == Counter(
        (exemplar.trait, exemplar.pole) for exemplar in choice.chosen
    )
    assert choice.complete
    assert {0} == {*choice.shortfall.values()}
    assert {"surplus"} == {*reasons_of(choice, [*made[6:10], stray])}
    assert {"surplus": 7} == count_reasons(choice.rejected)


def test_rejected_exemplar_is_never_chosen_keeps_its_reason_and_is_no_half_of_a_pair() -> None:
    made = [
        make_exemplar("one", "positive", 0, reason="too_long"),
        make_exemplar(None, "positive", 1, reason="cell_failed"),
        make_exemplar("two", "negative", 1),
        make_exemplar("three", "positive", 2),
        make_exemplar("four", "negative", 2),
    ]
    choice = choose_exemplars(plan_of(1), made)

    assert list_keys(made[3:]) == list_keys(choice.chosen)
    assert ["too_long", "cell_failed", "surplus"] == [exemplar.reason for exemplar in choice.rejected]
    assert {"cell_failed": 1, "surplus": 1, "too_long": 1} == count_reasons(choice.rejected)


def test_whole_pairs_are_taken_before_half_ones_which_fill_up_in_cell_order() -> None:
    half = [make_exemplar("half", "positive", 0), make_exemplar("half too", "positive", 1)]
    whole = [*make_pair(2), *make_pair(3)]

    for wanted, expected in ((2, whole), (3, [half[0], *whole])):
        for arrived in ([*half, *whole], [*whole, *half[::-1]]):
            choice = choose_exemplars(plan_of(wanted), arrived)
            assert list_keys(expected) == list_keys(choice.chosen)
            assert {"clarity/00002", "clarity/00003"} == choice.paired


def test_judged_pairs_are_chosen_by_the_widest_margin_and_of_equal_ones_the_first() -> None:
    made = [*make_pair(0, 2.0, 0.0), *make_pair(1, 9.0, -1.0), *make_pair(2, -1.0, -6.0), *make_pair(3, 3.0, 0.0)]
    choice = choose_judged(plan_of(2), made)

    assert list_keys(made[2:6]) == list_keys(choice.chosen)
    assert frozenset({"clarity/00001", "clarity/00002"}) == choice.paired
    assert {"surplus"} == {exemplar.reason for exemplar in choice.rejected}
    equal = make_pairs(4, 2.0, -2.0)
    for arrived in (equal, equal[::-1]):
        assert list_keys(equal[:4]) == list_keys(choose_judged(plan_of(2), arrived).chosen)


def test_best_positive_and_best_negative_of_a_subject_make_its_pair_and_of_equal_drafts_the_first() -> None:
    made = [*make_pair(0, 1.0, -1.0, draw=0), *make_pair(0, 4.0, -3.0, draw=1)]
    choice = choose_judged(plan_of(2), made)

    assert list_keys(made[2:]) == list_keys(choice.chosen)
    assert ["surplus"] * 2 == reasons_of(choice, made[:2])
    assert dict.fromkeys(CLARITY.values(), 1) == choice.shortfall
    equal = [
        replace(item, order=2 * draw + place)
        for draw in range(3)
        for place, item in enumerate(make_pair(0, 2.0, -2.0, draw=draw))
    ]
    for arrived in (equal, equal[::-1]):
        assert list_keys(equal[:2]) == list_keys(choose_judged(plan_of(1), arrived).chosen)


@pytest.mark.parametrize(
    ("margin", "reason"),
    [
        (MIN_MARGIN, None),
        (MIN_MARGIN - 0.01, "off_pole"),
        (-MIN_MARGIN + 0.01, "off_pole"),
        (-MIN_MARGIN, "wrong_label"),
    ],
)
def test_margin_of_a_pair_decides_between_kept_level_and_the_wrong_way_round(margin: float, reason: str | None) -> None:
    choice = choose_judged(plan_of(1), make_pair(0, margin, 0.0))

    assert (2 if reason is None else 0) == len(choice.chosen)
    assert ([] if reason is None else [reason] * 2) == [exemplar.reason for exemplar in choice.rejected]


def test_judged_half_pair_is_surplus_and_its_pole_lacks() -> None:
    halves = [make_exemplar("half", pole, index, "tone", odds=2.0) for index, pole in enumerate(POLES)]
    made, plan = [make_exemplar("alone", odds=9.0), *make_pair(1, 2.0, -2.0), *halves], plan_of(2, "clarity", "tone")
    choice = choose_judged(plan, made)

    assert list_keys(made[1:3]) == list_keys(choice.chosen)
    assert ["surplus"] * 3 == reasons_of(choice, [made[0], *halves])
    assert [1, 1, 2, 2] == [*choice.shortfall.values()]
    assert list_keys(made) == list_keys(choose_exemplars(plan, made).chosen)


def test_exemplar_is_held_against_the_best_of_the_other_pole() -> None:
    odds = {"good": 3.0, "level": 0.0, "wrong": -5.0}
    made = [
        make_exemplar(text, "positive", 0, odds=value, draw=draw) for draw, (text, value) in enumerate(odds.items())
    ]
    negative = make_exemplar("negative", "negative", 0, odds=-0.2)
    choice = choose_judged(plan_of(1), [*made, negative])

    assert list_keys([made[0], negative]) == list_keys(choice.chosen)
    assert ["off_pole", "wrong_label"] == reasons_of(choice, made[1:])


def test_barred_exemplar_is_on_the_wrong_side_and_its_place_is_filled() -> None:
    made = [exemplar for index in range(3) for exemplar in make_pair(index, 2.0 - index / 10, -2.0)]
    barred = ChoiceContext(score(made), excluded=frozenset({made[0].key}), only_clear=True)
    choice = choose_exemplars(plan_of(2), made, barred)

    assert list_keys(made[2:]) == list_keys(choice.chosen)
    assert ["wrong_label", "surplus"] == reasons_of(choice, made[:2])


def test_carrier_of_a_shortcut_is_chosen_last() -> None:
    made = make_pairs(3, 2.0, -2.0)
    marked = ChoiceContext(score(made), shortcut_carriers=frozenset({made[1].key}))

    assert list_keys(made[2:]) == list_keys(choose_exemplars(plan_of(2), made, marked).chosen)
    assert list_keys(made) == list_keys(choose_exemplars(plan_of(3), made, marked).chosen)


def test_of_pairs_as_good_those_far_from_one_another_are_chosen() -> None:
    made = make_pairs(3)
    near, far = np.array([1.0, 0.0]), np.array([0.0, 1.0])
    vectors = {exemplar.key: far if number >= 4 else near for number, exemplar in enumerate(made)}

    choice = choose_exemplars(plan_of(2), made, ChoiceContext({}, vectors))
    assert list_keys([*made[:2], *made[4:]]) == list_keys(choice.chosen)


def test_single_texts_fill_up_by_their_side_where_the_model_is_not_weak() -> None:
    for pole in POLES:
        made = [make_exemplar(f"text {index}", pole, index) for index in range(3)]
        scores = {item.key: PLACES[pole] * value for item, value in zip(made, (-1.0, 2.0, 1.0), strict=True)}
        assert list_keys(made[1:]) == list_keys(choose_exemplars(plan_of(2), made, ChoiceContext(scores)).chosen)


def test_margin_is_asked_of_the_traits_that_are_placed_and_pairs_of_all() -> None:
    """A weak model's exemplars are chosen in pairs alone, also where nothing places them."""
    placed = [*make_pair(0, 2.0, 2.0, "tone"), *make_pair(1, 0.0, 0.0, "tone")]
    scores = {item.key: (item.odds or 0.0) * PLACES[item.pole] for item in placed}
    single = make_exemplar("single", "positive", 2)
    made = [*make_pair(0, 0.0, 0.0), single, *placed]
    choice = choose_exemplars(plan_of(2, "clarity", "tone"), made, ChoiceContext(scores, only_clear=True))

    assert list_keys([*made[:2], *placed[:2]]) == list_keys(choice.chosen)
    assert ["surplus", "off_pole"] == reasons_of(choice, [single, placed[2]])


@st.composite
def draw_exemplars(draw: st.DrawFn) -> list[Exemplar]:
    """What rounds could leave: judged and unjudged traits, several draws, rejected ones among them."""
    made: list[Exemplar] = []
    for trait in ("clarity", "tone"):
        judged = draw(st.booleans())
        for index in range(draw(st.integers(0, 4))):
            for pole in POLES:
                for number in range(draw(st.integers(0, 2))):
                    reason: Reason | None = draw(st.sampled_from([None, None, None, "too_short"]))
                    odds = draw(st.sampled_from([-9.0, -0.5, 0.0, 0.4, 1.0, 9.0])) if judged and not reason else None
                    text = f"text {len(made)}"
                    made.append(make_exemplar(text, pole, index, trait, reason, len(made), number, odds))
    return made


@given(draw_exemplars(), st.integers(1, 4), st.randoms(use_true_random=False))
@settings(max_examples=50, database=None, derandomize=True)
def test_every_exemplar_is_chosen_or_rejected_once_within_the_quota_whatever_order_it_came_in(
    made: list[Exemplar], wanted: int, rng: random.Random
) -> None:
    plan = plan_of(wanted, "clarity", "tone")
    choice = choose_exemplars(plan, made)
    other = choose_exemplars(plan, rng.sample(made, len(made)))

    assert sorted(list_keys(made)) == sorted([*list_keys(choice.chosen), *list_keys(choice.rejected)])
    assert all(exemplar.is_accepted for exemplar in choice.chosen)
    assert not any(exemplar.is_accepted for exemplar in choice.rejected)
    for key, lacking in choice.shortfall.items():
        assert 0 <= lacking == wanted - len(choice.at(*key))
    assert (choice.chosen, choice.shortfall, choice.paired) == (other.chosen, other.shortfall, other.paired)
    assert {item.key: item.reason for item in choice.rejected} == {item.key: item.reason for item in other.rejected}


SHORT, LONG = "one two three four five six", "one two three four five six seven eight nine ten eleven twelve"
ON, ASTRAY = "Rotate the key on the first of the month.", "Water the flowers on the first of the month."
NEGATIVE = "Keys may be rotated at some time by somebody."


@pytest.mark.parametrize(
    ("texts", "chosen"),
    [
        ([(SHORT, "positive", 2.0), (LONG, "negative", -2.2), (f"{SHORT} more", "negative", -2.0)], [0, 2]),
        ([(ON, "positive", 1.8), (ASTRAY, "positive", 2.0), (NEGATIVE, "negative", -2.0)], [0, 2]),
        # The level text is on its subject and of one length with the negative, the clear one is not.
        ([(ON, "positive", 0.1), ("Water the flowers.", "positive", 1.0), (NEGATIVE, "negative", -0.2)], [1, 2]),
    ],
    ids=["of one length", "on its subject", "the right way round before all else"],
)
def test_pair_is_chosen_over_one_that_is_told_apart_a_little_better(
    texts: list[tuple[str, Pole, float]], chosen: list[int]
) -> None:
    made = [make_exemplar(text, pole, draw=draw, odds=odds) for draw, (text, pole, odds) in enumerate(texts)]

    assert [made[index].key for index in chosen] == list_keys(choose_judged(plan_of(1), made).chosen)


def test_choice_that_is_kept_gives_the_later_reasons_to_the_rest() -> None:
    first = make_pairs(2, 2.0, -2.0)
    earlier = choose_judged(plan_of(2), first)
    since = [*make_pair(2, 9.0, -9.0), *make_pair(3, 0.0, 0.0)]
    kept = keep_earlier_choice(earlier, choose_judged(plan_of(2), [*first, *since]))

    assert (earlier.chosen, earlier.shortfall, earlier.paired) == (kept.chosen, kept.shortfall, kept.paired)
    assert ["surplus"] * 2 + ["off_pole"] * 2 == reasons_of(kept, since)
    assert len(first) + len(since) == len(kept.chosen) + len(kept.rejected)


def test_reasons_are_counted_from_the_most_frequent() -> None:
    reasons: list[Reason] = ["refused", "too_long", "too_long", "duplicate"]
    rejected = [make_exemplar(None, reason=reason) for reason in reasons]

    assert [("too_long", 2), ("duplicate", 1), ("refused", 1)] == list(count_reasons(rejected).items())


@pytest.mark.parametrize("strict", [False, True])
def test_quotas_of_the_poles_may_differ(strict: bool) -> None:
    """A weak model's texts are held against their pairs nevertheless, and the half that is not needed is surplus."""
    made = [*make_pair(0, 2.0, 2.0), *(item for index in (1, 2, 3) for item in make_pair(index, 2.0, -2.0))]
    plan = replace(plan_of(4), missing={CLARITY["positive"]: 3, CLARITY["negative"]: 1})
    choice = choose_judged(plan, made) if strict else choose_exemplars(plan, made)

    assert [3, 1] == [len(choice.at("clarity", pole)) for pole in POLES]
    assert choice.complete
    assert 1 == len(choice.paired)
    assert {"surplus"} <= {exemplar.reason for exemplar in choice.rejected}
    assert not strict or made[0].key not in list_keys(choice.chosen)
    none = choose_exemplars(replace(plan, missing=dict.fromkeys(CLARITY.values(), 0)), made)
    assert ((), True) == (none.chosen, none.complete)
