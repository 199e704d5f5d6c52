"""What the probe names and what carries a shortcut is replaced where there is something to replace it with, and the
next round's cells are told of it."""

import random
from dataclasses import replace

import pytest
from fakes.builders import (
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

from engine.asking.plan import CellHints, Plan, plan_round
from engine.asking.prompts import write_chat_prompt, write_plain_prompt
from engine.choosing.choice import Choice, ChoiceContext, choose_exemplars
from engine.choosing.findings import (
    ADD_SEEDS,
    LEARNED_INSTEAD,
    LEVEL_SEEDS,
    NAMED_IDS,
    NOT_SHOWN,
    SAY_IN_BRIEF,
    list_rechecked,
)
from engine.choosing.probe import Probe
from engine.choosing.recheck import Recheck, choose_rechecked, decide, make_hints
from engine.choosing.shortcuts import Kind, Shortcut
from engine.domain.definition import Pole
from engine.domain.model import POLES, Seed
from engine.domain.samples import Exemplar, make_id
from engine.run.rounds import plan_next_round

WORDS = "page server cache key order user file link mail form table index report ticket folder".split()
# Many words for each manner, so that none of them tells the poles apart by itself.
MANNERS: dict[Pole, list[str]] = {
    "positive": "we you here now soon then go look ask try send read".split(),
    "negative": "pursuant thereof herein whereby governance regime tier scope modality aforesaid inter nexus".split(),
}


def make_set(count: int, start: int = 0, first: dict[Pole, str] | None = None, flipped: bool = False) -> list[Exemplar]:
    """Pairs that differ by the words of their pole's manner; ``first`` begins a pole's texts."""
    rng = random.Random(start)
    made = []
    for index in range(start, start + count):
        for pole, other in zip(POLES, POLES[::-1], strict=True):
            options = MANNERS[other if flipped else pole]
            words = " ".join([*rng.sample(WORDS, 4), *rng.sample(options, 6), *rng.sample(WORDS, 2)])
            made.append(make_exemplar(f"{(first or {}).get(pole, '')} {words}.".strip(), pole, index))
    return made


def plan_of(wanted: int, replacement_rounds: int = 1) -> Plan:
    return make_test_plan(make_model(), make_level(wanted, replacement_rounds=replacement_rounds))


def recheck_made(plan: Plan, made: list[Exemplar]) -> tuple[Choice, Recheck]:
    decision = decide(plan, made, {}, WordVectors(), only_clear=False)
    return decision.choice, decision.recheck


def keys(exemplars: list[Exemplar]) -> set[str]:
    return {exemplar.key for exemplar in exemplars}


def test_pair_on_the_wrong_side_is_replaced_by_one_that_is_not_where_the_effort_does() -> None:
    good, flipped, spare = make_set(9), make_set(1, start=9, flipped=True), make_set(1, start=10)
    plan = plan_of(10)
    without, review = recheck_made(plan, [*good, *flipped])
    choice, after = recheck_made(plan, [*good, *flipped, *spare])
    named, only_named = recheck_made(plan_of(10, replacement_rounds=0), [*good, *flipped, *spare])

    assert keys(flipped) == review.wrong_side
    assert keys([*good, *flipped]) == keys(list(without.chosen))
    assert keys([*good, *spare]) == keys(list(choice.chosen))
    assert ["wrong_label"] * 2 == [item.reason for item in choice.rejected]
    assert frozenset() == after.to_replace
    assert 20 == len(named.chosen)
    assert ["surplus"] * 2 == [item.reason for item in named.rejected]
    assert only_named.wrong_side <= keys([*good, *flipped])


def write_next(plan: Plan, made: list[Exemplar]) -> tuple[Recheck, dict[tuple[str, Pole], CellHints], dict[Pole, str]]:
    """The review of these, what it hints at for the next round, and the prompts of its first cells."""
    choice, review = recheck_made(plan, made)
    hints = make_hints(plan, choice, review, {})
    cells = plan_round(plan, 2, plan.quotas, plan_round(plan, 1, plan.quotas), hints=hints)
    return review, hints, {cell.pole: write_chat_prompt(plan, cell).user for cell in cells[:2]}


def test_texts_that_begin_alike_at_one_pole_are_warned_of_and_countered() -> None:
    made = make_set(10, first={"negative": "Perhaps"})
    review, hints, prompts = write_next(plan_of(10), made)

    assert "opening" in {item.kind for item in review.shortcuts}
    assert len(hints["clarity", "negative"].openings) > 1
    assert "Begin otherwise than " in prompts["negative"]
    assert keys([item for item in made if item.pole == "negative"]) == review.carriers
    assert [(), ("perhaps",)] == [hints["clarity", pole].banned for pole in POLES]
    assert 'Do without "perhaps": too many of these texts have it' in prompts["negative"]
    assert "Do without" not in prompts["positive"]


def test_pole_that_is_longer_is_warned_of_and_both_poles_are_told_one_length() -> None:
    begins = "This one goes on for quite some time before it says what it says, and so"
    review, hints, prompts = write_next(plan_of(10), make_set(10, first={"positive": begins}))
    one, other = ([line for line in prompts[pole].splitlines() if line.startswith("Length: ")] for pole in POLES)

    assert "length" in {item.kind for item in review.shortcuts}
    assert hints["clarity", "positive"].words == hints["clarity", "negative"].words is not None
    assert one == other
    assert one[0].endswith("words, no fewer and no more")


def test_best_texts_are_the_late_shots_of_a_pole_without_seeds_and_the_contrast_of_the_other() -> None:
    plan = plan_of(2)
    made = [make_exemplar(f"Text {index} of {pole}.", pole, index) for index in range(2) for pole in POLES]
    pole_scores = {item.key: index * (1.0 if item.pole == "positive" else -1.0) for index, item in enumerate(made)}
    choice, review = recheck_made(plan, made)
    hints = make_hints(plan, choice, review, pole_scores)
    cells = [plan_round(plan, number, plan.quotas, hints=hints)[0] for number in (3, 4)]
    third, fourth = [write_plain_prompt(plan, cell).user for cell in cells]

    assert [("moving a database", "Text 1 of positive."), ("rotating a key", "Text 0 of positive.")] == list(
        hints["clarity", "positive"].shots
    )
    assert ["Text 1 of negative.", "Text 1 of positive."] == [hints["clarity", pole].contrast for pole in POLES]
    assert 1 == third.count("Topic:")
    assert "Topic: moving a database\nClear: Text 1 of positive.\n" in fourth
    seeded = replace(plan, model=make_model(seeds=make_seeds()))
    seeded_hints = make_hints(seeded, choice, review, pole_scores).values()
    assert [((), "")] * 2 == [(item.shots, item.contrast) for item in seeded_hints]


def make_marked(count: int, start: int, marked: int, flipped: bool = False) -> list[Exemplar]:
    """Pairs of which the first have a word, though not the first one, in the positive text alone."""
    return [
        replace(item, text=f"Page {'perhaps' if item.pole == 'positive' and place < 2 * marked else 'key'} {item.text}")
        for place, item in enumerate(make_set(count, start, flipped=flipped))
    ]


def count_perhaps(choice: Choice) -> int:
    return sum("perhaps" in (item.text or "") for item in choice.chosen)


def test_word_that_eight_pairs_are_too_few_to_call_a_shortcut_is_exchanged_away() -> None:
    made = [*make_marked(8, 0, marked=7), *make_marked(8, 8, marked=0)]
    choice, review = recheck_made(plan_of(8, replacement_rounds=0), made)

    assert 7 == count_perhaps(recheck_made(plan_of(8, replacement_rounds=0), made[:16])[0])
    assert count_perhaps(choice) <= 4
    assert 8 == len(choice.paired)
    assert () == review.shortcuts


@pytest.mark.parametrize("flipped", [True, False])
def test_nothing_is_exchanged_where_the_probe_would_do_worse(flipped: bool) -> None:
    plan = plan_of(8, replacement_rounds=0)
    made = [*make_marked(8, 0, marked=7), *make_marked(8, 8, marked=0, flipped=flipped)]
    choice, _ = choose_rechecked(plan, made, ChoiceContext(), WordVectors())

    assert (choose_exemplars(plan, made).chosen == choice.chosen) == flipped


def make_told_plan(wanted: int) -> Plan:
    """A plan whose trait is placed by its paraphrases, which have the words of the poles' manners."""
    positive, negative = ((" ".join(MANNERS[pole]),) for pole in POLES)
    trait = make_trait(positive_paraphrase=positive, negative_paraphrase=negative)
    return make_test_plan(make_model(trait), make_level(wanted))


@pytest.mark.parametrize("replacement_rounds", [0, 1, 2])
def test_rounds_are_spent_on_what_is_named_as_the_effort_has_them(replacement_rounds: int) -> None:
    state = make_state(plan_of(10, replacement_rounds), planned=True)
    needed, followed = state.choice.complete, 0
    state = add_and_choose(state, make_set(10, first={"negative": "Perhaps"}))
    while (planned := plan_next_round(state))[1]:
        state, cells = planned
        followed += 1
        assert state.choice.complete
        assert {"negative"} == {cell.pole for cell in cells}
        state = add_and_choose(state, [])

    assert not needed
    assert replacement_rounds == followed
    assert state.choice.complete
    assert "shortcut_word" in [finding.code for finding in list_rechecked(state, "attached")]


MORE_ROUNDS = "give the effort more replacement_rounds (data/effort.yaml)"


@pytest.mark.parametrize(
    ("kind", "seeds", "strict", "level", "advice"),
    [
        ("word", (), False, {}, f"run at effort medium or higher, or {MORE_ROUNDS}, or {SAY_IN_BRIEF}."),
        (
            "word",
            (),
            False,
            {"effort": "medium"},
            f"run at effort high or higher, or {MORE_ROUNDS}, or {SAY_IN_BRIEF}.",
        ),
        ("word", (), False, {"effort": "max"}, f"{MORE_ROUNDS}, or {SAY_IN_BRIEF}."),
        # No single text carries it.
        ("punctuation", (), False, {}, f"{SAY_IN_BRIEF}."),
        ("word", make_seeds(), False, {"replacement_rounds": 1}, f"{LEVEL_SEEDS}, or {SAY_IN_BRIEF}."),
        ("word", make_seeds(), True, {"effort": "max"}, f"{MORE_ROUNDS}, or {LEVEL_SEEDS}. {NOT_SHOWN}"),
        ("word", (), True, {"replacement_rounds": 1}, f"{ADD_SEEDS}. {NOT_SHOWN}"),
    ],
)
def test_shortcut_is_told_with_what_helps_the_model_and_effort_of_the_run(
    kind: Kind, seeds: tuple[Seed, ...], strict: bool, level: dict[str, object], advice: str
) -> None:
    plan = make_test_plan(make_model(seeds=seeds), make_level(10, **level))
    recheck = Recheck(shortcuts=(Shortcut("clarity", kind, "perhaps", "negative", 1.0),))
    state = replace(make_state(plan, only_clear=strict, planned=True), recheck=recheck)
    [finding] = list_rechecked(state, "attached")

    assert (f"shortcut_{kind}", {"auc": 1.0}) == (finding.code, finding.numbers)
    assert str(finding).endswith(f"(AUC 1.00). {LEARNED_INSTEAD}: {advice}")


def test_text_on_the_wrong_side_is_named_with_the_command_that_removes_it() -> None:
    plan = make_test_plan(make_model(), make_level(10))
    state = make_state(plan, *make_set(10), planned=True)
    keys = [item.key for item in state.choice.chosen]
    first = make_id(plan.model.handle, "clarity", state.choice.chosen[0].text or "")
    state = replace(state, recheck=Recheck((Probe("clarity", 0.9, (keys[0],)),)))
    statuses = ("attached", "proposed", "rejected")
    [finding], [proposed], [rejected] = (list_rechecked(state, status) for status in statuses)
    state = replace(state, recheck=Recheck((Probe("clarity", 0.9, tuple(keys[: NAMED_IDS + 2])),)))
    [many] = list_rechecked(state, "attached")

    assert ("wrong_side", (first,), {"samples": 20}) == (finding.code, finding.sample_ids, finding.numbers)
    assert str(finding).endswith(f"remove those with a wrong label: exemplars remove {plan.model.handle} {first}")
    assert proposed.remedy.endswith(f"when you attach: --leave-out {first}")
    assert "Read the samples that the report's table marks." == rejected.remedy
    assert "marks (2 more there), and" in many.remedy
    assert (NAMED_IDS, NAMED_IDS + 2) == (len(many.command.split()) - 3, len(many.sample_ids))


def test_set_that_was_complete_stays_when_a_later_round_makes_it_less() -> None:
    """What comes later lies so far apart that the margins of before become too narrow by comparison."""
    first = make_state(make_told_plan(4), *make_set(8), only_clear=True, planned=True)
    second = add_and_choose(
        first,
        [make_exemplar(" ".join(MANNERS["positive"] * 4) + f" {index}", index=100 + index) for index in range(20)],
    )

    assert first.choice.complete
    assert second.choice.complete
    assert len(second.exemplars) == len(second.choice.chosen) + len(second.choice.rejected)
