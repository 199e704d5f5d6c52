"""The choice meets the quota exactly, in pairs where it can, and gives every other exemplar its reason."""

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from fakes.builders import make_exemplar, make_level, make_model, make_test_plan, make_trait
from hypothesis import given
from hypothesis import strategies as st

from engine.domain.model import POLES, Pole
from engine.domain.samples import Exemplar, Reason
from engine.planning.plan import Plan
from engine.selection.choice import MIN_MARGIN, Choice, ChoiceContext, choose_exemplars, keep_earlier_choice

CLARITY = ("clarity", "positive"), ("clarity", "negative")


def plan_of(wanted: int, *traits: str) -> Plan:
    return make_test_plan(make_model(*(make_trait(key) for key in traits or ("clarity",))), make_level(wanted))


def make_pair(index: int, positive: float, negative: float) -> list[Exemplar]:
    """The two exemplars of one subject with the judge's odds."""
    return [
        make_exemplar(f"positive {index}", "positive", index, odds=positive),
        make_exemplar(f"negative {index}", "negative", index, odds=negative),
    ]


def choose_judged(plan: Plan, made: Sequence[Exemplar]) -> Choice:
    """The choice by the odds alone, as for a weak model."""
    return choose_exemplars(
        plan, made, ChoiceContext({exemplar.key: exemplar.odds or 0.0 for exemplar in made}, strict=True)
    )


def list_keys(exemplars: Sequence[Exemplar]) -> list[str]:
    return [exemplar.key for exemplar in exemplars]


def reason_of(choice: Choice, exemplar: Exemplar) -> Reason | None:
    return {rejected.key: rejected.reason for rejected in choice.rejected}[exemplar.key]


def test_nothing_is_chosen_of_nothing() -> None:
    choice = choose_exemplars(plan_of(3), ())

    assert ((), ()) == (choice.chosen, choice.rejected)
    assert dict.fromkeys(CLARITY, 3) == choice.shortfall
    assert not choice.complete


def test_quota_is_met_exactly_and_the_rest_is_surplus() -> None:
    made = [make_exemplar(f"text {index}", pole, index) for index in range(5) for pole in POLES]
    choice = choose_exemplars(plan_of(3), made)

    assert [3, 3] == [choice.count("clarity", pole) for pole in POLES]
    assert dict.fromkeys(CLARITY, 0) == choice.shortfall
    assert choice.complete
    assert {"surplus"} == {exemplar.reason for exemplar in choice.rejected}
    assert list_keys(made[:6]) == list_keys(choice.chosen)


def test_lack_is_counted_by_trait_and_pole() -> None:
    made = [make_exemplar("one", "positive", 0), make_exemplar("two", "negative", 1), make_exemplar("3", "negative", 2)]
    choice = choose_exemplars(plan_of(2, "clarity", "tone"), made)

    shortfall = {
        ("clarity", "positive"): 1,
        ("clarity", "negative"): 0,
        ("tone", "positive"): 2,
        ("tone", "negative"): 2,
    }
    assert shortfall == choice.shortfall
    assert not choice.complete
    assert [1, 2, 0] == [
        choice.count("clarity", "positive"),
        choice.count("clarity", "negative"),
        choice.count("tone", "positive"),
    ]


def test_quota_is_met_for_each_trait_by_itself() -> None:
    made = [
        make_exemplar(f"{trait} {i}", pole, i, trait)
        for trait in ("clarity", "tone")
        for i in range(4)
        for pole in POLES
    ]
    choice = choose_exemplars(plan_of(2, "clarity", "tone"), made)

    assert Counter({(trait, pole): 2 for trait in ("clarity", "tone") for pole in POLES}) == Counter(
        (exemplar.trait, exemplar.pole) for exemplar in choice.chosen
    )


def test_rejected_exemplar_is_never_chosen_and_keeps_its_reason() -> None:
    made = [
        make_exemplar("one", "positive", 0, reason="too_long"),
        make_exemplar(None, "positive", 1, reason="cell_failed"),
        make_exemplar("three", "positive", 2),
    ]
    choice = choose_exemplars(plan_of(3), made)

    assert list_keys(made[2:]) == list_keys(choice.chosen)
    assert ["too_long", "cell_failed"] == [exemplar.reason for exemplar in choice.rejected]


def test_whole_pairs_are_taken_before_half_ones_where_nobody_judges() -> None:
    made = [
        make_exemplar("half", "positive", 0),
        make_exemplar("half too", "negative", 1),
        make_exemplar("whole", "positive", 2),
        make_exemplar("whole", "negative", 2),
        make_exemplar("whole", "positive", 3),
        make_exemplar("whole", "negative", 3),
    ]
    two = choose_exemplars(plan_of(2), made)
    three = choose_exemplars(plan_of(3), made)

    assert list_keys(made[2:]) == list_keys(two.chosen)
    assert frozenset({"clarity/00002", "clarity/00003"}) == two.paired
    assert list_keys(made) == list_keys(three.chosen)
    assert frozenset({"clarity/00002", "clarity/00003"}) == three.paired


def test_half_pairs_fill_up_in_cell_order_where_nobody_judges() -> None:
    made = [make_exemplar(f"text {index}", "positive", index) for index in range(4)]

    assert list_keys(made[:3]) == list_keys(choose_exemplars(plan_of(3), made).chosen)
    assert list_keys(made[:3]) == list_keys(choose_exemplars(plan_of(3), made[::-1]).chosen)


def test_pair_with_a_rejected_member_is_no_whole_pair() -> None:
    made = [
        make_exemplar("one", "positive", 0),
        make_exemplar("two", "negative", 0, reason="too_short"),
        make_exemplar("three", "positive", 1),
        make_exemplar("four", "negative", 1),
    ]

    assert list_keys(made[2:]) == list_keys(choose_exemplars(plan_of(1), made).chosen)


def test_judged_pairs_are_chosen_by_the_widest_margin() -> None:
    made = [*make_pair(0, 2.0, 0.0), *make_pair(1, 9.0, -1.0), *make_pair(2, -1.0, -6.0), *make_pair(3, 3.0, 0.0)]
    choice = choose_judged(plan_of(2), made)

    assert list_keys([*made[2:4], *made[4:6]]) == list_keys(choice.chosen)
    assert frozenset({"clarity/00001", "clarity/00002"}) == choice.paired
    assert {"surplus"} == {exemplar.reason for exemplar in choice.rejected}


def test_of_equal_margins_the_first_in_cell_order_is_chosen() -> None:
    made = [exemplar for index in range(4) for exemplar in make_pair(index, 2.0, -2.0)]

    for arrived in (made, made[::-1]):
        assert list_keys(made[:4]) == list_keys(choose_judged(plan_of(2), arrived).chosen)


def test_best_positive_and_best_negative_of_a_subject_make_its_pair() -> None:
    made = [
        make_exemplar("p", "positive", 0, odds=1.0, draw=0),
        make_exemplar("best p", "positive", 0, odds=4.0, draw=1),
        make_exemplar("n", "negative", 0, odds=-1.0, draw=0),
        make_exemplar("best n", "negative", 0, odds=-3.0, draw=1),
    ]
    choice = choose_judged(plan_of(2), made)

    assert ["best p", "best n"] == [exemplar.text for exemplar in choice.chosen]
    assert {"surplus"} == {exemplar.reason for exemplar in choice.rejected}
    assert dict.fromkeys(CLARITY, 1) == choice.shortfall


def test_of_equally_good_drafts_the_first_in_cell_order_is_taken() -> None:
    made = [
        make_exemplar(f"{pole} {draw}", pole, order=2 * draw + (pole == "negative"), draw=draw, odds=odds)
        for draw in range(3)
        for pole, odds in zip(POLES, (2.0, -2.0), strict=True)
    ]

    for arrived in (made, made[::-1]):
        assert ["positive 0", "negative 0"] == [item.text for item in choose_judged(plan_of(1), arrived).chosen]


@pytest.mark.parametrize(
    ("margin", "reason"),
    [
        (MIN_MARGIN, None),
        (MIN_MARGIN - 0.01, "off_pole"),
        (0.0, "off_pole"),
        (-MIN_MARGIN + 0.01, "off_pole"),
        (-MIN_MARGIN, "wrong_label"),
        (-8.0, "wrong_label"),
    ],
)
def test_margin_of_a_pair_decides_between_kept_level_and_the_wrong_way_round(margin: float, reason: str | None) -> None:
    choice = choose_judged(plan_of(1), make_pair(0, margin, 0.0))

    assert (2 if reason is None else 0) == len(choice.chosen)
    assert ([] if reason is None else [reason] * 2) == [exemplar.reason for exemplar in choice.rejected]


def test_judged_half_pair_is_surplus_and_its_pole_lacks() -> None:
    made = [make_exemplar("alone", "positive", 0, odds=9.0), *make_pair(1, 2.0, -2.0)]
    choice = choose_judged(plan_of(2), made)

    assert list_keys(made[1:]) == list_keys(choice.chosen)
    assert "surplus" == reason_of(choice, made[0])
    assert dict.fromkeys(CLARITY, 1) == choice.shortfall


def test_exemplar_is_held_against_the_best_of_the_other_pole() -> None:
    made = [
        make_exemplar("good", "positive", 0, odds=3.0, draw=0),
        make_exemplar("level", "positive", 0, odds=0.0, draw=1),
        make_exemplar("wrong", "positive", 0, odds=-5.0, draw=2),
        make_exemplar("negative", "negative", 0, odds=-0.2, draw=0),
    ]
    choice = choose_judged(plan_of(1), made)

    assert ["good", "negative"] == [exemplar.text for exemplar in choice.chosen]
    assert ["off_pole", "wrong_label"] == [reason_of(choice, exemplar) for exemplar in made[1:3]]


def test_traits_are_chosen_each_by_itself() -> None:
    made = [
        *make_pair(0, 2.0, -2.0),
        make_exemplar("half", "positive", 0, "tone", odds=2.0),
        make_exemplar("half", "negative", 1, "tone", odds=-2.0),
    ]
    plan = plan_of(1, "clarity", "tone")

    assert list_keys(made[:2]) == list_keys(choose_judged(plan, made).chosen)
    assert list_keys(made) == list_keys(choose_exemplars(plan, made).chosen)


def test_barred_exemplar_is_on_the_wrong_side_and_its_place_is_filled() -> None:
    made = [exemplar for index in range(3) for exemplar in make_pair(index, 2.0 - index / 10, -2.0)]
    view = ChoiceContext(
        {exemplar.key: exemplar.odds or 0.0 for exemplar in made}, excluded=frozenset({made[0].key}), strict=True
    )
    choice = choose_exemplars(plan_of(2), made, view)

    assert list_keys(made[2:]) == list_keys(choice.chosen)
    assert ["wrong_label", "surplus"] == [reason_of(choice, exemplar) for exemplar in made[:2]]


def test_carrier_of_a_shortcut_is_chosen_last() -> None:
    made = [exemplar for index in range(3) for exemplar in make_pair(index, 2.0, -2.0)]
    marked = ChoiceContext(
        {exemplar.key: exemplar.odds or 0.0 for exemplar in made}, shortcut_carriers=frozenset({made[1].key})
    )

    assert list_keys(made[2:]) == list_keys(choose_exemplars(plan_of(2), made, marked).chosen)
    assert list_keys(made) == list_keys(choose_exemplars(plan_of(3), made, marked).chosen)


def test_of_pairs_as_good_those_far_from_one_another_are_chosen() -> None:
    made = [exemplar for index in range(3) for exemplar in make_pair(index, 2.0, -2.0)]
    near, far = np.array([1.0, 0.0]), np.array([0.0, 1.0])
    vectors = {exemplar.key: far if number >= 4 else near for number, exemplar in enumerate(made)}

    assert list_keys([*made[:2], *made[4:]]) == list_keys(
        choose_exemplars(plan_of(2), made, ChoiceContext({}, vectors)).chosen
    )


def test_what_was_selected_before_stands_for_the_same_pairs_only() -> None:
    made = [exemplar for index in range(4) for exemplar in make_pair(index, 1.0, -1.0)]
    vectors = {item.key: np.eye(8)[number] for number, item in enumerate(made)}
    before = ChoiceContext({item.key: item.odds or 0.0 for item in made}, vectors)
    choose_exemplars(plan_of(2), made, before)
    carriers = frozenset(item.key for item in made[:4])

    assert ["clarity"] == list(before.selections)
    for changed in (replace(before, exchanges={"clarity": 2}), replace(before, shortcut_carriers=carriers)):
        fresh = replace(changed, selections={})
        assert choose_exemplars(plan_of(2), made, fresh) == choose_exemplars(plan_of(2), made, changed)


def test_single_texts_fill_up_by_their_side_where_the_model_is_not_weak() -> None:
    made = [make_exemplar(f"text {index}", "positive", index) for index in range(3)]
    pole_scores = {made[0].key: -1.0, made[1].key: 2.0, made[2].key: 1.0}

    assert list_keys(made[1:]) == list_keys(choose_exemplars(plan_of(2), made, ChoiceContext(pole_scores)).chosen)


def test_pairs_of_a_trait_that_nothing_places_need_no_margin() -> None:
    """A weak model's exemplars are still chosen in pairs alone."""
    made = [exemplar for index in range(2) for exemplar in make_pair(index, 2.0, -2.0)]
    single = make_exemplar("single", "positive", 2)
    choice = choose_exemplars(plan_of(3), [*made, single], ChoiceContext(strict=True))

    assert list_keys(made) == list_keys(choice.chosen)
    assert "surplus" == reason_of(choice, single)


def test_margin_is_asked_of_the_traits_that_are_placed() -> None:
    placed = [
        make_exemplar(f"{pole} {draw}", pole, draw, "tone", odds=odds)
        for draw, odds in enumerate((2.0, 0.0))
        for pole in POLES
    ]
    pole_scores = {item.key: (item.odds or 0.0) * (1 if item.pole == "positive" else -1) for item in placed}
    made = [*make_pair(0, 0.0, 0.0), *placed]
    choice = choose_exemplars(plan_of(2, "clarity", "tone"), made, ChoiceContext(pole_scores, strict=True))

    assert list_keys([*made[:2], *placed[:2]]) == list_keys(choice.chosen)


def test_exemplar_of_a_trait_that_is_not_planned_is_surplus() -> None:
    stray = make_exemplar("stray", trait="another")
    choice = choose_exemplars(plan_of(1), [stray])

    assert ((), "surplus") == (choice.chosen, reason_of(choice, stray))


@st.composite
def draw_exemplars(draw: st.DrawFn) -> list[Exemplar]:
    """What rounds could leave: judged and unjudged traits, several draws, rejected ones among them."""
    made: list[Exemplar] = []
    for trait in ("clarity", "tone"):
        judged = draw(st.booleans())
        for index in range(draw(st.integers(0, 5))):
            for pole in POLES:
                for number in range(draw(st.integers(0, 2))):
                    made.append(_draw_one(draw, trait, index, pole, number, judged, len(made)))
    return made


def _draw_one(draw: st.DrawFn, trait: str, index: int, pole: Pole, number: int, judged: bool, order: int) -> Exemplar:
    reason: Reason | None = draw(st.sampled_from([None, None, None, "too_short"]))
    odds = draw(st.sampled_from([-9.0, -1.0, -0.5, 0.0, 0.4, 1.0, 9.0])) if judged and reason is None else None
    return make_exemplar(f"text {order}", pole, index, trait, reason, order, number, odds)


@given(draw_exemplars(), st.integers(1, 4))
def test_every_exemplar_is_chosen_or_rejected_exactly_once(made: list[Exemplar], wanted: int) -> None:
    choice = choose_exemplars(plan_of(wanted, "clarity", "tone"), made)

    assert sorted(list_keys(made)) == sorted([*list_keys(choice.chosen), *list_keys(choice.rejected)])
    assert all(exemplar.is_accepted for exemplar in choice.chosen)
    assert not any(exemplar.is_accepted for exemplar in choice.rejected)


@given(draw_exemplars(), st.integers(1, 4))
def test_no_quota_is_passed_and_lack_is_what_is_missing(made: list[Exemplar], wanted: int) -> None:
    choice = choose_exemplars(plan_of(wanted, "clarity", "tone"), made)

    for (trait, pole), lacking in choice.shortfall.items():
        count = sum(exemplar.trait == trait and exemplar.pole == pole for exemplar in choice.chosen)
        assert wanted - lacking == count == choice.count(trait, pole)
        assert 0 <= lacking <= wanted


@given(draw_exemplars(), st.integers(1, 4))
def test_judged_choice_is_made_of_pairs_the_right_way_round(made: list[Exemplar], wanted: int) -> None:
    choice = choose_judged(plan_of(wanted, "clarity", "tone"), made)
    pairs: dict[str, list[Exemplar]] = {}
    for exemplar in choice.chosen:
        pairs.setdefault(exemplar.pair_id, []).append(exemplar)

    for pair, members in pairs.items():
        odds = {member.pole: member.odds or 0.0 for member in members}
        assert (2, set(POLES)) == (len(members), set(odds))
        assert odds["positive"] - odds["negative"] >= MIN_MARGIN
        assert pair in choice.paired


@given(draw_exemplars(), st.integers(1, 4), st.randoms(use_true_random=False))
def test_choice_does_not_depend_on_the_order_of_arrival(made: list[Exemplar], wanted: int, rng: random.Random) -> None:
    plan = plan_of(wanted, "clarity", "tone")
    one = choose_exemplars(plan, made)
    other = choose_exemplars(plan, rng.sample(made, len(made)))

    assert one.chosen == other.chosen
    assert one.shortfall == other.shortfall
    assert one.paired == other.paired
    assert {item.key: item.reason for item in one.rejected} == {item.key: item.reason for item in other.rejected}
    assert one == choose_exemplars(plan, made)


def test_pair_of_one_length_is_chosen_over_one_told_apart_a_little_better() -> None:
    short, long = "one two three four five six", "one two three four five six seven eight nine ten eleven twelve"
    positive = make_exemplar(short, "positive", odds=2.0)
    negative = make_exemplar(long, "negative", odds=-2.2)
    level = make_exemplar(short + " more", "negative", draw=1, odds=-2.0)

    assert [positive.key, level.key] == list_keys(choose_judged(plan_of(1), [positive, negative, level]).chosen)


def test_text_on_its_subject_is_chosen_over_one_judged_a_little_better() -> None:
    on_subject = make_exemplar("Rotate the key on the first of the month.", "positive", odds=1.8)
    astray = make_exemplar("Water the flowers on the first of the month.", "positive", draw=1, odds=2.0)
    negative = make_exemplar("Keys may be rotated at some time by somebody.", "negative", odds=-2.0)

    assert [on_subject.key, negative.key] == list_keys(choose_judged(plan_of(1), [on_subject, astray, negative]).chosen)


def test_pair_that_lies_the_right_way_round_is_taken_before_a_better_looking_one_that_does_not() -> None:
    """The level text is on its subject and of one length with the negative, the clear one is not."""
    level = make_exemplar("Rotate the key on the first of the month.", "positive", odds=0.1)
    clear = make_exemplar("Water the flowers.", "positive", draw=1, odds=1.0)
    negative = make_exemplar("Keys may be rotated at some time by somebody.", "negative", odds=-0.2)

    assert [clear, negative] == list(choose_judged(plan_of(1), [level, clear, negative]).chosen)


def test_choice_that_is_kept_gives_the_later_reasons_to_the_rest() -> None:
    first = [exemplar for index in range(2) for exemplar in make_pair(index, 2.0, -2.0)]
    earlier = choose_judged(plan_of(2), first)
    since = [*make_pair(2, 9.0, -9.0), *make_pair(3, 0.0, 0.0)]
    kept = keep_earlier_choice(earlier, choose_judged(plan_of(2), [*first, *since]))

    assert (earlier.chosen, earlier.shortfall, earlier.paired) == (kept.chosen, kept.shortfall, kept.paired)
    assert ["surplus"] * 2 + ["off_pole"] * 2 == [reason_of(kept, exemplar) for exemplar in since]
    assert len(first) + len(since) == len(kept.chosen) + len(kept.rejected)


def test_reasons_are_counted_from_the_most_frequent() -> None:
    reasons: list[Reason] = ["refused", "too_long", "too_long", "duplicate"]
    rejected = tuple(make_exemplar(None, reason=reason) for reason in reasons)

    assert [("too_long", 2), ("duplicate", 1), ("refused", 1)] == list(
        Choice((), rejected, frozenset(), {}).count_reasons().items()
    )
    assert {} == Choice((make_exemplar("a text"),), (), frozenset(), {}).count_reasons()


@pytest.mark.parametrize("strict", [False, True])
def test_quotas_of_the_poles_may_differ(strict: bool) -> None:
    """A weak model's texts are held against their pairs nevertheless, and the half that is not wanted is to spare."""
    made = [item for index in range(4) for item in make_pair(index, 2.0, -2.0 if index else 2.0)]
    quotas: dict[tuple[str, Pole], int] = {("clarity", "positive"): 3, ("clarity", "negative"): 1}
    plan = replace(plan_of(4), lacking=quotas)
    choice = choose_judged(plan, made) if strict else choose_exemplars(plan, made)

    assert [3, 1] == [choice.count("clarity", pole) for pole in POLES]
    assert choice.complete
    assert 1 == len(choice.paired)
    assert {"surplus"} <= {exemplar.reason for exemplar in choice.rejected}
    assert not strict or "positive 0" not in [exemplar.text for exemplar in choice.chosen]
    none = replace(plan, lacking=dict.fromkeys(quotas, 0))
    assert ((), True) == ((empty := choose_exemplars(none, made)).chosen, empty.complete)
