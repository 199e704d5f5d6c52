"""Samples as the surface shows them: one value for what is authored and what is attached, and where a page begins."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class ListedSample:
    """A text with its quality in [0, 1] for one trait, which is given by its key (the platform's contract, section 3).

    ``id`` has 53 bits; the same text for the same trait has the same one, also where it is authored twice.
    ``created_at`` is in UTC; None for what is authored.
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
    """An authored sample: which source of the model, where the line begins, and which of the line's labels, from 0."""

    source: int = 0
    offset: int = 0
    line: int = 1
    label: int = 0


@dataclass(frozen=True, slots=True)
class AttachedPosition:
    """An attached sample: when its set was attached, in nanoseconds since 1970, the set's run id, and the row."""

    attached_ns: int = 0
    run_id: str = ""
    row: int = 0


Position = AuthoredPosition | AttachedPosition


@dataclass(frozen=True, slots=True)
class Page:
    """Samples in order; ``next_position`` is that of the sample that comes after them, None where there is none."""

    samples: tuple[ListedSample, ...]
    next_position: Position | None


@dataclass(frozen=True, slots=True)
class SampleCount:
    """How many samples a trait has: all, and those whose quality is exactly 1 and exactly 0."""

    sample_count: int = 0
    positive_samples: int = 0
    negative_samples: int = 0

    def __add__(self, other: "SampleCount") -> "SampleCount":
        return SampleCount(
            self.sample_count + other.sample_count,
            self.positive_samples + other.positive_samples,
            self.negative_samples + other.negative_samples,
        )
