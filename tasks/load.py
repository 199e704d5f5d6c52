"""Step 1, load: turn the request into a job, with the model, its seeds and its attached samples."""

from datetime import UTC, datetime

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE

from engine.domain.run_request import RunRequest
from engine.run.job import Job, load_job
from engine.settings import Settings
from engine.store.garbage import collect_garbage


@task(name="load", task_run_name="load {request.handle}", cache_policy=NO_CACHE, persist_result=False)
def load(settings: Settings, request: RunRequest) -> Job:
    """Return the job of a request, after removing garbage of earlier runs; raise the errors of ``load_job``."""
    logger = get_run_logger()
    for removed in collect_garbage(settings.samples_uri, request.handle, datetime.now(UTC)):
        logger.warning("Removed from the store: %s", removed)
    job = load_job(settings, request)
    model = job.model
    counts = len(model.traits), len(model.seeds), len(model.existing.attached)
    logger.info("%s: %d traits, %d seeds, %d attached", request.handle, *counts)
    if job.note:
        logger.warning("%s", job.note)
    for skipped in model.skipped:
        logger.warning("Skipped: %s (%s)", skipped.what, skipped.why)
    return job
