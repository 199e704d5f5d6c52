"""Step 6, check: run the gate over the run's samples together with all attached samples."""

from dataclasses import replace

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE

from engine.choosing.diversity import list_diversity_texts
from engine.choosing.findings import list_missing, list_rechecked, list_unseparated
from engine.choosing.rounds import Rounds
from engine.domain.model import Existing
from engine.domain.samples import RunStamp
from engine.domain.verdict import Verdict
from engine.system.worker_process import Executor, run_here
from engine.text.formatting import count_noun
from expectations.gate import prepare_gate


@task(name="check", task_run_name="check", cache_policy=NO_CACHE, persist_result=False)
async def check(
    rounds: Rounds,
    stamp: RunStamp,
    existing: Existing,
    run_in_worker: Executor = run_here,
    proposes: bool = False,
    strict: bool = False,
) -> Verdict:
    """Return the gate's verdict over the run's rows and the existing samples.

    Args:
        proposes: whether a passed set waits for a person's decision.
        strict: whether inseparable poles are critical.
    """
    await rounds.embedder.embed_ahead(list_diversity_texts(rounds), run_in_worker)
    verdict = await run_in_worker(prepare_gate(rounds, stamp, replace(rounds.plan.model, existing=existing)))
    critical = [item for item in list_unseparated(rounds, "rejected", strict) if item.severity == "critical"]
    verdict = replace(verdict, findings=(*list_missing(rounds), *verdict.findings))
    verdict = replace(verdict, proposed=proposes and verdict.success and not critical)
    rechecked = list_rechecked(rounds, "rejected" if critical else verdict.status, strict)
    verdict = replace(verdict, findings=(*verdict.findings, *rechecked))
    logger = get_run_logger()
    extra = {"gate": "passed" if verdict.success else "failed", "warnings": len(verdict.warnings)}
    count = count_noun(len(verdict.warnings), "warning")
    logger.info("Checked: %s", count if verdict.success else " ".join(verdict.failed), extra=extra)
    for warning in verdict.warnings:
        logger.warning("%s", warning)
    return verdict
