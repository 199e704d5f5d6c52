"""The public names for programs: samples and labels as data frames, the models, the dry run, the main job, the errors.

``import exemplars`` takes no time: a name is loaded when it is first used. ``exemplars.errors`` has every error; the
errors that programs handle most often are here too.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from engine import errors
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
    from engine.domain.definition import Trait
    from engine.domain.finding import Finding
    from engine.domain.model import Effort, State, SynthType
    from engine.domain.verdict import RunResult
    from engine.estimate.planned_run import PlannedRun
    from engine.lineage.lineage import Lineage
    from exemplars.frames import add_samples, load_samples, score, suggest, test, validate
    from exemplars.in_memory import Outcome, synthesize_in_memory
    from flows.evaluation.real_texts import RealTest
    from flows.lineage.commands import show
    from flows.synthesize import synthesize

__all__ = [
    "Addition",
    "BudgetError",
    "DefinitionError",
    "ExemplarsError",
    "Finding",
    "GateError",
    "InputError",
    "Lineage",
    "ModelBusyError",
    "ModelSummary",
    "OrchestratorError",
    "Outcome",
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
    "synthesize_in_memory",
    "test",
    "validate",
]

# The module of each name that is loaded on first use.
_PLACES = {
    "Addition": "engine.authoring.labelled_texts",
    "Lineage": "engine.lineage.lineage",
    "PlannedRun": "engine.estimate.planned_run",
    "RealTest": "flows.evaluation.real_texts",
    "RunResult": "engine.domain.verdict",
    "Validation": "engine.authoring.validation",
    "Finding": "engine.domain.finding",
    "Outcome": "exemplars.in_memory",
    "show": "flows.lineage.commands",
    "synthesize": "flows.synthesize",
    "synthesize_in_memory": "exemplars.in_memory",
    **dict.fromkeys(("add_samples", "load_samples", "score", "suggest", "test", "validate"), "exemplars.frames"),
}


@dataclass(frozen=True, slots=True)
class ModelSummary:
    """A model as its files define it.

    Args:
        state: the state in ``lifecycle.json``, ``draft`` without one. Prefect knows whether a run works on the model.
        effort: the effort that the model names, None if it names none.
        traits: empty if the model has ``traits: discover``.
        mistakes: the mistakes in the files, a line each; empty if there are none. Otherwise only the handle is set.
    """

    handle: str
    description: str = ""
    state: State = "draft"
    effort: Effort | None = None
    traits: tuple[Trait, ...] = ()
    mistakes: str = ""


def list_models(namespace: str | None = None) -> tuple[ModelSummary, ...]:
    """Return the models of the catalogue, or of one namespace, in the order of their handles; no sample is read.

    Raises:
        DefinitionError: a setting is wrong. StoreError: the catalogue cannot be read.
    """
    from engine.definitions.lifecycle import read_lifecycle
    from engine.definitions.loader import list_handles, load_outline
    from engine.settings import read_settings

    models_uri = read_settings().models_uri
    summaries = []
    for handle in list_handles(models_uri, namespace):
        try:
            outline, state = load_outline(models_uri, handle), read_lifecycle(models_uri, handle).state
        except DefinitionError as error:
            summaries.append(ModelSummary(handle, mistakes=str(error)))
        else:
            summaries.append(ModelSummary(handle, outline.description, state, outline.effort, outline.traits))
    return tuple(summaries)


def plan(
    handle: str,
    synth_type: SynthType = "from_traits",
    effort: Effort | None = None,
    *,
    only_lacking: bool = False,
    prompts: int = 2,
    per_pole: int | None = None,
    refresh: bool = False,
) -> PlannedRun:
    """Return the plan and the estimated cost of a run. No model is called, and nothing is written.

    Args:
        effort: None for the effort that the model names, or ``high``.
        only_lacking: whether the run would only add the samples that are missing after earlier runs.
        prompts: the maximum number of prompts of each kind to show.
        per_pole: the number of samples for each pole, in place of the effort's number.
        refresh: whether sets for an older definition are ignored.

    Raises:
        InputError: an argument is wrong; for a wrong model it is an UnknownModelError, DefinitionError, NoTraitsError,
            NoSeedsError or FrozenModelError.
        ProviderError: the embedded model's file is missing.
        StoreError: the catalogue or the store cannot be read.
    """
    from engine.domain.run_request import RunRequest
    from engine.settings import read_settings
    from flows.cli.plan import plan_run

    if prompts < 0:
        raise InputError(f"prompts is {prompts}, and should be 0 or more")
    request = RunRequest(handle, synth_type, effort, only_lacking, per_pole=per_pole, refresh=refresh)
    return plan_run(read_settings(), request, prompts)


if not TYPE_CHECKING:
    # Hidden from type checkers, which would otherwise accept any name.
    def __getattr__(name: str) -> Any:
        """Load a public name on its first use (PEP 562); for another name, raise ``AttributeError``."""
        if name not in _PLACES:
            raise AttributeError(f"module 'exemplars' has no attribute {name!r}")
        try:
            value = getattr(importlib.import_module(_PLACES[name]), name)
        except ModuleNotFoundError as error:
            error.add_note(
                "Exemplars has packages named engine, expectations, flows and tasks. If a file or folder next to your "
                "script or notebook has one of these names, rename it"
            )
            raise
        globals()[name] = value
        return value

    def __dir__() -> list[str]:
        """Return only the public names, including names that are not loaded yet."""
        return sorted(__all__)
