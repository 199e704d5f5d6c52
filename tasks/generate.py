"""Step 3, generate: request the cells of a round in batches, each a task, and check the received exemplars."""

import math
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE

from engine.asking.plan import Cell
from engine.choosing.run_state import RunState
from engine.run.rounds import BLOCK, Generated, RunTools, generate_cells
from engine.system.concurrency import InTurn, gather_or_cancel

# A task run costs the server 25 to 45 ms (docs/decisions/000-measured.md), and the run page draws each as a bar: with
# eight bars a round, the names of five rounds were unreadable.
MAX_BATCHES = 4
BATCH = 100
NAME = "round {state.round_no}: generate {batch.part}"

Call = Callable[..., Coroutine[Any, Any, Generated]]


@dataclass(frozen=True, slots=True)
class Batch:
    """Neighbouring cells of a round.

    Args:
        part: its number and the count of batches, for the name of its task run.
        first_block: the number of its first block in the round.
    """

    cells: Sequence[Cell]
    part: str
    first_block: int


async def generate(call: Call, state: RunState, cells: Sequence[Cell], tools: RunTools) -> Generated:
    """Return the exemplars of a round's cells, in cell order; raise the errors of ``generate_cells``.

    Args:
        call: calls a step, either as a Prefect task or as a plain function.
    """
    in_turn = InTurn()
    results = await gather_or_cancel(call(generate_batch, state, batch, tools, in_turn) for batch in split_cells(cells))
    exemplars = tuple(exemplar for result in results for exemplar in result.exemplars)
    return Generated(exemplars, {sha256: prompt for result in results for sha256, prompt in result.prompts.items()})


def split_cells(cells: Sequence[Cell]) -> list[Batch]:
    """Split cells into batches of neighbouring cells, equal in size up to one cell."""
    count = min(MAX_BATCHES, math.ceil(len(cells) / BATCH))
    ends, batches, first_block = [len(cells) * number // count for number in range(count + 1)], [], 0
    for number, (start, end) in enumerate(pairwise(ends), start=1):
        batches.append(Batch(cells[start:end], f"part {number} of {count}", first_block))
        first_block += math.ceil((end - start) / BLOCK)
    return batches


@task(name="generate", task_run_name=NAME, cache_policy=NO_CACHE, persist_result=False)
async def generate_batch(state: RunState, batch: Batch, tools: RunTools, in_turn: InTurn) -> Generated:
    """Return the exemplars of one batch; the gateway limits the calls in flight across all batches of the run.

    Args:
        in_turn: keeps the blocks of all batches in the order of the plan while they are embedded.
    """
    generated = await generate_cells(state, batch.cells, tools, in_turn, batch.first_block)
    get_run_logger().info("%d cells, %d exemplars", len(batch.cells), len(generated.exemplars))
    return generated
