"""The public names for programs: samples as a data frame, the models, the dry run, the main job, and the errors.

``import exemplars`` takes no time: all but the errors is loaded when it is first used.
"""

import importlib
from typing import TYPE_CHECKING, Any

from exemplars.packages import check_packages

# The errors are the engine's own.
check_packages("engine")

from engine.errors import (  # noqa: E402
    AddressError,
    BackfillError,
    BudgetError,
    ContentRefusedError,
    ContextTooLongError,
    CredentialsError,
    DefinitionError,
    ExemplarsError,
    FrozenModelError,
    GateError,
    HandleError,
    InputError,
    MalformedAnswerError,
    ModelBusyError,
    ModelNotFoundError,
    NoSeedsError,
    NoTraitsError,
    OrchestratorError,
    PlatformError,
    Problem,
    ProviderDownError,
    ProviderError,
    ProviderTimeoutError,
    ProviderUnavailableError,
    QuotaError,
    QuotaSpentError,
    RateLimitedError,
    RequestRefusedError,
    RetryablePlatformError,
    RetryableProviderError,
    RunInterruptedError,
    SampleConflictError,
    SharedBudgetError,
    StoreAwayError,
    StoreError,
    UnknownModelError,
    UnpricedError,
    UnsupportedError,
)

if TYPE_CHECKING:
    from engine.domain.verdict import RunResult
    from engine.estimate.planned_run import PlannedRun
    from exemplars.dry_run import plan
    from exemplars.models import ModelSummary, list_models
    from exemplars.samples import load_samples
    from flows.synthesize import synthesize

__all__ = [
    "AddressError",
    "BackfillError",
    "BudgetError",
    "ContentRefusedError",
    "ContextTooLongError",
    "CredentialsError",
    "DefinitionError",
    "ExemplarsError",
    "FrozenModelError",
    "GateError",
    "HandleError",
    "InputError",
    "MalformedAnswerError",
    "ModelBusyError",
    "ModelNotFoundError",
    "ModelSummary",
    "NoSeedsError",
    "NoTraitsError",
    "OrchestratorError",
    "PlannedRun",
    "PlatformError",
    "Problem",
    "ProviderDownError",
    "ProviderError",
    "ProviderTimeoutError",
    "ProviderUnavailableError",
    "QuotaError",
    "QuotaSpentError",
    "RateLimitedError",
    "RequestRefusedError",
    "RetryablePlatformError",
    "RetryableProviderError",
    "RunInterruptedError",
    "RunResult",
    "SampleConflictError",
    "SharedBudgetError",
    "StoreAwayError",
    "StoreError",
    "UnknownModelError",
    "UnpricedError",
    "UnsupportedError",
    "list_models",
    "load_samples",
    "plan",
    "synthesize",
]

# Where each name is that is loaded on first use, and which of our packages that needs.
_PLACES = {
    "ModelSummary": ("exemplars.models", ()),
    "PlannedRun": ("engine.estimate.planned_run", ()),
    "RunResult": ("engine.domain.verdict", ()),
    "list_models": ("exemplars.models", ()),
    "load_samples": ("exemplars.samples", ()),
    "plan": ("exemplars.dry_run", ("flows",)),
    "synthesize": ("flows.synthesize", ("flows", "tasks", "expectations")),
}

if not TYPE_CHECKING:
    # Hidden from type checkers, to which any name would be one of ours.
    def __getattr__(name: str) -> Any:
        """Loads a public name on its first use (PEP 562).

        Raises:
            AttributeError: there is no such name.
            ImportError: another package stands in the place of one of ours.
        """
        if name not in _PLACES:
            raise AttributeError(f"module 'exemplars' has no attribute {name!r}")
        module, needed = _PLACES[name]
        check_packages(*needed)
        value = getattr(importlib.import_module(module), name)
        globals()[name] = value
        return value

    def __dir__() -> list[str]:
        """The public names, those too that are not loaded yet."""
        return sorted([*globals(), *_PLACES])
