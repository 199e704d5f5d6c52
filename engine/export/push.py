"""Pushes a model's attached samples to a platform: what is not there yet, in order, 500 a request."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from engine.errors import InputError
from engine.export.attached import BATCH_ROWS, AttachedSamples
from engine.export.lines import BODY_COLUMNS, join_body, pack_bodies, to_json
from engine.export.platform import BodyTooLargeError, Platform, SampleRefusedError
from engine.store.earlier.rows import walk_rows
from engine.text.formatting import shorten

# The quality of a trait and a text, by half of their SHA-256: no two are alike by chance, and a million take 150 MB.
Present = dict[bytes, float]
MARK_BYTES = 16
SHOWN, SHOWN_CONFLICTS = 60, 20


@dataclass(slots=True)
class PushCounts:
    """The samples that were sent, that were there already, and that the model has no trait for any more."""

    sent: int = 0
    present: int = 0
    left_out: int = 0


def push_samples(samples: AttachedSamples, platform: Platform, counts: PushCounts) -> None:
    """Sends the samples that the platform does not have; begun again after a kill at any instant, it sends the rest.

    Args:
        counts: counted up as it goes, so that they are known meanwhile, and when it is interrupted.

    Raises:
        InputError: the platform has some with another quality, and nothing was sent; or it does not take a sample, and
            those before it stay there.
        UnknownModelError, FrozenModelError, ModelBusyError, PlatformError: as ``Platform``.
        StoreError: a set cannot be read.
    """
    present = {_mark(trait, digest): quality for trait, digest, quality in platform.walk_samples()}
    _check_qualities(samples, present, platform.url)
    for entries in pack_bodies(_walk_missing(samples, present, counts)):
        _send(platform, entries)
        counts.sent += len(entries)


def _check_qualities(samples: AttachedSamples, present: Present, url: str) -> None:
    """Checks that no sample is present with another quality.

    Raises:
        InputError: some are; it names the first of them, a line each.
    """
    conflicts = (
        f"  sample {row['id']} of run {row['run_id']} for {row['trait']}: quality {row['quality']:g} here, {there:g} "
        f"there: {shorten(row['text'], SHOWN)!r}"
        for row, there in _walk(samples, present, ("id", "run_id", *BODY_COLUMNS))
        if there is not None and there != row["quality"]
    )
    if lines := list(islice(conflicts, SHOWN_CONFLICTS)):
        more = ["  and perhaps more"] if len(lines) == SHOWN_CONFLICTS else []
        said = (
            f"{url} has some of the samples with another label, so nothing was sent. Remove them at one of the two "
            f"(here: 'exemplars remove {samples.outline.handle} ID ...'), and push again:"
        )
        raise InputError("\n".join([said, *lines, *more]))


def _walk_missing(samples: AttachedSamples, present: Present, counts: PushCounts) -> Iterator[bytes]:
    """Yields the entries of the samples that are not present."""
    traits = {trait.key for trait in samples.outline.traits}
    for row, there in _walk(samples, present, BODY_COLUMNS):
        if there is not None:
            counts.present += 1
        elif row["trait"] not in traits:
            counts.left_out += 1
        else:
            yield to_json(row)


def _walk(
    samples: AttachedSamples, present: Present, columns: Sequence[str]
) -> Iterator[tuple[dict[str, Any], float | None]]:
    """Yields the samples, each with the quality that it has at the platform, None where it is not present."""
    for stored in samples.sets:
        for table in walk_rows(stored, columns, BATCH_ROWS):
            for row in table.to_pylist():
                yield row, present.get(_mark(row["trait"], row["content_sha256"]))


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
    return f"The text {shorten(text, SHOWN)!r} for {fields['trait']}, of quality {fields['quality']:g}"


def _mark(trait: str, content_sha256: str) -> bytes:
    # JSON can escape half of a surrogate pair.
    return hashlib.sha256(f"{trait}\n{content_sha256}".encode(errors="surrogatepass")).digest()[:MARK_BYTES]
