"""The steps of a run as they are called: as Prefect's tasks, each a bar on the run page, or plainly.

A task run costs Prefect's server 25 to 45 ms (docs/decisions/000): a run that is looked at has them all, one of
hundreds that share a process has none.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial

from engine.domain.progress import Progress
from engine.domain.samples import Exemplar, RunStamp
from engine.gateway.model_gateway import ModelGateway
from engine.planning.plan import Cell
from engine.quality.verdict import Verdict
from engine.report.costs import Bill
from engine.run.job import Job
from engine.screening.voting_judge import VotingJudge
from engine.selection.choice import Choice
from engine.selection.rounds import Rounds
from engine.settings import Settings
from engine.store.store import StoredSet
from engine.system.worker_process import WorkerProcess
from engine.text.embedding import SentenceEncoder
from tasks.check import check, check_beside
from tasks.generate import generate, generate_plainly
from tasks.load import load
from tasks.plan import plan, plan_with
from tasks.screen import screen, screen_beside
from tasks.write import write


@dataclass(frozen=True, slots=True)
class Steps:
    """What a run calls, step by step."""

    load: Callable[[Settings, str, str, str | None], Job]
    plan: Callable[[Settings, Job, ModelGateway, VotingJudge], Awaitable[Rounds]]
    generate: Callable[[Rounds, Sequence[Cell], ModelGateway], Awaitable[list[Exemplar]]]
    screen: Callable[[Rounds, Sequence[Exemplar], ModelGateway, VotingJudge, Progress], Awaitable[Choice]]
    check: Callable[[Settings, Rounds, RunStamp], Awaitable[Verdict]]
    write: Callable[[Settings, Rounds, RunStamp, Verdict, ModelGateway, Bill], StoredSet]


TASKS = Steps(load, plan, generate, screen, check, write)


def call_plainly(worker: WorkerProcess) -> Steps:
    """The steps of a run that shares its process with others; what takes longest is done beside it."""
    embedder = SentenceEncoder()
    return Steps(
        load.fn,
        partial(plan_with, embedder),
        generate_plainly,
        partial(screen_beside, worker, embedder),
        partial(check_beside, worker),
        write.fn,
    )
