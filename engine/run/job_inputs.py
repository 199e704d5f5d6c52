"""The inputs that a job is planned from, as JSON: a run that waits for a batch goes on from them, whatever changes."""

from dataclasses import replace
from typing import Any

from pydantic import TypeAdapter

from engine.definitions.effort import Level
from engine.domain.model import Attached, Model, Pole, SynthType
from engine.errors import InputError
from engine.run.job import Job

# Its texts stand in the inputs, since sets may be gone when the run goes on.
MOST_STORED = 100_000
# Beside a model, which may read them from its sets, and not in it.
STORED = ("attached", "held_out", "proposed")
_Stored = dict[str, tuple[Attached, ...]]
_INPUTS = TypeAdapter(
    tuple[Model, _Stored, SynthType, Level, str, list[tuple[tuple[str, Pole], int]] | None],
    config={"ser_json_bytes": "base64", "val_json_bytes": "base64", "arbitrary_types_allowed": True},
)


def write_job(job: Job) -> bytes:
    """The inputs of a job.

    Raises:
        InputError: the model has too many samples to be kept so.
    """
    stored = {name: tuple(getattr(job.model, name)) for name in STORED}
    if (count := sum(map(len, stored.values()))) > MOST_STORED:
        raise InputError(
            f"{job.model.handle} has {count:,} stored samples, and a run that waits for a batch takes {MOST_STORED:,} "
            "at most. Leave the batch out"
        )
    lacking = None if job.lacking is None else list(job.lacking.items())
    inputs = job.model, stored, job.synth_type, job.level, job.note, lacking
    return _INPUTS.dump_json(inputs, exclude={0: set(STORED)})


def read_job(written: bytes) -> Job:
    """The job that ``write_job`` has written."""
    told: Any = _INPUTS.validate_json(written)
    model, stored, synth_type, level, note, lacking = told
    return Job(replace(model, **stored), synth_type, level, note, None if lacking is None else dict(lacking))
