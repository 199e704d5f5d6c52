"""Step 6, check: the gate over what would be attached, together with what is attached."""

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE

from engine.domain.samples import RunStamp
from engine.quality.verdict import Verdict
from engine.run.job import read_pools
from engine.selection.rounds import Rounds
from engine.settings import Settings
from engine.system.worker_process import RunHeavy, run_here
from expectations.checking import prepare_gate
from tasks.run_names import name_check


@task(name="check", task_run_name=name_check, cache_policy=NO_CACHE, persist_result=False)
async def check(settings: Settings, rounds: Rounds, stamp: RunStamp, run_heavy: RunHeavy = run_here) -> Verdict:
    """The gate's verdict over the run's rows and all that the store has by now, sets of other runs included."""
    pools = read_pools(settings.locate(settings.samples_uri), rounds.plan.model)
    verdict = await run_heavy(prepare_gate(rounds, stamp, pools))
    logger = get_run_logger()
    said = "passed" if verdict.success else "failed: " + " ".join(verdict.failed)
    logger.info("The gate %s", said, extra={"gate": "passed" if verdict.success else "failed"})
    for warning in (*verdict.warnings, *rounds.explain_review()):
        logger.warning("%s", warning)
    return verdict
