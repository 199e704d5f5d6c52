"""Whether a set may enter its model's samples, asked at the moment that it is written."""

from collections.abc import Callable, Collection, Sequence

from engine.definitions.lifecycle import check_draft
from engine.domain.model import Pool
from engine.domain.samples import Row
from engine.errors import ModelBusyError
from engine.settings import Settings
from engine.store.added_samples import find_added
from engine.store.store import list_newer


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
    models_uri, samples_uri = settings.locate(settings.models_uri), settings.locate(settings.samples_uri)

    def may_enter() -> bool:
        if rows and pool == "train":
            check_draft(models_uri, handle)
        texts = {row["id"]: str(row["text"]) for row in rows}
        if added := find_added(models_uri, handle, texts):
            raise ModelBusyError(
                f"{handle}: {texts[min(added)]!r} was added to its samples meanwhile, and the set has the same text. "
                "Nothing was attached, and nothing that was paid is lost. Start again, or leave it out of the review"
            )
        newer.extend(() if beside is None else list_newer(samples_uri, handle, beside))
        return not newer

    return may_enter
