"""The values of a listing: a sample as the HTTP API shows it, authored or attached, and the position of a page."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class ListedSample:
    """A text with its quality in [0, 1] for one trait, which is given by its key (the platform's contract, section 3).

    ``id`` has 53 bits; the same text for the same trait has the same id, even if it is authored twice.
    ``created_at`` is in UTC, and None for authored samples.
    """

    id: int
    trait: str
    text: str
    quality: float
    provenance: str
    source_url: str | None
    content_sha256: str
    created_at: datetime | None


@dataclass(frozen=True, slots=True)
class AuthoredPosition:
    """The position of an authored sample.

    ``source`` is the index of the model's source, ``line`` the number of its line from 1, and ``label`` the index of
    the label in the line.
    """

    source: int = 0
    line: int = 1
    label: int = 0


@dataclass(frozen=True, slots=True)
class AttachedPosition:
    """The position of an attached sample: when its set was attached (ns since 1970), the set's run id, and the row."""

    attached_ns: int = 0
    run_id: str = ""
    row: int = 0


Position = AuthoredPosition | AttachedPosition


@dataclass(frozen=True, slots=True)
class Page:
    """Samples in order; ``next_position`` is the position of the sample after them, None on the last page."""

    samples: tuple[ListedSample, ...]
    next_position: Position | None


@dataclass(frozen=True, slots=True)
class SampleCount:
    """The number of samples of a trait: all, those of quality exactly 1, and those of quality exactly 0."""

    sample_count: int = 0
    positive_samples: int = 0
    negative_samples: int = 0
