"""The outcome of a run: check whether its set may join the model's samples, and read the result of a stored set."""

from collections import Counter
from collections.abc import Callable, Collection, Sequence

from engine.asking.held_out import choose_pool
from engine.definitions.lifecycle import check_draft
from engine.definitions.loader import load_outline
from engine.domain.finding import read_findings
from engine.domain.model import POLES, Pool, SynthType
from engine.domain.samples import Row
from engine.domain.verdict import RunResult
from engine.errors import InputError, ModelBusyError
from engine.report.wording import state_headline
from engine.settings import Settings
from engine.store.added_samples import find_authored
from engine.store.layout import REPORT, VERDICT
from engine.store.sample_set import read_manifest
from engine.store.store import StoredSet, list_newer, locate_set, read_document


def make_entry_check(
    settings: Settings, handle: str, pool: Pool, rows: Sequence[Row], seen: Collection[str] | None, newer: list[str]
) -> Callable[[], bool]:
    """Return the last check before a set is attached, or before its rows become visible.

    Args:
        seen: ids of the runs with sets that the gate has seen; None for a set that did not pass the gate.
        newer: receives the ids of the runs with newer sets; if there are any, the set may not be attached.

    Raises:
        FrozenModelError: the model was trained or archived since the run began.
        ModelBusyError: a text of the set was added to the model's samples since the run began.
    """

    def may_enter() -> bool:
        if rows and pool == "train":
            check_draft(settings.models_uri, handle)
        texts = {row["id"]: str(row["text"]) for row in rows}
        # Texts that were authored at planning are not in the set: a copy of a seed is rejected.
        if added := find_authored(settings.models_uri, load_outline(settings.models_uri, handle), texts):
            raise ModelBusyError(
                f"{handle}: {texts[min(added)]!r} was added to its samples after the set was planned, and the set "
                "has the same text. Nothing was attached, and nothing that was paid for is lost. Start again, or leave "
                "the text out of the review"
            )
        newer.extend(() if seen is None else list_newer(settings.samples_uri, handle, seen))
        return not newer

    return may_enter


def find_finished(settings: Settings, handle: str, synth_type: SynthType, run_id: str) -> StoredSet | None:
    """Return the attached set of a run; None if the run has attached nothing yet.

    There is one if a run is retried in the UI after it completed, or was killed at the last moment.

    Raises:
        InputError: its set was attached and later detached. StoreError: the store cannot be read.
    """
    stored = find_run_set(settings, handle, synth_type, run_id)
    if stored is not None and stored.status == "detached":
        raise InputError(f"The set of run {run_id} was detached from {handle}, and stays so. Start a new run")
    return stored if stored is not None and stored.status == "attached" else None


def find_run_set(settings: Settings, handle: str, synth_type: SynthType, run_id: str) -> StoredSet | None:
    """Return the set that a run wrote, if any; a set that was proposed has the key ``review`` in its manifest.

    Raises:
        StoreError: the store cannot be read.
    """
    folder = locate_set(settings.samples_uri, handle, choose_pool(synth_type), run_id)
    manifest = read_manifest(folder)
    return None if manifest is None else StoredSet(folder, manifest, written=False)


def read_result(stored: StoredSet) -> RunResult:
    """Return the result of a run, read from its attached or proposed set, or from a set that a review rejected.

    Raises:
        StoreError: the set cannot be read.
    """
    manifest, is_proposed = stored.manifest, stored.status == "proposed"
    kept = {(trait, pole): int(counts[pole]) for trait, counts in manifest["counts"].items() for pole in POLES}
    verdict = read_document(stored, VERDICT)
    reasons, findings = Counter(verdict.get("reasons", {})), read_findings(verdict)
    spare = reasons["surplus"]
    headline = state_headline(sum(kept.values()), findings, manifest["synth_type"], is_proposed)
    why = manifest.get("review", {}).get("why")
    return RunResult(
        run_id=stored.run_id,
        status=stored.status,
        samples=stored.file(stored.rows_name),
        report=stored.file(REPORT),
        # The quota is met exactly, unless a person has left out samples of a proposal.
        wanted=max(kept.values(), default=0),
        kept=kept,
        rejected=reasons.total() - spare,
        spare=spare,
        findings=findings,
        headline=f"{headline}: rejected by a review{f' ({why})' if why else ''}" if not kept else headline,
    )
