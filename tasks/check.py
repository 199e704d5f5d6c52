"""Step 6, check: run the gate over the run's samples together with all attached samples."""

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE

from engine.choosing.run_state import RunState
from engine.domain.model import Existing
from engine.domain.samples import RunStamp
from engine.domain.verdict import Verdict
from engine.system.worker_process import Executor, run_here
from engine.text.embedding import Embedder
from engine.text.formatting import count_noun
from expectations.verdict import reach_verdict


@task(name="check", task_run_name="check", cache_policy=NO_CACHE, persist_result=False)
async def check(
    state: RunState,
    stamp: RunStamp,
    existing: Existing,
    embedder: Embedder,
    run_in_worker: Executor = run_here,
    proposes: bool = False,
    strict: bool = False,
) -> Verdict:
    """Return the verdict on a run; arguments as for ``reach_verdict``."""
    verdict = await reach_verdict(state, stamp, existing, embedder, run_in_worker, proposes, strict)
    logger = get_run_logger()
    extra = {"gate": "passed" if verdict.success else "failed", "warnings": len(verdict.warnings)}
    count = count_noun(len(verdict.warnings), "warning")
    logger.info("Checked: %s", count if verdict.success else " ".join(verdict.failed), extra=extra)
    for warning in verdict.warnings:
        logger.warning("%s", warning)
    return verdict
