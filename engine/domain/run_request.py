"""What one run is asked for, as it was typed, sent or handed out."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RunRequest:
    """What a run is asked for: the parameters of the flow ``synthesize``, which explains each.

    ``load_job`` says what is wrong with one; ``effort`` and ``per_pole`` are None for the model's own.
    """

    handle: str
    synth_type: str = "from_traits"
    effort: str | None = None
    only_lacking: bool = False
    review: bool = False
    strict: bool = False
    per_pole: int | None = None
    refresh: bool = False
    batch: str = "none"
