"""The cells of a round are asked for in batches, each cell's prompt when its turn is near."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from fakes.builders import make_level, make_model, make_test_plan
from fakes.client import FakeClient, HeardProgress
from fakes.word_vectors import WordVectors
from prefect.logging import disable_run_logger

from engine.gateway.budget import RunBudget
from engine.gateway.model_gateway import ModelGateway
from engine.llm.request import Reply, Request
from engine.planning.plan import Cell
from engine.screening.screener import Screener
from engine.selection.rounds import Rounds
from engine.settings import RepliesPlace
from tasks.generate import CELLS_PER_CALL, generate_batch

CONCURRENCY = 4


class CountedCells(Sequence[Cell]):
    """Counts how many cells were taken."""

    def __init__(self, cells: Sequence[Cell], taken: list[int]) -> None:
        self._cells, self._taken = cells, taken

    def __len__(self) -> int:
        return len(self._cells)

    def __getitem__(self, place: Any) -> Any:
        return self._cells[place]

    def __iter__(self) -> Iterator[Cell]:
        for cell in self._cells:
            self._taken[0] += 1
            yield cell


async def test_cells_are_taken_as_calls_end(tmp_path: Path) -> None:
    plan = make_test_plan(make_model(), make_level(40, over_generation=1.0))
    rounds = Rounds(plan, Screener(plan, use_lengths=False), 1, WordVectors(), strict=False)
    cells, taken, ahead = rounds.next_cells(), [0], list[int]()

    def answer(_: Request) -> Reply:
        ahead.append(taken[0] - len(client.requests))
        return Reply('{"text": "The battery lies in the second drawer."}', "stop")

    client = FakeClient(answer)
    gateway = ModelGateway(client, RepliesPlace(str(tmp_path)), HeardProgress(), RunBudget(CONCURRENCY))
    async with gateway.keeping(plan.plan_id):
        with disable_run_logger():
            made = await generate_batch.fn(rounds, CountedCells(cells, taken), gateway)

    assert [cell.id for cell in cells] == [exemplar.cell_id for exemplar in made]
    assert 80 == taken[0] == len(client.requests)
    assert max(ahead) <= CELLS_PER_CALL * CONCURRENCY < 80 - CONCURRENCY
