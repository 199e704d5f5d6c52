"""What a round chooses is the same wherever it is chosen, and another follows where that may help."""

import pickle
from dataclasses import replace

import pytest
from fakes.builders import (
    NEGATIVE_SEEDS,
    POSITIVE_SEEDS,
    add_and_choose,
    make_exemplar,
    make_level,
    make_model,
    make_seeds,
    make_state,
    make_test_plan,
    make_trait,
)
from fakes.word_vectors import WordVectors

from engine.asking.plan import MIN_HOPELESS
from engine.choosing.findings import LOOK_AT_SEEDS, MORE_SEEDS, list_missing, list_rechecked
from engine.choosing.probe import Probe
from engine.choosing.recheck import Recheck
from engine.choosing.run_state import REPLY_REASONS, RunState
from engine.domain.definition import TraitType
from engine.domain.model import POLES, Attached, Seed
from engine.domain.samples import Exemplar, Reason, count_reasons
from engine.run.rounds import add_exemplars, adopt_decision, plan_next_round

OTHER = [Attached("clarity", f"text {number}", 1.0, "a shed") for number in range(3)]
EIGHT_SEEDS = tuple(Seed("clarity", f"text {at}", float(at % 2), "samples.jsonl:1") for at in range(16))
VARIATION = Attached("clarity", "a varied text", 1.0, "a shed", seed_sha256=make_seeds()[0].sha256)


MODEL = make_model(seeds=make_seeds(), attached=(*OTHER, VARIATION), held_out=tuple(OTHER))
PLAN = make_test_plan(MODEL, make_level(2))


def make_exemplars() -> list[Exemplar]:
    texts = dict(zip(POLES, (POSITIVE_SEEDS, NEGATIVE_SEEDS), strict=True))
    return [make_exemplar(f"{text} Indeed.", pole, index) for pole in POLES for index, text in enumerate(texts[pole])]


def reject(state: RunState, *reasons: Reason) -> RunState:
    """The state after a round, of which all is rejected."""
    state, _ = plan_next_round(state)
    return add_and_choose(
        state, [make_exemplar("A text.", "positive", index, reason=reason) for index, reason in enumerate(reasons)]
    )


def test_choice_that_another_process_makes_is_the_one_that_is_made_here() -> None:
    state = make_state(PLAN, planned=True)
    here = add_and_choose(state, make_exemplars())
    elsewhere, choose = add_exemplars(state, make_exemplars(), WordVectors())
    sent = pickle.dumps(choose)
    elsewhere = adopt_decision(elsewhere, pickle.loads(sent)())

    assert 4 == len(here.choice.chosen)
    assert here == elsewhere
    assert plan_next_round(here) == plan_next_round(elsewhere)
    # The state before the round is as it was.
    assert ((), ()) == (state.exemplars, state.choice.chosen)
    # Samples that say nothing of a choice are not sent along.
    assert [False, True] == [text.encode() in sent for text in (OTHER[0].text, str(VARIATION.seed_sha256))]
    assert (4, 3) == (len(elsewhere.plan.model.existing.attached), len(elsewhere.plan.model.existing.held_out))


HOPELESS: list[Reason] = ["wrong_language"] * MIN_HOPELESS


@pytest.mark.parametrize(
    ("reasons", "hopeless"),
    [
        *(([reason] * MIN_HOPELESS, True) for reason in sorted(REPLY_REASONS)),
        ([*HOPELESS, "duplicate", "near_duplicate", "cell_failed"], True),
        (HOPELESS[:-1], False),
        ([*HOPELESS[:-1], "cell_failed"], False),
        ([*HOPELESS[:-1], "duplicate"], False),
        ([*HOPELESS, "too_short"], False),
    ],
)
def test_no_round_follows_a_first_one_of_which_no_reply_can_be_used(reasons: list[Reason], hopeless: bool) -> None:
    first = reject(make_state(PLAN), *reasons)

    assert hopeless == first.is_hopeless
    assert hopeless == (plan_next_round(first) == (first, ()))
    # Later rounds go on.
    later = reject(reject(make_state(PLAN), "duplicate"), *reasons)
    assert plan_next_round(later)[1]


def test_what_lacks_is_explained_with_its_reasons_and_counted() -> None:
    state = reject(make_state(PLAN), "too_short", "too_short", "cell_failed")
    positive, negative = list_missing(state)

    assert ("missing_exemplars", "critical", "clarity", "positive") == (
        positive.code,
        positive.severity,
        positive.trait,
        positive.pole,
    )
    assert {"quota": 2, "missing": 2, "rounds": 1} == positive.numbers
    assert str(positive).startswith("clarity, positive: 0 of 2 for 'Clear', 2 lacking after 1 round. 3 rejected: 2 × ")
    assert "Nothing came back for it." == negative.remedy
    assert {"too_short": 2, "cell_failed": 1} == count_reasons(state.choice.rejected)
    assert {("clarity", pole): 0 for pole in POLES} == state.count_kept()


@pytest.mark.parametrize(
    ("kind", "judged", "told"),
    # A judge confirms the labels; the encoder sees nothing of claims.
    [("spectrum", False, True), ("topic", False, True), ("spectrum", True, False), ("claim", False, False)],
)
def test_inseparable_poles_are_reported_unless_a_judge_confirms_them(kind: TraitType, judged: bool, told: bool) -> None:
    same = [make_exemplar(f"The shed {index} is red.", pole, index) for index in range(40) for pole in POLES]
    state = make_state(make_test_plan(make_model(make_trait(type=kind)), make_level(1)), *same)
    state = replace(state, judge_aucs={"clarity": 0.9} if judged else {})
    severities = [
        (item.trait, item.severity)
        for is_strict in (False, True)
        for item in list_rechecked(state, "attached", is_strict)
        if item.code == "inseparable"
    ]

    assert ([("clarity", "warning"), ("clarity", "critical")] if told else []) == severities


@pytest.mark.parametrize(
    ("auc", "texts", "seeds", "told"),
    [
        (
            0.22,
            6,
            (),
            "separated no better than by chance in the 12 kept samples (AUC 0.22, perhaps by chance, ",
        ),
        (0.5, 40, (), "separated no better than by chance in the 80 kept samples (AUC 0.50). Read ten"),
        (0.66, 40, EIGHT_SEEDS, "hardly separated in the 80 kept samples (AUC 0.66, perhaps by chance"),
    ],
)
def test_every_trait_with_hardly_separated_poles_has_one_warning(
    auc: float, texts: int, seeds: tuple[Seed, ...], told: str
) -> None:
    state = make_state(make_test_plan(make_model(seeds=seeds), make_level(texts)))
    probe = Probe("clarity", auc, scores=((True, 0.0), (False, 0.0)) * texts)
    state = replace(state, recheck=Recheck((probe,)))
    [finding] = list_rechecked(state, "attached")
    attached, [proposed] = str(finding), map(str, list_rechecked(state, "proposed"))

    assert ("hardly_separated", {"auc": auc, "samples": 2 * texts}) == (finding.code, finding.numbers)
    assert f"clarity: Clear and Obscure are {told}" in attached
    assert (LOOK_AT_SEEDS if seeds else MORE_SEEDS) in attached
    assert (True, False) == tuple("exemplars detach" in sentence for sentence in (attached, proposed))


@pytest.mark.parametrize(
    ("auc", "texts", "word"),
    [
        (None, 0, ""),
        (0.2, 6, "no better than by chance"),
        (0.51, 160, "no better than by chance"),
        (0.6, 6, "no better than by chance"),
        (0.6, 40, "hardly"),
        (0.69, 40, "hardly"),
        (0.7, 4, "partly"),
        (0.85, 8, "clearly"),
    ],
)
def test_what_chance_gives_is_called_chance(auc: float | None, texts: int, word: str) -> None:
    probe = Probe("clarity", auc, scores=((True, 0.0), (False, 0.0)) * texts)

    assert (word, word.startswith(("no", "hardly"))) == (probe.separable, probe.is_inseparable)
