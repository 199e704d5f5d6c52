"""Read a model's lifecycle state. The program that trains or archives the model writes it next to its definition."""

from dataclasses import dataclass

from pydantic import TypeAdapter, ValidationError

from engine.definitions.mistakes import Findings
from engine.definitions.yaml_document import Document, read_authored
from engine.domain.model import State
from engine.errors import FrozenModelError

LIFECYCLE_FILE = "lifecycle.json"
# States in which samples may be added. "failed" is a draft after an incomplete run (contract, section 5).
DRAFTS: tuple[State, ...] = ("draft", "failed")


@dataclass(frozen=True, slots=True)
class Lifecycle:
    """A model's state and its trained version; the version is None if the model was never trained."""

    state: State
    version_id: int | None = None
    version_no: int | None = None
    version_tags: tuple[str, ...] = ()


def read_lifecycle(models_uri: str, handle: str) -> Lifecycle:
    """Read a model's lifecycle; a model without the file is a draft.

    Raises:
        DefinitionError: the file holds no valid state. There is no default: a trained model must not count as a draft.
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
    """Check that samples may be added to a model or removed from it (the platform's contract, section 3).

    Args:
        undone: the sentence that ends the message, such as "Nothing was attached".

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
