"""Seeds take turns, those between the poles are left out by name, and a variation must keep its seed's voice."""

import itertools
import random
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

import pytest
from fakes.builders import POSITIVE_SEEDS, SCENARIO_POOL, make_exemplar, make_level, make_model, make_seeds, make_trait
from fakes.provider import vary_text

from engine.asking.plan import Cell, Plan, make_plan, plan_round
from engine.asking.seed_variations import (
    AS_SEED,
    bound_variation_length,
    check_seeds,
    count_seed_uses,
    find_seed_pole,
    find_seedless,
    list_unusable_seeds,
    list_usable_seeds,
    make_seed_key,
)
from engine.choosing.choice import choose_exemplars
from engine.domain.definition import Pole
from engine.domain.model import POLES, Attached, Model, Seed
from engine.domain.samples import Exemplar
from engine.errors import NoSeedsError
from engine.screening.screener import Screener

SEEDS = make_seeds()
LONG_ENOUGH = "This seed has just enough words."


def plan_variations(model: Model | None = None, wanted: int = 4, **fields: object) -> Plan:
    given = model or make_model(seeds=SEEDS)
    return make_plan(given, "diversify", make_level(wanted, **fields), SCENARIO_POOL, 0, "prompts-1")


def plan_first(plan: Plan) -> tuple[Cell, ...]:
    return plan_round(plan, 1, plan.quotas)


def find_seed(cell: Cell) -> Seed:
    assert cell.seed is not None
    return cell.seed


def vary_cell(cell: Cell, text: str | None = None) -> Exemplar:
    seed = find_seed(cell)
    made = make_exemplar(vary_text(seed.text, cell.id) if text is None else text, cell.pole)
    return replace(
        made, cell_id=cell.id, order=cell.order, scenario=cell.scenario, pair_id=cell.pair_id, seed_sha256=seed.sha256
    )


def count_seeds(used: Iterable[Cell | Exemplar]) -> dict[Pole, list[int]]:
    seeds = [(item.pole, item.seed if isinstance(item, Cell) else item.seed_sha256) for item in used]
    return {pole: sorted(Counter(seed for own, seed in seeds if own == pole).values()) for pole in POLES}


@pytest.mark.parametrize(
    ("quality", "pole"),
    [(0.0, "negative"), (0.25, "negative"), (0.26, None), (0.74, None), (0.75, "positive"), (1.0, "positive")],
)
def test_seed_goes_to_the_nearer_pole_where_it_is_clear(quality: float, pole: Pole | None) -> None:
    assert pole == find_seed_pole(Seed("clarity", LONG_ENOUGH, quality))


def test_seeds_that_cannot_be_varied_are_left_out_by_name_and_doubled_ones_are_one() -> None:
    qualities = {LONG_ENOUGH: 0.8, "Only four words here.": 1.0, "Five words are enough here.": 1.0}
    others = [Seed("clarity", text, quality) for text, quality in ((LONG_ENOUGH, 0.5), *qualities.items())]
    model = make_model(seeds=(*SEEDS, *SEEDS, *others))
    between, short = list_unusable_seeds(model)

    assert "its quality 0.5 is near neither pole" in between.why
    assert "seed 'Only four words here.' for clarity" == short.what
    assert [*POSITIVE_SEEDS, LONG_ENOUGH, "Five words are enough here."] == [
        seed.text for seed in list_usable_seeds(model, "clarity", "positive")
    ]


@pytest.mark.parametrize(
    ("seeds", "said"),
    [
        ((), "u22a8.test has no authored samples to vary. Name a source"),
        (SEEDS[:3], "for clarity, negative (Obscure); tone, positive (Clear); tone, negative (Obscure). Both"),
        ([replace(seed, quality=0.5) for seed in (*SEEDS, *make_seeds("tone"))], "quality of 0.25 at most or 0.75"),
        ([replace(seed, quality=abs(seed.quality - 0.2)) for seed in (*SEEDS, *make_seeds("tone"))], None),
    ],
)
def test_every_pole_without_seeds_to_vary_is_named(seeds: Sequence[Seed], said: str | None) -> None:
    model = make_model(make_trait(), make_trait("tone"), seeds=tuple(seeds))

    assert (said is None) == (not find_seedless(model.traits, seeds))
    if said is None:
        check_seeds(model)
        return
    with pytest.raises(NoSeedsError) as failure:
        check_seeds(model)
    assert said in str(failure.value)


@pytest.mark.parametrize(("wanted", "expected"), [(1, [1, 1]), (7, [4, 5, 5])])
def test_every_seed_is_asked_for_equally_often(wanted: int, expected: list[int]) -> None:
    assert {"positive": expected, "negative": expected} == count_seeds(plan_first(plan_variations(wanted=wanted)))


def test_seeds_are_asked_for_equally_often_across_rounds() -> None:
    plan, asked = plan_variations(wanted=2), list[Cell]()
    for round_no in (1, 2, 3):
        asked += plan_round(plan, round_no, plan.quotas, asked)

    assert {"positive": [8, 8, 8], "negative": [8, 8, 8]} == count_seeds(asked)


def test_later_round_asks_for_the_seeds_that_have_nothing_kept() -> None:
    kept = {make_seed_key(seed, "positive"): 1 for seed in SEEDS[:2]}
    cells = plan_round(plan_variations(wanted=3), 2, {("clarity", "positive"): 1}, kept=kept)

    assert {SEEDS[2]} == {cell.seed for cell in cells}


def test_later_run_begins_with_the_seeds_that_an_earlier_one_left_and_keeps_those() -> None:
    used = SEEDS[0]
    attached = (Attached("clarity", "A text.", 1.0, "", used.sha256),)
    plan = plan_variations(make_model(seeds=SEEDS, attached=attached), wanted=2, over_generation=4.0)
    cells = plan_round(plan, 1, {("clarity", "positive"): 1})
    chosen = choose_exemplars(plan, [vary_cell(cell) for cell in plan_first(plan)]).chosen

    assert {("clarity", "positive", used.sha256): 1} == count_seed_uses(plan.model)
    assert {*SEEDS[1:3]} == {cell.seed for cell in cells[:2]}
    assert used.sha256 not in {item.seed_sha256 for item in chosen}


def test_two_cells_of_a_pair_share_the_subject_and_each_has_a_seed_of_its_pole() -> None:
    for _, group in itertools.groupby(plan_first(plan_variations()), key=lambda cell: cell.pair_id):
        members = list(group)
        [scenario] = {cell.scenario for cell in members}
        assert scenario.subject in SCENARIO_POOL.subjects
        assert (AS_SEED, AS_SEED, AS_SEED) == (scenario.audience, scenario.form, scenario.length)
        assert 2 == len({cell.seed for cell in members})
        assert all(find_seed_pole(find_seed(cell)) == cell.pole for cell in members)


def test_seed_on_another_subject_is_taken_first() -> None:
    shortfall: dict[tuple[str, Pole], int] = {("clarity", "positive"): 2}
    subjects = [cell.scenario.subject for cell in plan_round(plan_variations(), 1, shortfall)]
    # In the authors' order each would be varied with its own subject.
    seeds = tuple(Seed("clarity", f"{subject.capitalize()} takes one click here.", 1.0) for subject in subjects)
    cells = plan_round(plan_variations(make_model(seeds=seeds)), 1, shortfall)

    assert subjects == [cell.scenario.subject for cell in cells]
    assert [seeds[1], seeds[0], seeds[3], seeds[2]] == [cell.seed for cell in cells]


def test_length_is_the_seeds() -> None:
    length = bound_variation_length(Seed("clarity", " ".join(["word"] * 30), 1.0))

    assert (18, 48) == (length.min_words, length.max_words)


def test_variation_that_drifts_is_rejected_with_feature_and_seed_and_a_copy_is_a_copy() -> None:
    plan = plan_variations()
    cell = plan_first(plan)[0]
    texts = ["WOW!!! You can't believe this, we DID it... what a night, guys!!!", None]
    texts.append(find_seed(cell).text.replace("ten", "two"))
    made = [replace(vary_cell(cell, text), order=order) for order, text in enumerate(texts)]
    drifted, kept, copied = Screener(plan, use_lengths=True).screen(made)

    assert ("voice_drift", None, "seed_copy") == (drifted.reason, kept.reason, copied.reason)
    assert drifted.detail.startswith("informal marks: ")
    assert drifted.detail.endswith(f"The seed: {POSITIVE_SEEDS[0][:80]}")


@pytest.mark.parametrize("judged", [True, False])
@pytest.mark.parametrize(
    ("wanted", "used", "lacking", "positive", "negative"),
    [
        (2, (), (), [1, 1], [1, 1]),
        (4, (), (), [1, 1, 2], [1, 1, 2]),
        (8, (), (), [2, 3, 3], [2, 3, 3]),
        # A seed is not used again while another has nothing.
        (4, (), SEEDS[1:2], [1, 1], [1, 1, 2]),
        # Two of three were used before: after the third has had its turn it is not the one that is used again.
        (3, (*SEEDS[:2], *SEEDS[3:5]), (), [1, 1, 1], [1, 1, 1]),
    ],
)
def test_seeds_are_kept_equally_often(
    judged: bool, wanted: int, used: Sequence[Seed], lacking: Sequence[Seed], positive: list[int], negative: list[int]
) -> None:
    attached = tuple(Attached("clarity", f"A text {seed.sha256}.", seed.quality, "", seed.sha256) for seed in used)
    plan = plan_variations(make_model(seeds=SEEDS, attached=attached), wanted=wanted, over_generation=6.0)
    source, signs = random.Random(1), {"positive": 1, "negative": -1}
    made = [vary_cell(cell) for cell in plan_first(plan) if cell.seed not in lacking]
    made = [replace(item, odds=signs[item.pole] * source.uniform(1, 9) if judged else None) for item in made]
    choice = choose_exemplars(plan, made)

    assert {"positive": positive, "negative": negative} == count_seeds(choice.chosen)
    assert wanted - sum(positive) == choice.shortfall["clarity", "positive"]
