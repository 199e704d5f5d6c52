"""Step 2, plan: which exemplars to ask for, and the subjects that the synth model proposes where it can."""

import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE

from engine.asking import Asker
from engine.cache import prune_cache
from engine.embedding import SentenceEncoder
from engine.errors import BudgetError, StoreError
from engine.estimate import estimate_plan
from engine.estimate_words import explain_budget
from engine.job import SCENARIOS_FOLDER, Job, plan_job
from engine.jury import Jury
from engine.rounds import Rounds
from engine.scenario import load_packs
from engine.settings import Settings
from engine.walk import begin_rounds
from tasks.names import name_plan

Log = logging.Logger | logging.LoggerAdapter[Any]


@task(name="plan", task_run_name=name_plan, cache_policy=NO_CACHE, persist_result=False)
async def plan(settings: Settings, job: Job, asker: Asker, jury: Jury) -> Rounds:
    """The rounds of a job, none of them begun; kept replies of other plans are dropped where there are too many.

    Raises:
        BudgetError: the limit is too low to ask for subjects; what the lists would have planned tells how low.
    """
    embedder, limits = SentenceEncoder(), asker.limits
    try:
        rounds = await begin_rounds(job, settings.seed, asker, embedder)
    except BudgetError as error:
        draft = plan_job(job, load_packs(SCENARIOS_FOLDER), settings.seed, embedder)
        expected = estimate_plan(draft, asker.endpoint, jury.endpoint, limits.max_cost_usd)
        raise explain_budget(error, expected, limits.spent_usd) from error
    made = rounds.plan
    get_run_logger().info("Plan %s: %d a pole, subjects of %r", made.plan_id, made.wanted, made.lists.pack)
    drop_unused(settings, (made.plan_id, rounds.draft_id), datetime.now(UTC), get_run_logger())
    return rounds


def drop_unused(settings: Settings, plan_ids: Sequence[str], now: datetime, logger: Log) -> None:
    """Drops the kept replies that are too old or too many, but for these plans': they may be the oldest of all.

    Whatever goes wrong with that is a warning.
    """
    cache_dir, days, gb = settings.locate(settings.cache_dir), settings.cache_max_days, settings.cache_max_gb
    try:
        pruned = prune_cache(cache_dir, days, gb, now, but_for=plan_ids)
    except StoreError as error:
        logger.warning("%s", error)
        return
    if pruned.plans:
        said = "Dropped the kept replies of %d plans (%.1f MB), unused for %g days or more than %g GB together"
        logger.info(said, pruned.plans, pruned.bytes / 1e6, days, gb)
    for failure in pruned.failed:
        logger.warning("Kept replies could not be dropped: %s", failure)
