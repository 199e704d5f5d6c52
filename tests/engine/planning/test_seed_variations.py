"""Seeds take turns, those between the poles are left out by name, and a variation must keep its seed's voice."""

import itertools
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import pytest
from fakes.builders import (
    NEGATIVE_SEEDS,
    POSITIVE_SEEDS,
    SCENARIO_POOL,
    make_exemplar,
    make_level,
    make_model,
    make_seeds,
    make_trait,
)
from fakes.provider import vary_text
from fakes.word_vectors import WordVectors

from engine.domain.model import POLES, Attached, Model, Pole, Seed, digest_text
from engine.domain.samples import Exemplar
from engine.errors import NoSeedsError
from engine.generation.prompts import VARIATION_SHOTS, write_chat_prompt, write_plain_prompt
from engine.generation.requests import make_chat_request, make_plain_request
from engine.planning.plan import Cell, Plan, RoundHistory, add_to_history, make_plan, plan_round
from engine.planning.seed_variations import (
    AS_SEED,
    bound_variation_length,
    check_seeds,
    count_seed_uses,
    find_seed_pole,
    list_unusable_seeds,
    list_usable_seeds,
    make_seed_key,
)
from engine.screening.screener import Screener
from engine.selection.choice import choose_exemplars
from engine.selection.rounds import Rounds
from engine.text.words import count_words

LONG_ENOUGH = "This seed has just enough words."


def plan_variations(model: Model | None = None, wanted: int = 4, **fields: object) -> Plan:
    given = model or make_model(seeds=make_seeds())
    return make_plan(given, "diversify", make_level(wanted, **fields), SCENARIO_POOL, 0, "prompts-1")


def vary_cell(cell: Cell, text: str | None = None) -> Exemplar:
    """What a good synth model makes of a cell."""
    assert cell.seed is not None
    return Exemplar(
        cell_id=cell.id,
        number=0,
        order=cell.order,
        trait=cell.trait,
        pole=cell.pole,
        scenario=cell.scenario,
        pair_id=cell.pair_id,
        text=vary_text(cell.seed.text, cell.id) if text is None else text,
        reason=None,
        seed_sha256=cell.seed.sha256,
    )


def count_seeds(cells: Sequence[Cell]) -> dict[Pole, list[int]]:
    """How often the seeds of each pole are asked for, in ascending order."""
    counts = {pole: Counter(cell.seed.sha256 for cell in cells if cell.seed and cell.pole == pole) for pole in POLES}
    return {pole: sorted(count.values()) for pole, count in counts.items()}


@pytest.mark.parametrize(
    ("quality", "pole"),
    [
        (0.0, "negative"),
        (0.25, "negative"),
        (0.26, None),
        (0.5, None),
        (0.74, None),
        (0.75, "positive"),
        (1.0, "positive"),
    ],
)
def test_seed_goes_to_the_nearer_pole_where_it_is_clear(quality: float, pole: Pole | None) -> None:
    assert pole == find_seed_pole(Seed("clarity", LONG_ENOUGH, quality))


def test_seeds_between_the_poles_are_left_out_by_name() -> None:
    between = Seed("clarity", LONG_ENOUGH, 0.5, "samples.jsonl:9")
    model = make_model(seeds=(*make_seeds(), between, Seed("clarity", LONG_ENOUGH, 0.8)))
    [skipped] = list_unusable_seeds(model)

    assert "seed samples.jsonl:9 for clarity" == skipped.what
    assert "its quality 0.5 is near neither pole, so it is not varied" == skipped.why
    assert [*POSITIVE_SEEDS, LONG_ENOUGH] == [seed.text for seed in list_usable_seeds(model, "clarity", "positive")]


def test_seed_of_a_few_words_is_left_out_by_name() -> None:
    model = make_model(
        seeds=(Seed("clarity", "Only four words here.", 1.0), Seed("clarity", "Five words are enough here.", 1.0))
    )

    assert ["seed 'Only four words here.' for clarity"] == [skipped.what for skipped in list_unusable_seeds(model)]
    assert ["Five words are enough here."] == [seed.text for seed in list_usable_seeds(model, "clarity", "positive")]


def test_text_that_is_authored_twice_is_one_seed() -> None:
    seeds = make_seeds()

    assert seeds[:3] == list_usable_seeds(make_model(seeds=(*seeds, *seeds)), "clarity", "positive")


def test_model_without_seeds_is_an_error() -> None:
    with pytest.raises(NoSeedsError, match=r"u22a8\.test has no authored samples to vary\. Name a source") as failure:
        check_seeds(make_model())

    assert 2 == failure.value.exit_code


def test_every_pole_without_seeds_is_named() -> None:
    model = make_model(make_trait(), make_trait("tone"), seeds=make_seeds()[:3])
    with pytest.raises(NoSeedsError) as failure:
        check_seeds(model)

    assert "for clarity, negative (Obscure); tone, positive (Clear); tone, negative (Obscure). Both" in str(
        failure.value
    )


def test_seeds_at_both_poles_are_no_error() -> None:
    check_seeds(make_model(seeds=make_seeds()))
    check_seeds(make_model(seeds=tuple(replace(seed, quality=abs(seed.quality - 0.2)) for seed in make_seeds())))


def test_seeds_between_the_poles_are_nothing_to_vary() -> None:
    with pytest.raises(NoSeedsError, match=r"quality of 0\.25 at most or 0\.75 at least"):
        check_seeds(make_model(seeds=tuple(replace(seed, quality=0.5) for seed in make_seeds())))


@pytest.mark.parametrize("wanted", [1, 2, 4, 7, 20])
def test_every_seed_is_asked_for_equally_often(wanted: int) -> None:
    cells = plan_round(
        plan_variations(wanted=wanted), 1, {("clarity", pole): wanted for pole in POLES}, RoundHistory({})
    )

    for counts in count_seeds(cells).values():
        assert max(counts) - min(counts) <= 1
        assert min(3, 2 * wanted) == len(counts)


def test_seeds_are_asked_for_equally_often_across_rounds_where_none_is_kept() -> None:
    plan, history, asked = plan_variations(wanted=2), RoundHistory({}), list[Cell]()
    for round_no in (1, 2, 3):
        cells = plan_round(plan, round_no, {("clarity", pole): 2 for pole in POLES}, history)
        history = add_to_history(history, cells)
        asked += cells

    assert {"positive": [8, 8, 8], "negative": [8, 8, 8]} == count_seeds(asked)


def test_later_round_asks_for_the_seeds_that_have_nothing_kept() -> None:
    plan = plan_variations(wanted=3)
    seeds = list_usable_seeds(plan.model, "clarity", "positive")
    kept = {make_seed_key(seed, "positive"): 1 for seed in seeds[:2]}
    cells = plan_round(plan, 2, {("clarity", "positive"): 1}, RoundHistory({}, kept=kept))

    assert {seeds[2]} == {cell.seed for cell in cells}


def test_later_run_begins_with_the_seeds_that_an_earlier_one_left() -> None:
    used = make_seeds()[0]
    attached = (Attached("clarity", "A text.", 1.0, "", used.sha256),)
    plan = plan_variations(make_model(seeds=make_seeds(), attached=attached), wanted=1)
    cells = plan_round(plan, 1, {("clarity", "positive"): 1}, RoundHistory({}))

    assert {("clarity", "positive", used.sha256): 1} == count_seed_uses(plan.model)
    assert set(make_seeds()[1:3]) == {cell.seed for cell in cells}


def test_two_cells_of_a_pair_share_the_subject_and_each_has_a_seed_of_its_pole() -> None:
    plan = plan_variations()
    cells = plan_round(plan, 1, plan.full_shortfall(), RoundHistory({}), draws=2)

    for _, group in itertools.groupby(cells, key=lambda cell: cell.pair_id):
        members = list(group)
        assert 1 == len({cell.scenario for cell in members})
        assert 2 == len({cell.seed for cell in members})
        assert all(cell.seed and find_seed_pole(cell.seed) == cell.pole for cell in members)


def test_scenario_of_a_variation_says_that_all_but_the_subject_is_its_seeds() -> None:
    plan = plan_variations()
    scenario = plan_round(plan, 1, plan.full_shortfall(), RoundHistory({}))[0].scenario

    assert (AS_SEED, AS_SEED, AS_SEED) == (scenario.audience, scenario.form, scenario.length)
    assert scenario.subject in SCENARIO_POOL.subjects[0]


def test_seed_on_another_subject_is_taken_first() -> None:
    seeds = (
        Seed("clarity", "Sharing a folder takes one click here.", 1.0),
        Seed("clarity", "Closing the ticket takes one click here.", 1.0),
        Seed("clarity", "Something obscure is effected in here.", 0.0),
    )
    plan = plan_variations(make_model(seeds=seeds), wanted=20)
    cells = [cell for cell in plan_round(plan, 1, plan.full_shortfall(), RoundHistory({})) if cell.pole == "positive"]
    pairs = [(one.seed, one.scenario.subject) for one in cells[::2]]

    assert not any(seed and seed.text.startswith("Closing") and "closing" in subject for seed, subject in pairs[:1])


def test_from_traits_varies_no_seed() -> None:
    plan = make_plan(make_model(seeds=make_seeds()), "from_traits", make_level(), SCENARIO_POOL, 0, "prompts-1")

    assert {None} == {cell.seed for cell in plan_round(plan, 1, plan.full_shortfall(), RoundHistory({}))}


def test_length_is_the_seeds() -> None:
    seed = Seed("clarity", " ".join(["word"] * 30), 1.0)

    assert (18, 48) == (bound_variation_length(seed).min_words, bound_variation_length(seed).max_words)


def test_chat_prompt_shows_the_seed_and_asks_for_its_length_and_another_subject() -> None:
    plan = plan_variations()
    for cell in plan_round(plan, 1, plan.full_shortfall(), RoundHistory({}))[:4]:
        assert cell.seed is not None
        prompt = write_chat_prompt(plan, cell, "English")
        user = prompt.user
        words = count_words(cell.seed.text)

        assert f"The text: {cell.seed.text}\n\n" in user
        assert f"Another subject: {cell.scenario.subject}\n" in user
        assert f"{words} words or nearly so ({round(0.6 * words)} to {round(1.6 * words)} words)" in user
        assert f'reads as "{make_trait().label(cell.pole)}" just as clearly' in (prompt.system or "")
        assert [] == [seed.text for seed in make_seeds() if seed != cell.seed and seed.text in user]


def test_plain_prompt_shows_the_seed_last_among_texts_of_its_pole() -> None:
    plan = plan_variations()
    for cell in plan_round(plan, 1, plan.full_shortfall(), RoundHistory({}))[:4]:
        assert cell.seed is not None
        user = write_plain_prompt(plan, cell).user
        field = plan.model.traits[0].label(cell.pole)
        shown = [seed for seed in make_seeds() if f"\n{field}: {seed.text}\n" in user]

        assert {cell.pole} == {seed.pole for seed in shown}
        assert 3 == len(shown) <= VARIATION_SHOTS + 1
        assert user.endswith(f"{field}: {cell.seed.text}\n\nTopic: {cell.scenario.subject}\n{field}:")


def test_longer_seed_gets_more_tokens() -> None:
    seeds = (*make_seeds(), Seed("clarity", " ".join(POSITIVE_SEEDS * 3), 1.0))
    plan = plan_variations(make_model(seeds=seeds))
    cells = {cell.seed: cell for cell in plan_round(plan, 1, plan.full_shortfall(), RoundHistory({}))}
    short, long = cells[seeds[0]], cells[seeds[-1]]

    assert make_plain_request(plan, short).max_tokens < make_plain_request(plan, long).max_tokens
    assert make_chat_request(plan, short, "English").max_tokens < make_chat_request(plan, long, "English").max_tokens


def test_variation_that_drifts_is_rejected_with_feature_and_seed_and_one_that_does_not_stands() -> None:
    plan = plan_variations()
    cell = plan_round(plan, 1, plan.full_shortfall(), RoundHistory({}))[0]
    loud = vary_cell(cell, "WOW!!! You can't believe this, we DID it... what a night, guys!!!")
    good = replace(vary_cell(cell), order=1)
    drifted, kept = Screener(plan, use_lengths=True).screen([loud, good])

    assert ("voice_drift", None) == (drifted.reason, kept.reason)
    assert drifted.detail.startswith("informal marks: ")
    assert drifted.detail.endswith(f"The seed: {POSITIVE_SEEDS[0][:80]}")


def test_copy_of_its_seed_is_a_copy_and_no_drift() -> None:
    plan = plan_variations()
    cell = plan_round(plan, 1, plan.full_shortfall(), RoundHistory({}))[0]
    assert cell.seed is not None
    [copied] = Screener(plan, use_lengths=True).screen([vary_cell(cell, cell.seed.text.replace("ten", "two"))])

    assert "seed_copy" == copied.reason


def test_drifted_text_is_nothing_to_be_a_duplicate_of() -> None:
    plan = plan_variations()
    cell = plan_round(plan, 1, plan.full_shortfall(), RoundHistory({}))[0]
    text = vary_text(POSITIVE_SEEDS[0], "one")
    other = vary_cell(plan_round(plan, 1, plan.full_shortfall(), RoundHistory({}))[1], text)
    own = replace(vary_cell(cell, text), order=9)

    assert ["voice_drift", None] == [exemplar.reason for exemplar in Screener(plan, True).screen([other, own])]


def test_text_that_varies_no_seed_has_no_voice_to_keep() -> None:
    screener = Screener(
        make_plan(make_model(seeds=make_seeds()), "from_traits", make_level(), SCENARIO_POOL, 0, ""), False
    )

    assert [None] == [item.reason for item in screener.screen([make_exemplar("WOW, we did it, can you believe it!!!")])]


def choose(plan: Plan, exemplars: Sequence[Exemplar]) -> dict[Pole, list[int]]:
    chosen = choose_exemplars(plan, exemplars).chosen
    return {pole: sorted(Counter(item.seed_sha256 for item in chosen if item.pole == pole).values()) for pole in POLES}


@pytest.mark.parametrize("judged", [True, False])
@pytest.mark.parametrize(("wanted", "counts"), [(2, [1, 1]), (3, [1, 1, 1]), (4, [1, 1, 2]), (8, [2, 3, 3])])
def test_seeds_are_kept_equally_often(judged: bool, wanted: int, counts: list[int]) -> None:
    plan = plan_variations(wanted=wanted, over_generation=4.0)
    exemplars = [vary_cell(cell) for cell in plan_round(plan, 1, plan.full_shortfall(), RoundHistory({}))]
    if judged:
        source = random.Random(1)
        exemplars = [
            replace(item, odds=source.uniform(1, 9) if item.pole == "positive" else source.uniform(-9, -1))
            for item in exemplars
        ]

    assert {"positive": counts, "negative": counts} == choose(plan, exemplars)


def test_seed_is_not_used_again_while_another_has_nothing() -> None:
    plan = plan_variations(wanted=4)
    lacking = digest_text(POSITIVE_SEEDS[1])
    exemplars = [vary_cell(cell) for cell in plan_round(plan, 1, plan.full_shortfall(), RoundHistory({}))]
    choice = choose_exemplars(plan, [item for item in exemplars if item.seed_sha256 != lacking])

    assert [1, 1] == choose(plan, [item for item in exemplars if item.seed_sha256 != lacking])["positive"]
    assert 2 == choice.shortfall["clarity", "positive"]


def test_pairs_are_preferred_where_nobody_judges() -> None:
    plan = plan_variations(wanted=2)
    cells = plan_round(plan, 1, plan.full_shortfall(), RoundHistory({}))
    exemplars = [vary_cell(cell) for cell in cells if cell.id != cells[1].id]
    choice = choose_exemplars(plan, exemplars)

    assert 2 == len(choice.paired)
    assert 4 == len(choice.chosen)


def test_attached_variations_count_in_whose_turn_it_is() -> None:
    used = make_seeds()[0]
    model = make_model(seeds=make_seeds(), attached=(Attached("clarity", "A text.", 1.0, "", used.sha256),))
    plan = plan_variations(model, wanted=2, over_generation=4.0)
    exemplars = [vary_cell(cell) for cell in plan_round(plan, 1, plan.full_shortfall(), RoundHistory({}))]
    chosen = choose_exemplars(plan, exemplars).chosen

    assert used.sha256 not in {item.seed_sha256 for item in chosen}


def test_run_that_fills_up_an_earlier_one_is_even_by_itself_too() -> None:
    """Two of three seeds were used before: after the third has had its turn it is not the one that is used again."""
    used = [*make_seeds()[:2], *make_seeds()[3:5]]
    attached = tuple(Attached("clarity", f"A text {seed.sha256}.", seed.quality, "", seed.sha256) for seed in used)
    plan = plan_variations(make_model(seeds=make_seeds(), attached=attached), wanted=3, over_generation=6.0)
    exemplars = [vary_cell(cell) for cell in plan_round(plan, 1, plan.full_shortfall(), RoundHistory({}))]

    assert {"positive": [1, 1, 1], "negative": [1, 1, 1]} == choose(plan, exemplars)


def test_rounds_go_on_until_every_seed_has_its_share() -> None:
    plan = plan_variations(wanted=6, top_up_rounds=6)
    rounds = Rounds(plan, Screener(plan, use_lengths=True), 1, WordVectors(), strict=False)
    stubborn = digest_text(NEGATIVE_SEEDS[1])
    while cells := rounds.next_cells():
        made = [vary_cell(cell) for cell in cells]
        failing = rounds.round_no < 3
        made = [item for item in made if not (failing and item.seed_sha256 == stubborn)]
        rounds.take(rounds.screen(made))

    assert rounds.choice.complete
    assert {"positive": [2, 2, 2], "negative": [2, 2, 2]} == choose(plan, rounds.exemplars)
    assert 3 == rounds.round_no
