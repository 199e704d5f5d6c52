"""The public names for programs: samples and labels as data frames, the models, the dry run, the main job, the errors.

``import exemplars`` takes no time: what a name needs is loaded when it is first used. ``exemplars.errors`` has every
error; those that a program mostly tells apart stand here too.
"""

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from engine import errors
from engine.domain.model import Effort, State, SynthType, Trait
from engine.errors import (
    BudgetError,
    DefinitionError,
    ExemplarsError,
    GateError,
    InputError,
    ModelBusyError,
    OrchestratorError,
    ProviderError,
    RunInterruptedError,
    StoreError,
    UnknownModelError,
)

if TYPE_CHECKING:
    from engine.authoring.labelled_texts import Addition
    from engine.authoring.validation import Validation
    from engine.domain.verdict import RunResult
    from engine.estimate.planned_run import PlannedRun
    from engine.lineage.lineage import Lineage
    from exemplars.frames import add_samples, load_samples, score, suggest, test, validate
    from flows.evaluation.real_texts import RealTest
    from flows.lineage.commands import show
    from flows.synthesize import synthesize

__all__ = [
    "Addition",
    "BudgetError",
    "DefinitionError",
    "ExemplarsError",
    "GateError",
    "InputError",
    "Lineage",
    "ModelBusyError",
    "ModelSummary",
    "OrchestratorError",
    "PlannedRun",
    "ProviderError",
    "RealTest",
    "RunInterruptedError",
    "RunResult",
    "StoreError",
    "UnknownModelError",
    "Validation",
    "add_samples",
    "errors",
    "list_models",
    "load_samples",
    "plan",
    "score",
    "show",
    "suggest",
    "synthesize",
    "test",
    "validate",
]

# Where each name is that is loaded on first use.
_PLACES = {
    "Addition": "engine.authoring.labelled_texts",
    "Lineage": "engine.lineage.lineage",
    "PlannedRun": "engine.estimate.planned_run",
    "RealTest": "flows.evaluation.real_texts",
    "RunResult": "engine.domain.verdict",
    "Validation": "engine.authoring.validation",
    "show": "flows.lineage.commands",
    "synthesize": "flows.synthesize",
    **dict.fromkeys(("add_samples", "load_samples", "score", "suggest", "test", "validate"), "exemplars.frames"),
}


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
    from engine.definitions.lifecycle import read_lifecycle
    from engine.definitions.loader import list_handles, load_outline
    from engine.settings import read_settings

    models_uri = read_settings().models_uri
    found = []
    for handle in list_handles(models_uri, namespace):
        try:
            outline, state = load_outline(models_uri, handle), read_lifecycle(models_uri, handle).state
        except DefinitionError as error:
            found.append(ModelSummary(handle, mistakes=str(error)))
        else:
            found.append(ModelSummary(handle, outline.description, state, outline.effort, outline.traits))
    return tuple(found)


def plan(
    handle: str,
    synth_type: SynthType = "from_traits",
    effort: Effort | None = None,
    *,
    only_lacking: bool = False,
    prompts: int = 2,
    per_pole: int | None = None,
    refresh: bool = False,
) -> "PlannedRun":
    """What a run would do and cost. No model is asked, and nothing is written.

    Args:
        effort: None for the model's own, or ``high``.
        only_lacking: whether the run would only fill up what earlier ones have left.
        prompts: how many prompts of each kind to show, at most.
        per_pole: how many samples for each pole, in place of the effort's number.
        refresh: whether sets made for an older definition count as gone.

    Raises:
        InputError: what is asked for is wrong; of the model an UnknownModelError, DefinitionError, NoTraitsError,
            NoSeedsError or FrozenModelError.
        ProviderError: the embedded model's file is not there.
        StoreError: the catalogue or the store cannot be read.
    """
    from engine.domain.run_request import RunRequest
    from engine.settings import read_settings
    from flows.cli.plan import plan_run

    if prompts < 0:
        raise InputError(f"prompts is {prompts}, and should be 0 or more")
    asked = RunRequest(handle, synth_type, effort, only_lacking, per_pole=per_pole, refresh=refresh)
    return plan_run(read_settings(), asked, prompts)


if not TYPE_CHECKING:
    # Hidden from type checkers, to which any name would be one of ours.
    def __getattr__(name: str) -> Any:
        """Loads a public name on its first use (PEP 562).

        Raises:
            AttributeError: there is no such name.
        """
        if name not in _PLACES:
            raise AttributeError(f"module 'exemplars' has no attribute {name!r}")
        try:
            value = getattr(importlib.import_module(_PLACES[name]), name)
        except ModuleNotFoundError as error:
            error.add_note(
                "Exemplars has packages named engine, expectations, flows and tasks. Where a file or folder of yours "
                "beside the script or notebook has one of these names, rename it"
            )
            raise
        globals()[name] = value
        return value

    def __dir__() -> list[str]:
        """The public names alone, those too that are not loaded yet."""
        return sorted(__all__)
