"""Step 3, generate: the cells of a round are asked for in batches, each a task, and come back as exemplars."""

import itertools
import math
from collections.abc import Sequence

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE

from engine.asking.cells import generate_cell
from engine.asking.plan import Cell
from engine.choosing.rounds import Rounds
from engine.domain.samples import Exemplar
from engine.llm.gateway.model_gateway import ModelGateway
from engine.system.concurrency import gather_or_cancel
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
    batches = await gather_or_cancel(
        call(rounds, batch, gateway, run_heavy, f"part {number} of {len(split)}")
        for number, batch in enumerate(split, start=1)
    )
    return [exemplar for batch in batches for exemplar in batch]


def split_cells(cells: Sequence[Cell]) -> list[tuple[Cell, ...]]:
    """Batches of neighbouring cells, all of one size give or take one cell."""
    count = min(MAX_BATCHES, math.ceil(len(cells) / BATCH))
    ends = [len(cells) * number // count for number in range(count + 1)]
    return [tuple(cells[start:end]) for start, end in itertools.pairwise(ends)]


@task(name="generate", task_run_name=NAME, cache_policy=NO_CACHE, persist_result=False)
async def generate_batch(
    rounds: Rounds, cells: Sequence[Cell], gateway: ModelGateway, run_heavy: RunHeavy, part: str = "all cells"
) -> list[Exemplar]:
    """The exemplars of one batch; the gateway bounds the calls in flight across all batches of the run.

    Args:
        part: which one of how many it is, for the name of the task's run.
    """
    blocks = [cells[start : start + BLOCK] for start in range(0, len(cells), BLOCK)]
    made = await gather_or_cancel(_generate_block(rounds, block, gateway, run_heavy) for block in blocks)
    exemplars = [exemplar for block in made for exemplar in block]
    get_run_logger().info("%d cells, %d exemplars", len(cells), len(exemplars))
    return exemplars


async def _generate_block(
    rounds: Rounds, cells: Sequence[Cell], gateway: ModelGateway, run_heavy: RunHeavy
) -> list[Exemplar]:
    """The exemplars of a block, embedded while other cells are answered: the same ones, whatever answers first."""
    made = await gather_or_cancel(generate_cell(rounds.plan, cell, gateway) for cell in cells)
    exemplars = [exemplar for cell in made for exemplar in cell]
    await rounds.embed_ahead(exemplars, run_heavy)
    return exemplars
