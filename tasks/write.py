"""Step 7, write: one sample set into the store, attached or rejected as the gate says, in one move."""

from datetime import UTC, datetime, timedelta

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE

from engine.choosing.rounds import Rounds
from engine.domain.samples import RunStamp
from engine.domain.verdict import Verdict
from engine.llm.gateway.model_gateway import ModelGateway
from engine.report.summary import make_sample_set
from engine.run.outcome import make_entry_check
from engine.settings import Settings
from engine.store.store import StoredSet, write_set
from engine.text.formatting import join_words


@task(name="write", task_run_name="write: {verdict.status}", cache_policy=NO_CACHE, persist_result=False)
def write(
    settings: Settings, rounds: Rounds, stamp: RunStamp, verdict: Verdict, gateway: ModelGateway
) -> StoredSet | tuple[str, ...]:
    """The sample set as it stands in the store, or the runs whose sets came in since the check: then it is not there.

    Raises:
        FrozenModelError: the model was trained or archived while the run went on; nothing is written.
        ModelBusyError: a text of the set was added to the model's samples meanwhile; nothing is written.
    """
    until = datetime.now(UTC) + timedelta(days=settings.review_days)
    sample_set = make_sample_set(rounds, stamp, verdict, gateway, until)
    newer: list[str] = []
    rows = sample_set.kept if sample_set.status == "attached" else []
    beside = (*verdict.checked_against, *sample_set.replaces) if verdict.success else None
    may_enter = make_entry_check(settings, stamp.handle, sample_set.pool, rows, beside, newer)
    stored = write_set(settings.samples_uri, sample_set, may_enter)
    if newer:
        get_run_logger().warning("A set of run %s came in since: the gate checks beside it", join_words(newer))
        return tuple(newer)
    told = {"status": sample_set.status, "kept": len(sample_set.kept), "rejected_rows": len(sample_set.rejected)}
    get_run_logger().info("%s: %s", sample_set.status, stored.folder, extra=told)
    return stored
