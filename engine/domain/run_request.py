"""Define the request for one run, from a command, the HTTP API or a backfill."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Self, cast, get_args

from engine.domain.model import EFFORTS, MOST_PER_POLE, SYNTH_TYPES, BatchMode, Effort, SynthType, check_handle
from engine.errors import InputError


@dataclass(frozen=True, slots=True)
class RunRequest:
    """Request for a run: the parameters of the flow ``synthesize``, which documents each.

    None as ``effort`` or ``per_pole`` selects the value of the model.

    Raises:
        HandleError, InputError: a value is invalid for every model. ``load_job`` checks it for the request's model.
    """

    handle: str
    synth_type: SynthType = "from_traits"
    effort: Effort | None = None
    only_lacking: bool = False
    review: bool = False
    strict: bool = False
    per_pole: int | None = None
    refresh: bool = False
    batch: BatchMode = "none"

    def __post_init__(self) -> None:
        check_handle(self.handle)
        check_choices(self.synth_type, self.effort, self.per_pole, self.batch)

    @classmethod
    def take(cls, given: Mapping[str, Any]) -> Self:
        """Make a request from values by field name, as typed by a person; ignore other names."""
        return cls(**{item.name: given[item.name] for item in fields(cls) if item.name in given})


def check_choices(synth_type: str, effort: str | None, per_pole: int | None = None, batch: str = "none") -> None:
    """Check synth type, effort and batch mode, and the number of exemplars per pole.

    Raises:
        InputError: a value is unknown or out of range.
    """
    if synth_type not in SYNTH_TYPES:
        raise InputError(f"{synth_type!r} is not a synth type. The synth types are: {', '.join(SYNTH_TYPES)}")
    check_effort(effort)
    if per_pole is not None and not 1 <= per_pole <= MOST_PER_POLE:
        raise InputError(f"{per_pole:,} samples a pole cannot be made. Ask for 1 to {MOST_PER_POLE:,}")
    if batch not in get_args(BatchMode):
        raise InputError(f"--batch={batch} is not known. Give --batch, --batch=first or --batch=all")


def check_effort(effort: str | None) -> Effort | None:
    """Return the effort unchanged, None included.

    Raises:
        InputError: it is unknown.
    """
    if effort is None or effort in EFFORTS:
        return cast("Effort | None", effort)
    number = f". For {effort} samples a pole say --per-pole {effort}" if effort.isdecimal() else ""
    raise InputError(f"{effort!r} is not an effort. The efforts are: {', '.join(EFFORTS)}{number}")
