"""Lists the models of the catalogue."""

from dataclasses import dataclass

from engine.definitions.lifecycle import State, read_lifecycle
from engine.definitions.loader import list_handles, load_outline
from engine.domain.model import Effort, Trait
from engine.errors import DefinitionError
from engine.settings import read_settings


@dataclass(frozen=True, slots=True)
class ModelSummary:
    """A model as its files define it.

    Args:
        state: what ``lifecycle.json`` says, ``draft`` without one. Prefect knows whether a run works on the model.
        effort: the model's own, None where it names none.
        traits: empty where they are still to be discovered.
        mistakes: what is wrong with the files, a line each; of such a model only the handle is known. Empty if nothing.
    """

    handle: str
    description: str = ""
    state: State = "draft"
    effort: Effort | None = None
    traits: tuple[Trait, ...] = ()
    mistakes: str = ""


def list_models(namespace: str | None = None) -> tuple[ModelSummary, ...]:
    """The models of the catalogue, or of one of its namespaces, in the order of their handles; no sample is read.

    Raises:
        DefinitionError: a setting is wrong. StoreError: the catalogue cannot be read.
    """
    settings = read_settings()
    models_uri = settings.locate(settings.models_uri)
    return tuple(_summarise(models_uri, handle) for handle in list_handles(models_uri, namespace))


def _summarise(models_uri: str, handle: str) -> ModelSummary:
    try:
        outline, lifecycle = load_outline(models_uri, handle), read_lifecycle(models_uri, handle)
    except DefinitionError as error:
        return ModelSummary(handle, mistakes=str(error))
    return ModelSummary(handle, outline.description, lifecycle.state, outline.effort, outline.traits)
