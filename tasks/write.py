"""Step 7, write: one sample set into the store, attached or rejected as the gate says, in one move."""

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE

from engine.definitions.added_samples import find_added
from engine.definitions.lifecycle import check_draft
from engine.domain.samples import RunStamp
from engine.errors import ModelBusyError
from engine.gateway.model_gateway import ModelGateway
from engine.quality.verdict import Verdict
from engine.report.costs import Bill
from engine.report.summary import Review, make_sample_set
from engine.selection.rounds import Rounds
from engine.settings import Settings
from engine.store.store import StoredSet, list_newer, write_set
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
) -> StoredSet | tuple[str, ...]:
    """The sample set as it stands in the store, or the runs whose sets came in since the check: then it is not there.

    Args:
        review: what the manifest says of a person's review, and the files of the proposal that stay.

    Raises:
        FrozenModelError: the model was trained or archived while the run went on; nothing is written.
        ModelBusyError: a text of the set was added to the model's samples meanwhile; nothing is written.
    """
    sample_set = make_sample_set(rounds, stamp, verdict, gateway, bill, *(review or ({}, {})))
    models_uri, samples_uri = settings.locate(settings.models_uri), settings.locate(settings.samples_uri)
    newer: list[str] = []

    def may_enter() -> bool:
        if sample_set.status == "attached" and sample_set.pool == "train":
            check_draft(models_uri, stamp.handle)
        texts = {row["id"]: str(row["text"]) for row in sample_set.kept}
        if added := find_added(models_uri, stamp.handle, texts):
            raise ModelBusyError(
                f"{stamp.handle}: {texts[min(added)]!r} was added to its samples while this run, which has the same "
                "text, was at work. Nothing was attached, and the replies are kept. Start again"
            )
        newer.extend(list_newer(samples_uri, stamp.handle, verdict.beside) if verdict.success else ())
        return not newer

    stored = write_set(samples_uri, sample_set, may_enter)
    if newer:
        return tuple(newer)
    told = {"status": sample_set.status, "kept": len(sample_set.kept), "rejected_rows": len(sample_set.rejected)}
    get_run_logger().info("%s: %s", sample_set.status, stored.folder, extra=told)
    return stored
