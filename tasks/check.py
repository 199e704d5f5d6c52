"""Step 6, check: the gate over what would be attached, together with what is attached."""

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE

from engine.job import read_pools
from engine.rounds import Rounds
from engine.samples import RunStamp
from engine.settings import Settings
from engine.verdict import Verdict
from expectations.checking import check_rounds
from tasks.names import name_check


@task(name="check", task_run_name=name_check, cache_policy=NO_CACHE, persist_result=False)
def check(settings: Settings, rounds: Rounds, stamp: RunStamp) -> Verdict:
    """The gate's verdict over the run's rows and all that is in the store by now, another run's new set included."""
    model = read_pools(settings.locate(settings.samples_uri), rounds.plan.model)
    verdict = check_rounds(rounds, stamp, model)
    logger = get_run_logger()
    said = "passed" if verdict.success else "failed: " + " ".join(verdict.failed)
    logger.info("The gate %s", said, extra={"gate": "passed" if verdict.success else "failed"})
    for warning in (*verdict.warnings, *rounds.explain_review()):
        logger.warning("%s", warning)
    return verdict
