"""The inputs that a job is planned from, as JSON: a run that waits for a batch goes on from them, whatever changes."""

from dataclasses import fields
from typing import Any, get_type_hints

from pydantic import ConfigDict, create_model

from engine.definitions.effort import Level
from engine.domain.model import Attached, Model, Pole, SynthType
from engine.errors import InputError
from engine.run.job import Job

# Its texts stand in the inputs, since sets may be gone when the run goes on.
MOST_STORED = 100_000
_STORED = ("attached", "held_out", "proposed")
_HINTS = get_type_hints(Model) | dict.fromkeys(_STORED, tuple[Attached, ...])
_MODEL: dict[str, Any] = {field.name: (_HINTS[field.name], ...) for field in fields(Model) if field.init}
_Inputs = create_model(
    "_Inputs",
    **_MODEL,
    asked=(tuple[SynthType, Level, str, list[tuple[str, Pole, int]] | None], ...),
    __config__=ConfigDict(ser_json_bytes="base64", val_json_bytes="base64", protected_namespaces=()),
)


def write_job(job: Job) -> bytes:
    """The inputs of a job.

    Raises:
        InputError: the model has too many samples to be kept so.
    """
    stored = {name: getattr(job.model, name) for name in _STORED}
    if (count := sum(map(len, stored.values()))) > MOST_STORED:
        raise InputError(
            f"{job.model.handle} has {count:,} stored samples, and a run that waits for a batch takes {MOST_STORED:,} "
            "at most. Leave the batch out"
        )
    lacking = None if job.lacking is None else [(*pole, count) for pole, count in job.lacking.items()]
    told = {name: getattr(job.model, name) for name in _MODEL} | {name: tuple(each) for name, each in stored.items()}
    return _Inputs(**told, asked=(job.synth_type, job.level, job.note, lacking)).model_dump_json().encode()


def read_job(written: bytes) -> Job:
    """The job that ``write_job`` has written."""
    told: Any = _Inputs.model_validate_json(written)
    synth_type, level, note, lacking = told.asked
    model = Model(**{name: getattr(told, name) for name in _MODEL})
    wanted = None if lacking is None else {(trait, pole): count for trait, pole, count in lacking}
    return Job(model, synth_type, level, note, wanted)
