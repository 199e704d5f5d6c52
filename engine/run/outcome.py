"""What becomes of a run's set: whether it may enter its model's samples, and the result of one that is stored."""

from collections import Counter
from collections.abc import Callable, Collection, Sequence

from engine.asking.held_out import choose_pool
from engine.definitions.lifecycle import check_draft
from engine.definitions.loader import load_outline
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
    settings: Settings, handle: str, pool: Pool, rows: Sequence[Row], beside: Collection[str] | None, newer: list[str]
) -> Callable[[], bool]:
    """Makes the check of a set that is attached, or of one whose rows nobody sees yet.

    Args:
        beside: the runs whose sets the gate has seen; None for a set that it has not passed.
        newer: gets the runs whose sets came in since; with any the set may not enter.

    Raises:
        FrozenModelError: the model was trained or archived meanwhile.
        ModelBusyError: a text of the set was added to the model's samples meanwhile.
    """

    def may_enter() -> bool:
        if rows and pool == "train":
            check_draft(settings.models_uri, handle)
        texts = {row["id"]: str(row["text"]) for row in rows}
        # What stood at planning cannot be in the set: such a text is rejected as a copy of a seed.
        if added := find_authored(settings.models_uri, load_outline(settings.models_uri, handle), texts):
            raise ModelBusyError(
                f"{handle}: {texts[min(added)]!r} was added to its samples meanwhile, and the set has the same text. "
                "Nothing was attached, and nothing that was paid is lost. Start again, or leave it out of the review"
            )
        newer.extend(() if beside is None else list_newer(settings.samples_uri, handle, beside))
        return not newer

    return may_enter


def find_finished(settings: Settings, handle: str, synth_type: SynthType, run_id: str) -> StoredSet | None:
    """The set of a run where it is attached; None for a run that has attached nothing yet.

    That is a run which is retried in the UI after it completed, or was killed at the last moment.

    Raises:
        InputError: its set was attached, and detached since. StoreError: the store cannot be read.
    """
    stored = find_run_set(settings, handle, synth_type, run_id)
    if stored is not None and stored.status == "detached":
        raise InputError(f"The set of run {run_id} was detached from {handle}, and stays so. Start a new run")
    return stored if stored is not None and stored.status == "attached" else None


def find_run_set(settings: Settings, handle: str, synth_type: SynthType, run_id: str) -> StoredSet | None:
    """The set that a run has written, if any; one that was proposed has the key ``review`` in its manifest.

    Raises:
        StoreError: the store cannot be read.
    """
    folder = locate_set(settings.samples_uri, handle, choose_pool(synth_type), run_id)
    manifest = read_manifest(folder)
    return None if manifest is None else StoredSet(folder, manifest, written=False)


def read_result(stored: StoredSet) -> RunResult:
    """The result of a run, from its set that is attached, proposed, or rejected after a review.

    Raises:
        StoreError: the set cannot be read.
    """
    manifest, is_proposed = stored.manifest, stored.status == "proposed"
    kept = {(trait, pole): int(counts[pole]) for trait, counts in manifest["counts"].items() for pole in POLES}
    found = read_document(stored, VERDICT)
    reasons, warnings = Counter(found.get("reasons", {})), tuple(found.get("warnings", ()))
    spare = reasons["surplus"]
    headline = state_headline(sum(kept.values()), warnings, manifest["synth_type"], is_proposed)
    why = manifest.get("review", {}).get("why")
    return RunResult(
        run_id=stored.run_id,
        status=stored.status,
        samples=stored.file(stored.rows_name),
        report=stored.file(REPORT),
        # The quota is met exactly, but of what a person has left out of a proposal.
        wanted=max(kept.values(), default=0),
        kept=kept,
        rejected=reasons.total() - spare,
        spare=spare,
        warnings=warnings,
        headline=f"{headline}: rejected by a review{f' ({why})' if why else ''}" if not kept else headline,
    )
