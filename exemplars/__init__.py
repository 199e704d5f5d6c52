"""The public names for programs: samples as a data frame, the models, the dry run, the main job, and the errors.

``import exemplars`` takes no time: all but the errors is loaded when it is first used. ``exemplars.errors`` has every
error; those that a program mostly tells apart stand here too.
"""

import importlib
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
    from engine.domain.verdict import RunResult
    from engine.estimate.planned_run import PlannedRun
    from exemplars.models import ModelSummary, list_models, plan
    from exemplars.samples import load_samples
    from flows.synthesize import synthesize

__all__ = [
    "BudgetError",
    "DefinitionError",
    "ExemplarsError",
    "GateError",
    "InputError",
    "ModelBusyError",
    "ModelSummary",
    "OrchestratorError",
    "PlannedRun",
    "ProviderError",
    "RunInterruptedError",
    "RunResult",
    "StoreError",
    "UnknownModelError",
    "errors",
    "list_models",
    "load_samples",
    "plan",
    "synthesize",
]

# Where each name is that is loaded on first use.
_PLACES = {
    "ModelSummary": "exemplars.models",
    "PlannedRun": "engine.estimate.planned_run",
    "RunResult": "engine.domain.verdict",
    "list_models": "exemplars.models",
    "load_samples": "exemplars.samples",
    "plan": "exemplars.models",
    "synthesize": "flows.synthesize",
}

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
        """The public names, those too that are not loaded yet."""
        return sorted([*globals(), *_PLACES])
