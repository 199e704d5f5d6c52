"""Step 1, load: the request becomes a job, with the model, its seeds and what is attached already."""

from datetime import UTC, datetime

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE

from engine.domain.run_request import RunRequest
from engine.run.job import Job, load_job
from engine.settings import Settings
from engine.store.garbage import collect_garbage


@task(name="load", task_run_name="load {request.handle}", cache_policy=NO_CACHE, persist_result=False)
def load(settings: Settings, request: RunRequest) -> Job:
    """The job of a request, in a store without the debris of earlier runs; raises what ``load_job`` raises."""
    logger = get_run_logger()
    for swept in collect_garbage(settings.samples_uri, request.handle, datetime.now(UTC)):
        logger.warning("Taken away from the store: %s", swept)
    job = load_job(settings, request)
    model = job.model
    counts = len(model.traits), len(model.seeds), len(model.attached)
    logger.info("%s: %d traits, %d seeds, %d attached", request.handle, *counts)
    if job.note:
        logger.warning("%s", job.note)
    for skipped in model.skipped:
        logger.warning("Skipped: %s (%s)", skipped.what, skipped.why)
    return job
