"""The surroundings of a run: alone in its process, or one of many that share what is costly to have."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from prefect import get_run_logger

from engine.definitions.effort import Level
from engine.domain.progress import Progress
from engine.gateway.model_gateway import ModelGateway
from engine.run.job import open_gateway, open_voting_judge
from engine.screening.voting_judge import VotingJudge
from engine.settings import Settings
from flows.runs.lease import Lease, hold_lease
from flows.runtime.credentials import add_keys
from flows.runtime.progress_artifact import publish_progress
from flows.runtime.rate_limiter import open_rate_limiter
from flows.runtime.steps import TASKS, Steps
from tasks.prune_replies import drop_unused


@dataclass(frozen=True, slots=True)
class Models:
    """The models that a run asks, open."""

    gateway: ModelGateway
    voting_judge: VotingJudge


class Surroundings(Protocol):
    """What a run needs of where it runs.

    ``estimates`` says whether its page gets the estimate as an artifact, beside the line in its log.
    """

    @property
    def steps(self) -> Steps:
        """How its steps are called."""

    @property
    def estimates(self) -> bool:
        """Whether what it will come to is shown on its page while it goes on."""

    def hold_lease(self, handle: str) -> AbstractAsyncContextManager[Lease]:
        """The model's lease inside the block; see ``flows.runs.lease.hold_lease``."""

    def publish_progress(self, listener: Progress | None) -> AbstractAsyncContextManager[Progress]:
        """Where its events go; the listener is told of them, too."""

    def open_models(self, settings: Settings, level: Level, progress: Progress) -> AbstractAsyncContextManager[Models]:
        """The models that it asks, inside the block."""

    async def drop_unused(self, settings: Settings, plan_ids: Sequence[str]) -> None:
        """Drops the kept replies that are too old or too many, but for these plans'."""


class Alone:
    """A run in a process of its own: all that it needs comes and goes with it."""

    steps = TASKS
    estimates = True

    def hold_lease(self, handle: str) -> AbstractAsyncContextManager[Lease]:
        """By a client of its own."""
        return hold_lease(handle, get_run_logger())

    def publish_progress(self, listener: Progress | None) -> AbstractAsyncContextManager[Progress]:
        """A bar on its page."""
        return publish_progress(listener)

    @asynccontextmanager
    async def open_models(self, settings: Settings, level: Level, progress: Progress) -> AsyncIterator[Models]:
        """An embedded server that is its own, and its own place in the line for shared rates."""
        logger = get_run_logger()
        settings = await add_keys(settings, level, logger)
        async with (
            open_rate_limiter(settings, logger) as rate_limiter,
            open_gateway(settings, level, progress, rate_limiter) as gateway,
            open_voting_judge(settings, level, progress, gateway.budget, rate_limiter) as voting_judge,
        ):
            yield Models(gateway, voting_judge)

    async def drop_unused(self, settings: Settings, plan_ids: Sequence[str]) -> None:
        """Each time."""
        drop_unused(settings, plan_ids, datetime.now(UTC), get_run_logger())
