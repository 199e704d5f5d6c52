"""Reads a model's lifecycle state, which whoever trains or archives the model writes beside its definition."""

import json
from dataclasses import dataclass
from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

from engine.definitions.schema import format_value
from engine.errors import DefinitionError, FrozenModelError, Problem
from engine.system.filesystem import read_bytes

LIFECYCLE_FILE = "lifecycle.json"
State = Literal["draft", "busy", "ready", "failed", "archived"]
STATES: tuple[str, ...] = get_args(State)
# A failed model is a draft whose last run did not complete (the platform's contract, section 5).
DRAFTS: tuple[State, ...] = ("draft", "failed")


@dataclass(frozen=True, slots=True)
class Lifecycle:
    """A model's state, and the version that it was trained to; the version is None for one that was never trained."""

    state: State = "draft"
    version_id: int | None = None
    version_no: int | None = None
    version_tags: tuple[str, ...] = ()

    @property
    def takes_samples(self) -> bool:
        """Whether samples may be added."""
        return self.state in DRAFTS


class _Entry(BaseModel):
    """The file's content."""

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)

    state: State
    version_id: int | None = None
    version_no: int | None = None
    version_tags: tuple[str, ...] = ()


def read_lifecycle(models_uri: str, handle: str) -> Lifecycle:
    """Reads a model's lifecycle; a model without the file is a draft.

    Raises:
        DefinitionError: the file does not hold a valid state. It is an error, so that a trained model is never taken
            for a draft.
        StoreError: the file cannot be read.
    """
    try:
        content = read_bytes(f"{models_uri.rstrip('/')}/{handle}/{LIFECYCLE_FILE}")
    except FileNotFoundError:
        return Lifecycle()
    name = f"{handle}/{LIFECYCLE_FILE}"
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        found = repr(content[:40].decode(errors="replace"))
        raise DefinitionError(name, [Problem(name, None, "file", found, "one JSON object")]) from None
    try:
        # Validated as JSON, since there a list is the strict form of a tuple.
        return Lifecycle(**_Entry.model_validate_json(json.dumps(value)).model_dump())
    except ValidationError as error:
        raise DefinitionError(name, [_make_problem(name, item) for item in error.errors()]) from None


def check_draft(models_uri: str, handle: str) -> None:
    """Checks that samples may be added to a model (the platform's contract, section 3).

    Raises:
        FrozenModelError: the model is not a draft.
        DefinitionError, StoreError: as ``read_lifecycle``.
    """
    lifecycle = read_lifecycle(models_uri, handle)
    if not lifecycle.takes_samples:
        raise FrozenModelError(
            f"{handle} is {lifecycle.state!r}, not a draft ({LIFECYCLE_FILE}). Samples may be added only while a model "
            "is a draft; a trained model's samples are frozen. Nothing was attached"
        )


def _make_problem(name: str, item: object) -> Problem:
    assert isinstance(item, dict)
    field = ".".join(str(part) for part in item["loc"]) or "file"
    found = "nothing" if item["type"] == "missing" else format_value(item["input"])
    allowed = {
        "literal_error": ", ".join(STATES),
        "missing": ", ".join(STATES),
        "model_type": "one JSON object",
        "int_type": "a whole number or null",
        "tuple_type": "a list of texts",
        "string_type": "a text",
    }.get(item["type"], str(item["msg"]).lower())
    return Problem(name, None, field, found, allowed)
