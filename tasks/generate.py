"""Step 3, generate: the cells of a round are asked for in batches, each a task, and come back as exemplars."""

import math
from collections.abc import Sequence
from itertools import accumulate, pairwise

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE

from engine.asking.cells import generate_cell
from engine.asking.plan import Cell
from engine.choosing.rounds import Rounds
from engine.domain.samples import Exemplar
from engine.llm.gateway.model_gateway import ModelGateway
from engine.system.concurrency import InTurn, gather_or_cancel
from engine.system.worker_process import RunHeavy

# A task run costs the server 25 to 45 ms (docs/decisions/000-measured.md), and the run page draws each as a bar: with
# eight of them a round the names of five rounds could not be read any more.
MAX_BATCHES = 4
BATCH = 100
BLOCK = 50
NAME = "round {rounds.round_no}: generate {part}"


async def generate(
    rounds: Rounds, cells: Sequence[Cell], gateway: ModelGateway, run_heavy: RunHeavy, as_tasks: bool = True
) -> list[Exemplar]:
    """The exemplars of a round's cells, in cell order; raises what ``generate_cell`` raises.

    Args:
        as_tasks: whether each batch of cells is a task of the run page.
    """
    call, split = generate_batch if as_tasks else generate_batch.fn, split_cells(cells)
    in_turn, begins = InTurn(), accumulate((math.ceil(len(batch) / BLOCK) for batch in split), initial=0)
    batches = await gather_or_cancel(
        call(rounds, batch, gateway, run_heavy, in_turn, begin, f"part {number} of {len(split)}")
        for number, (batch, begin) in enumerate(zip(split, begins, strict=False), start=1)
    )
    return [exemplar for batch in batches for exemplar in batch]


def split_cells(cells: Sequence[Cell]) -> list[tuple[Cell, ...]]:
    """Batches of neighbouring cells, all of one size give or take one cell."""
    count = min(MAX_BATCHES, math.ceil(len(cells) / BATCH))
    ends = [len(cells) * number // count for number in range(count + 1)]
    return [tuple(cells[start:end]) for start, end in pairwise(ends)]


@task(name="generate", task_run_name=NAME, cache_policy=NO_CACHE, persist_result=False)
async def generate_batch(
    rounds: Rounds,
    cells: Sequence[Cell],
    gateway: ModelGateway,
    run_heavy: RunHeavy,
    in_turn: InTurn,
    begin: int,
    part: str,
) -> list[Exemplar]:
    """The exemplars of one batch; the gateway bounds the calls in flight across all batches of the run.

    Args:
        in_turn: has the blocks of all batches embedded in the order of the plan.
        begin: the number of the first block among them.
        part: which one of how many it is, for the name of the task's run.
    """

    async def generate_block(number: int, block: Sequence[Cell]) -> list[Exemplar]:
        made = await gather_or_cancel(generate_cell(rounds.plan, cell, gateway) for cell in block)
        exemplars = [exemplar for cell in made for exemplar in cell]
        # While others are asked; in turn, since a vector's last digit depends on what is embedded with it.
        async with in_turn.turn(number):
            await rounds.embed_ahead(exemplars, run_heavy)
        return exemplars

    blocks = (cells[start : start + BLOCK] for start in range(0, len(cells), BLOCK))
    made = await gather_or_cancel(generate_block(number, block) for number, block in enumerate(blocks, begin))
    exemplars = [exemplar for block in made for exemplar in block]
    get_run_logger().info("%d cells, %d exemplars", len(cells), len(exemplars))
    return exemplars
