"""Which embedded model an unfinished plan was begun with: it goes on with that one, whatever has come or gone since."""

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import get_args

from engine.domain.model import Pool
from engine.errors import InputError, ModelNotFoundError
from engine.llm.embedded import embedded_models
from engine.llm.embedded.embedded_models import EMBEDDED, find_embedded, is_embedded
from engine.llm.replies.admin import count_asked
from engine.settings import EmbeddedPlace, Settings
from engine.store.store import list_sets


def find_model_of_unfinished_plan(
    settings: Settings, handle: str, names: Sequence[str], chosen: str, find_plan: Callable[[], str]
) -> str | None:
    """The embedded model that an unfinished plan was begun with, where that is not the one chosen now; else None.

    A plan is finished once the store has a set of it, be it a rejected one. A file that somebody has named is his
    choice for a plan that has begun, too.

    Args:
        names: what the setting or the dial names.
        chosen: the one of them that is asked.
        find_plan: the plan's id, which takes a while: it is asked for only where another file has given replies.

    Raises:
        ModelNotFoundError: the file is not there any more; the message says how to go on, and how to begin anew.
    """
    if len(names) == 1 and names[0] != EMBEDDED:
        return None
    place = settings.embedded_place
    own = find_embedded(chosen, place).sha256 if is_embedded(chosen) else None
    asked = count_asked(settings.replies_place, handle)
    if all(_read_sha256(identity) == own for counts in asked.values() for identity in counts):
        return None
    plan_id = find_plan()
    begun = [_read_sha256(identity) for identity, _ in asked.get(plan_id, Counter()).most_common()]
    if not begun or own in begun or _is_finished(settings, handle, plan_id):
        return None
    there = _list_there(names, place)
    if (found := next((there[sha256] for sha256 in begun if sha256 in there), None)) is None:
        raise ModelNotFoundError(_explain(handle, begun[0], chosen, place))
    return found


def _read_sha256(identity: str) -> str:
    """The digest of the file in an embedded endpoint's identity."""
    return identity.split(":")[1]


def _is_finished(settings: Settings, handle: str, plan_id: str) -> bool:
    samples_uri = settings.locate(settings.samples_uri)
    sets = (
        stored
        for pool in get_args(Pool)
        for stored in list_sets(samples_uri, handle, pool, ("attached", "detached", "rejected"))
    )
    return any(stored.manifest.get("plan_id") == plan_id for stored in sets)


def _list_there(names: Sequence[str], place: EmbeddedPlace) -> dict[str, str]:
    """The embedded models whose files are there, listed or named, by the digests of their files."""
    there: dict[str, str] = {}
    for name in (
        *(f"{EMBEDDED}/{known}" for known in embedded_models.list_embedded_models()),
        *filter(is_embedded, names),
    ):
        with suppress(ModelNotFoundError, InputError):
            there.setdefault(find_embedded(name, place).sha256, name)
    return there


def _explain(handle: str, sha256: str, chosen: str, place: EmbeddedPlace) -> str:
    known = next(
        (name for name, model in embedded_models.list_embedded_models().items() if model.sha256 == sha256), None
    )
    what, remedy = f"a GGUF file of SHA-256 {sha256}, which is not there", "Put it back where it was named"
    if known is not None:
        what, remedy = f"{known}, whose file is not in {place.folder}", f"Get it: 'exemplars models get {known}'"
    return (
        f"An unfinished plan of {handle} was begun with {what}. {remedy}; or begin anew by naming the model: "
        f"EXEMPLARS_SYNTH_MODEL={chosen}"
    )
