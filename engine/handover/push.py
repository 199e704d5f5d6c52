"""Pushes a model's attached samples to a platform: what is not there yet, in order, 500 a request."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engine.domain.model import digest_text
from engine.errors import InputError
from engine.handover.attached import BATCH_ROWS, AttachedSamples
from engine.handover.lines import BODY_COLUMNS, join_body, pack_bodies, to_json
from engine.handover.platform import BodyTooLargeError, Platform, SampleRefusedError
from engine.store.stored_rows import walk_rows

# A trait and a text, by half of a SHA-256: a million take 16 MB, and no two are alike by chance.
MARK = np.dtype("S16")
Marks = npt.NDArray[np.bytes_]
SHOWN = 60


@dataclass(slots=True)
class PushCounts:
    """The samples that were sent, that were there already, and that the model has no trait for any more."""

    sent: int = 0
    present: int = 0
    left_out: int = 0


def push_samples(
    samples: AttachedSamples, platform: Platform, counts: PushCounts, note: Callable[[], None] = lambda: None
) -> None:
    """Sends the samples that the platform does not have; begun again after a kill at any instant, it sends the rest.

    Args:
        counts: counted up as it goes, so that they are known when it is interrupted.
        note: called after each request.

    Raises:
        InputError: the platform does not take a sample; those before it stay there.
        UnknownModelError, FrozenModelError, ModelBusyError, PlatformError: as ``Platform``.
        StoreError: a set cannot be read.
    """
    present = read_present(platform, note)
    for entries in pack_bodies(_walk_missing(samples, present, counts)):
        _send(platform, entries)
        counts.sent += len(entries)
        note()


def read_present(platform: Platform, note: Callable[[], None] = lambda: None) -> Marks:
    """The marks of all samples that the platform has, sorted."""
    marks = bytearray()
    for number, (trait, digest) in enumerate(platform.walk_samples()):
        marks += _mark(trait, digest)
        if number % BATCH_ROWS == 0:
            note()
    return np.sort(np.frombuffer(bytes(marks), MARK))


def _walk_missing(samples: AttachedSamples, present: Marks, counts: PushCounts) -> Iterator[bytes]:
    """Yields the entries of the samples that are not present."""
    traits = {trait.key for trait in samples.outline.traits}
    for stored in samples.sets:
        for table in walk_rows(stored, BODY_COLUMNS, BATCH_ROWS):
            rows = table.to_pylist()
            is_present = _find(present, [_mark(row["trait"], row["content_sha256"]) for row in rows])
            for row, there in zip(rows, is_present, strict=True):
                if there:
                    counts.present += 1
                elif row["trait"] not in traits:
                    counts.left_out += 1
                else:
                    yield to_json(row)


def _send(platform: Platform, entries: Sequence[bytes]) -> None:
    """Sends some samples, in halves where the platform, or a proxy before it, takes no body of that size."""
    try:
        platform.add_samples(join_body(entries), len(entries))
    except BodyTooLargeError as error:
        if len(entries) == 1:
            raise InputError(f"{error} {_describe(entries[0])} alone is too large") from error
        half = len(entries) // 2
        _send(platform, entries[:half])
        _send(platform, entries[half:])
    except SampleRefusedError as error:
        is_told = error.index is not None and error.index < len(entries)
        which = f"{_describe(entries[error.index or 0])}: " if is_told else ""
        raise InputError(
            f"{platform.url} does not take what was sent: {which}{error} Put it right at one of the two, and push again"
        ) from error


def _describe(entry: bytes) -> str:
    fields = json.loads(entry)
    text = fields["text"]
    shown = text if len(text) <= SHOWN else f"{text[:SHOWN]}…"
    return f"The text {shown!r} for {fields['trait']}, of quality {fields['quality']:g}"


def _mark(trait: str, content_sha256: str) -> bytes:
    return bytes.fromhex(digest_text(f"{trait}\n{content_sha256}")[:32])


def _find(present: Marks, marks: Iterable[bytes]) -> npt.NDArray[np.bool_]:
    """Whether each mark is among those that are present."""
    wanted = np.array(list(marks), MARK)
    if not len(present):
        return np.zeros(len(wanted), np.bool_)
    places = np.minimum(np.searchsorted(present, wanted), len(present) - 1)
    return np.asarray(present[places] == wanted)
