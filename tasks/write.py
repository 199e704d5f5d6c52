"""Step 7, write: one sample set into the store, attached or rejected as the gate says, in one move."""

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE

from engine.definitions.lifecycle import check_draft
from engine.domain.samples import RunStamp
from engine.gateway.model_gateway import ModelGateway
from engine.quality.verdict import Verdict
from engine.report.costs import Bill
from engine.report.summary import Review, make_sample_set
from engine.selection.rounds import Rounds
from engine.settings import Settings
from engine.store.store import StoredSet, write_set
from tasks.run_names import name_write


@task(name="write", task_run_name=name_write, cache_policy=NO_CACHE, persist_result=False)
def write(
    settings: Settings,
    rounds: Rounds,
    stamp: RunStamp,
    verdict: Verdict,
    gateway: ModelGateway,
    bill: Bill,
    review: Review | None = None,
) -> StoredSet:
    """The sample set as it stands in the store.

    Args:
        review: what the manifest says of a person's review, and the files of the proposal that stay.

    Raises:
        FrozenModelError: the model was trained or archived while the run went on; nothing is written.
    """
    sample_set = make_sample_set(rounds, stamp, verdict, gateway, bill, *(review or ({}, {})))
    if sample_set.status == "attached" and sample_set.pool == "train":
        check_draft(settings.locate(settings.models_uri), stamp.handle)
    stored = write_set(settings.locate(settings.samples_uri), sample_set)
    told = {"status": sample_set.status, "kept": len(sample_set.kept), "rejected_rows": len(sample_set.rejected)}
    get_run_logger().info("%s: %s", sample_set.status, stored.folder, extra=told)
    return stored
