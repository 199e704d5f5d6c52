"""Lists the models of the catalogue, and says what a run of one would do: what ``exemplars plan --json`` prints."""

from dataclasses import dataclass

from engine.definitions.lifecycle import State, read_lifecycle
from engine.definitions.loader import list_handles, load_outline
from engine.domain.model import Effort, SynthType, Trait
from engine.errors import DefinitionError, InputError
from engine.estimate.planned_run import PlannedRun
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


def plan(
    handle: str,
    synth_type: SynthType = "from_traits",
    effort: Effort | None = None,
    *,
    only_lacking: bool = False,
    prompts: int = 2,
) -> PlannedRun:
    """What a run would do and cost. No model is asked, and nothing is written.

    Args:
        effort: None for the model's own, or ``high``.
        only_lacking: whether the run would only fill up what earlier ones have left.
        prompts: how many prompts of each kind to show, at most.

    Raises:
        InputError: what is asked for is wrong; of the model an UnknownModelError, DefinitionError, NoTraitsError,
            NoSeedsError or FrozenModelError.
        ProviderError: the embedded model's file is not there.
        StoreError: the catalogue or the store cannot be read.
    """
    # Its imports take a second, and who only lists models need not wait for them.
    from flows.cli.plan import plan_run

    if prompts < 0:
        raise InputError(f"prompts is {prompts}, and should be 0 or more")
    return plan_run(read_settings(), handle, synth_type, effort, only_lacking, prompts)


def _summarise(models_uri: str, handle: str) -> ModelSummary:
    try:
        outline, lifecycle = load_outline(models_uri, handle), read_lifecycle(models_uri, handle)
    except DefinitionError as error:
        return ModelSummary(handle, mistakes=str(error))
    return ModelSummary(handle, outline.description, lifecycle.state, outline.effort, outline.traits)
