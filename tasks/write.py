"""Step 7, write: write one sample set to the store atomically, attached or rejected by the gate."""

from datetime import UTC, datetime, timedelta

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE

from engine.choosing.run_state import RunState
from engine.domain.samples import RunStamp
from engine.domain.verdict import Verdict
from engine.llm.gateway.model_gateway import ModelGateway
from engine.report.summary import make_sample_set
from engine.run.outcome import make_entry_check
from engine.settings import Settings
from engine.store.store import StoredSet, write_set
from engine.text.embedding import Embedder
from engine.text.formatting import join_words


@task(name="write", task_run_name="write: {verdict.status}", cache_policy=NO_CACHE, persist_result=False)
def write(
    settings: Settings,
    state: RunState,
    stamp: RunStamp,
    verdict: Verdict,
    gateway: ModelGateway,
    embedder: Embedder,
) -> StoredSet | tuple[str, ...]:
    """Return the stored sample set or, if sets were attached since the check, their run ids: then it is not written.

    Raises:
        FrozenModelError: the model was trained or archived during the run; nothing is written.
        ModelBusyError: a text of the set was added to the model's samples during the run; nothing is written.
    """
    until = datetime.now(UTC) + timedelta(days=settings.review_days)
    sample_set = make_sample_set(state, stamp, verdict, gateway, embedder, until)
    newer: list[str] = []
    rows = sample_set.kept if sample_set.status == "attached" else []
    checked_against = (*verdict.checked_against, *sample_set.replaces) if verdict.success else None
    may_enter = make_entry_check(settings, stamp.handle, sample_set.pool, rows, checked_against, newer)
    stored = write_set(settings.samples_uri, sample_set, may_enter)
    if newer:
        get_run_logger().warning("A set of run %s was attached since the check: the gate runs again", join_words(newer))
        return tuple(newer)
    extra = {"status": sample_set.status, "kept": len(sample_set.kept), "rejected_rows": len(sample_set.rejected)}
    get_run_logger().info("%s: %s", sample_set.status, stored.folder, extra=extra)
    return stored
