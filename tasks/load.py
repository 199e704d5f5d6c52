"""Step 1, load: the request becomes a job, with the model, its seeds and what is attached already."""

from datetime import UTC, datetime
from typing import Any

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE

from engine.run.job import Job, load_job
from engine.settings import Settings
from engine.store.leftovers import sweep_store


@task(name="load", task_run_name="load {handle}", cache_policy=NO_CACHE, persist_result=False)
def load(
    settings: Settings,
    handle: str,
    synth_type: str,
    effort: str | None,
    only_lacking: bool = False,
    per_pole: int | None = None,
    refresh: bool = False,
) -> Job:
    """The job of a request, in a store without the debris of earlier runs; raises what ``load_job`` raises."""
    logger = get_run_logger()
    for swept in sweep_store(settings.locate(settings.samples_uri), handle, datetime.now(UTC)):
        logger.warning("Taken away from the store: %s", swept)
    options: dict[str, Any] = {"only_lacking": only_lacking, "per_pole": per_pole, "refresh": refresh}
    job = load_job(settings, handle, synth_type, effort, **options)
    model = job.model
    logger.info(
        "%s: %d traits, %d seeds, %d attached", handle, len(model.traits), len(model.seeds), len(model.attached)
    )
    if job.note:
        logger.warning("%s", job.note)
    for skipped in model.skipped:
        logger.warning("Skipped: %s (%s)", skipped.what, skipped.why)
    return job
