"""Reads a model's lifecycle state, which whoever trains or archives the model writes beside its definition."""

from dataclasses import dataclass

from pydantic import TypeAdapter, ValidationError

from engine.definitions.mistakes import Findings
from engine.definitions.yaml_document import Document, read_authored
from engine.domain.model import State
from engine.errors import FrozenModelError

LIFECYCLE_FILE = "lifecycle.json"
# In these samples may be added: a failed model is a draft whose last run did not complete (contract, section 5).
DRAFTS: tuple[State, ...] = ("draft", "failed")


@dataclass(frozen=True, slots=True)
class Lifecycle:
    """A model's state, and the version that it was trained to; the version is None for one that was never trained."""

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
    content = read_authored(models_uri, handle, LIFECYCLE_FILE)
    if content is None:
        return Lifecycle("draft")
    try:
        return TypeAdapter(Lifecycle).validate_json(content.decode("utf-8-sig", errors="replace"), strict=True)
    except ValidationError as error:
        findings = Findings(Document(f"{handle}/{LIFECYCLE_FILE}", None, {}))
        findings.add_errors(error)
        raise findings.make_error() from None


def check_draft(models_uri: str, handle: str, undone: str = "Nothing was attached") -> None:
    """Checks that samples may be added to a model, or taken off it (the platform's contract, section 3).

    Args:
        undone: what the message says has not been done.

    Raises:
        FrozenModelError: the model is not a draft.
        DefinitionError, StoreError: as ``read_lifecycle``.
    """
    state = read_lifecycle(models_uri, handle).state
    if state not in DRAFTS:
        raise FrozenModelError(
            f"{handle} is {state!r}, not a draft ({LIFECYCLE_FILE}). Samples may be added only while a model "
            f"is a draft; a trained model's samples are frozen. {undone}",
            state,
        )
