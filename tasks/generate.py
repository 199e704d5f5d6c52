"""Step 3, generate: request the cells of a round in batches, each a task, and check the received exemplars."""

import math
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE

from engine.asking.cells import generate_cell
from engine.asking.plan import Cell
from engine.choosing.rounds import Rounds
from engine.domain.progress import CandidatesCounted, Progress
from engine.domain.samples import Exemplar
from engine.llm.gateway.model_gateway import ModelGateway
from engine.system.concurrency import InTurn, gather_or_cancel
from engine.system.worker_process import Executor

# A task run costs the server 25 to 45 ms (docs/decisions/000-measured.md), and the run page draws each as a bar: with
# eight bars a round, the names of five rounds were unreadable.
MAX_BATCHES = 4
BATCH = 100
BLOCK = 50
NAME = "round {rounds.round_no}: generate {batch.part}"

Call = Callable[..., Coroutine[Any, Any, list[Exemplar]]]


@dataclass(frozen=True, slots=True)
class Batch:
    """Neighbouring cells of a round.

    Args:
        part: its number and the count of batches, for the name of its task run.
        begin: the number of its first block in the round.
    """

    cells: Sequence[Cell]
    part: str
    begin: int


async def generate(
    rounds: Rounds,
    cells: Sequence[Cell],
    gateway: ModelGateway,
    progress: Progress,
    run_in_worker: Executor,
    call: Call,
) -> list[Exemplar]:
    """Return the exemplars of a round's cells, in cell order; raise the errors of ``generate_cell``.

    Args:
        call: calls a step, either as a Prefect task or as a plain function.
    """
    in_turn = InTurn()
    results = await gather_or_cancel(
        call(generate_batch, rounds, batch, gateway, progress, run_in_worker, in_turn) for batch in split_cells(cells)
    )
    return [exemplar for result in results for exemplar in result]


def split_cells(cells: Sequence[Cell]) -> list[Batch]:
    """Split cells into batches of neighbouring cells, equal in size up to one cell."""
    count = min(MAX_BATCHES, math.ceil(len(cells) / BATCH))
    ends, batches, begin = [len(cells) * number // count for number in range(count + 1)], [], 0
    for number, (start, end) in enumerate(pairwise(ends), start=1):
        batches.append(Batch(cells[start:end], f"part {number} of {count}", begin))
        begin += math.ceil((end - start) / BLOCK)
    return batches


@task(name="generate", task_run_name=NAME, cache_policy=NO_CACHE, persist_result=False)
async def generate_batch(
    rounds: Rounds, batch: Batch, gateway: ModelGateway, progress: Progress, run_in_worker: Executor, in_turn: InTurn
) -> list[Exemplar]:
    """Return the exemplars of one batch; the gateway limits the calls in flight across all batches of the run.

    Args:
        in_turn: keeps the blocks of all batches in the order of the plan while they are embedded.
    """

    async def generate_block(number: int, block: Sequence[Cell]) -> list[Exemplar]:
        cells = await gather_or_cancel(generate_cell(rounds.plan, cell, gateway, rounds.prompts) for cell in block)
        received = [exemplar for cell in cells for exemplar in cell]
        exemplars = await run_in_worker(partial(rounds.screener.apply_rules, received))
        progress.report(CandidatesCounted(Counter((item.trait, item.pole) for item in exemplars if item.is_accepted)))
        # Runs while other blocks wait for replies; in turn, because a vector's last digit depends on its batch.
        async with in_turn.turn(number):
            await rounds.embed(exemplars, run_in_worker)
        return exemplars

    blocks = (batch.cells[start : start + BLOCK] for start in range(0, len(batch.cells), BLOCK))
    results = await gather_or_cancel(generate_block(number, block) for number, block in enumerate(blocks, batch.begin))
    exemplars = [exemplar for result in results for exemplar in result]
    get_run_logger().info("%d cells, %d exemplars", len(batch.cells), len(exemplars))
    return exemplars
