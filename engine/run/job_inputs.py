"""Write a job's inputs as JSON, and read them: a run that waited for a batch resumes from them, whatever changed."""

from dataclasses import replace
from typing import Any

from pydantic import TypeAdapter

from engine.definitions.effort import Level
from engine.domain.definition import Pole
from engine.domain.model import Attached, Model, SynthType
from engine.errors import InputError
from engine.run.job import Job

# The inputs contain the stored texts, because sets may be gone when the run resumes.
MOST_STORED = 100_000
# Written next to the model, not in it: a model may read these fields from its sets.
STORED = ("attached", "held_out", "proposed")
_Stored = dict[str, tuple[Attached, ...]]
_INPUTS = TypeAdapter(
    tuple[Model, _Stored, SynthType, Level, str, list[tuple[tuple[str, Pole], int]] | None],
    config={"ser_json_bytes": "base64", "val_json_bytes": "base64", "arbitrary_types_allowed": True},
)


def write_job(job: Job) -> bytes:
    """Return the inputs of a job as JSON.

    Raises:
        InputError: the model has more than ``MOST_STORED`` samples.
    """
    stored = {name: tuple(getattr(job.model.existing, name)) for name in STORED}
    if (count := sum(map(len, stored.values()))) > MOST_STORED:
        raise InputError(
            f"{job.model.handle} has {count:,} stored samples, and a run that waits for a batch takes {MOST_STORED:,} "
            "at most. Run it without a batch"
        )
    missing = None if job.missing is None else list(job.missing.items())
    inputs = job.model, stored, job.synth_type, job.level, job.note, missing
    return _INPUTS.dump_json(inputs, exclude={0: {"existing": set(STORED)}})


def read_job(written: bytes) -> Job:
    """Return the job that ``write_job`` wrote."""
    inputs: Any = _INPUTS.validate_json(written)
    model, stored, synth_type, level, note, missing = inputs
    model = replace(model, existing=replace(model.existing, **stored))
    return Job(model, synth_type, level, note, None if missing is None else dict(missing))
