"""What is screened while the rest of a round is asked is what would have been screened after it."""

import random

import pytest
from fakes.builders import make_exemplar, make_level, make_model, make_test_plan, make_trait
from fakes.waiting import wait_meanwhile
from fakes.word_vectors import WordVectors

from engine.asking.plan import Cell
from engine.choosing.rounds import Rounds
from engine.domain.samples import Exemplar
from engine.run.screening_ahead import screening_ahead
from engine.screening.screener import Screener

WORDS = (
    "The spare battery of the scanner lies in the {} drawer, beside the charger.",
    "Ask the night porter for the {} key whenever the side door has been locked early.",
    "Our {} shop in Leeds closes at noon on Fridays, since nobody comes later than that.",
)
SMALL = ("second", "second", "[Your Name]", "blue", "oldest")


def make_rounds() -> Rounds:
    plan = make_test_plan(make_model(make_trait("clarity")), make_level(6, over_generation=1.0))
    return Rounds(plan, Screener(plan, use_lengths=False), WordVectors(), only_clear=False)


def make_round() -> tuple[Rounds, tuple[Cell, ...], dict[int, list[Exemplar]]]:
    """Rounds, the cells of the first, and their exemplars by order: near duplicates and a placeholder among them."""
    rounds = make_rounds()
    cells = rounds.next_cells()
    made = {
        cell.order: [
            make_exemplar(WORDS[index % 3].format(SMALL[index % 5]), index=index, order=cell.order, pole=cell.pole)
        ]
        for index, cell in enumerate(cells)
    }
    return rounds, cells, made


def flatten(made: dict[int, list[Exemplar]]) -> list[Exemplar]:
    return [exemplar for exemplars in made.values() for exemplar in exemplars]


@pytest.mark.parametrize("left", [0, 3])
async def test_order_of_arrival_changes_nothing(left: int) -> None:
    rounds, cells, made = make_round()
    expected = make_rounds()
    expected.next_cells()
    late = random.Random(left).sample(cells, len(cells))
    async with screening_ahead(rounds.screener) as ahead:
        for cell in late[: len(late) - left]:
            ahead.take(made[cell.order])
            await wait_meanwhile(ahead._made.empty)

    assert expected.screen(flatten(made)) == rounds.screen(flatten(made))
    assert expected.screener.duplicates == rounds.screener.duplicates
