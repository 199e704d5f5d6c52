"""Define every error that the project raises on purpose, in one tree, with the exit code of each kind.

::

    ExemplarsError
    ├── InputError                 exit 2   what the user gave is wrong
    │   ├── HandleError                     a malformed handle
    │   │   └── UnknownModelError           a well-formed handle without a model
    │   ├── DefinitionError                 model.yaml, a source or effort.yaml; carries every problem
    │   ├── NoTraitsError                   a model without trait definitions
    │   ├── NoSeedsError                    no authored samples to vary, or not at both poles
    │   ├── SampleConflictError             a text that already has another quality for the trait
    │   ├── FrozenModelError                a trained or archived model takes no samples
    │   └── UnpricedError                   a limit on cost for a model without a known price
    ├── GateError                  exit 1   a critical expectation failed, nothing attached
    │   └── QuotaError                      exemplars of a pole are missing after the last round
    ├── BackfillError              exit 1   some models of a backfill did not get their set
    ├── ProviderError              exit 3   the provider of a model, or the model itself, failed
    │   ├── RetryableProviderError          may be temporary: wait and ask again
    │   │   ├── RateLimitedError
    │   │   ├── ProviderTimeoutError
    │   │   ├── ProviderUnavailableError
    │   │   └── MalformedAnswerError        its answer cannot be read
    │   ├── CredentialsError                a missing or refused key
    │   ├── ModelNotFoundError              no such model at this provider
    │   ├── QuotaSpentError                 the account has no money or quota left
    │   ├── ProviderDownError               the provider was down for longer than a run waits
    │   ├── RequestRefusedError             the provider does not accept the request
    │   │   └── ContextTooLongError         prompt and reply exceed the model's context
    │   └── ContentRefusedError             the content filter refused this prompt
    ├── PlatformError              exit 3   a platform that samples are pushed to failed, or refuses the key
    │   └── RetryablePlatformError          may be temporary: wait and ask again
    ├── BudgetError                exit 3   the hard limit on cost is reached
    │   └── SharedBudgetError               the limit of a backfill for all its models is reached
    ├── RunInterruptedError        exit 130 the run was stopped
    ├── ModelBusyError             exit 3   another run works on the model
    ├── OrchestratorError          exit 3   Prefect's server cannot be reached or started
    ├── AddressError               exit 3   the server cannot listen on an address
    └── StoreError                 exit 3   a folder, file or database that cannot be read or written
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self


class ExemplarsError(Exception):
    """The root of the tree; a command that ends with the error has its ``exit_code``."""

    exit_code = 3


class InputError(ExemplarsError):
    """The user's input is wrong; nothing was written."""

    exit_code = 2


class HandleError(InputError):
    """A handle is malformed or, as an ``UnknownModelError``, names no model."""


class UnknownModelError(HandleError):
    """A handle is well formed, but no model has this handle."""


class NoTraitsError(InputError):
    """The ``traits`` of a model are ``discover``, not a list, so there is nothing to synthesize from."""


class NoSeedsError(InputError):
    """A model, or a pole of a trait, has no authored samples to vary."""


class FrozenModelError(InputError):
    """A model's ``state`` is not draft: the samples of a trained or archived model are frozen."""

    def __init__(self, message: str, state: str = "") -> None:
        super().__init__(message)
        self.state = state


class SampleConflictError(InputError):
    """A sample's text already has another quality for its trait; `index` is its position among the new samples."""

    def __init__(self, message: str, index: int) -> None:
        super().__init__(message)
        self.index = index


class UnpricedError(InputError):
    """A limit on cost cannot be enforced for a model without a known price."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake in a file: its location, the value found and the allowed values. ``line`` counts from 1."""

    file: str
    line: int | None
    field: str
    found: str
    allowed: str
    suggestion: str | None = None

    def __str__(self) -> str:
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        hint = f" Did you mean {self.suggestion!r}?" if self.suggestion else ""
        return f"{place}: {self.field}: found {self.found}; allowed: {self.allowed}.{hint}"


class DefinitionError(InputError):
    """Files of a definition cannot be used; ``problems`` lists every mistake, not only the first."""

    def __init__(self, subject: str, problems: Sequence[Problem]) -> None:
        self.subject, self.problems = subject, tuple(problems)
        count = len(self.problems)
        noun = "mistake" if count == 1 else "mistakes"
        super().__init__("\n".join([f"{subject}: {count} {noun}.", *(f"  {problem}" for problem in self.problems)]))

    def __reduce__(self) -> tuple[Any, ...]:
        """Return the parts to pickle: a worker process raises this error, too."""
        return type(self), (self.subject, self.problems), self.__dict__

    @classmethod
    def of_file(cls, file: str, found: str, allowed: str, line: int | None = None) -> Self:
        """Return the error of one mistake that concerns a whole file."""
        return cls(file, [Problem(file, line, "file", found, allowed)])


class GateError(ExemplarsError):
    """The gate failed: nothing was attached; the rejected rows and the verdict are stored."""

    exit_code = 1


class QuotaError(GateError):
    """Exemplars of some trait and pole are still missing after the last round."""


class BackfillError(ExemplarsError):
    """Some models of a backfill did not get their set; a new start makes only the missing sets."""

    exit_code = 1


class ProviderError(ExemplarsError):
    """The provider of a model, or the model itself, failed; the message says what to do.

    ``maybe_billed``: the provider may bill the request although no reply came.
    """

    def __init__(self, message: str, maybe_billed: bool = False) -> None:
        super().__init__(message)
        self.maybe_billed = maybe_billed


class RetryableProviderError(ProviderError):
    """A failure that may be temporary, so that the call is worth repeating.

    ``retry_after_seconds`` is the wait that the provider requested; None if it named none. ``no_connection``: not even
    a connection was made.
    """

    def __init__(
        self,
        message: str,
        retry_after_seconds: float | None = None,
        maybe_billed: bool = False,
        no_connection: bool = False,
    ) -> None:
        super().__init__(message, maybe_billed)
        self.retry_after_seconds = retry_after_seconds
        self.no_connection = no_connection


class RateLimitedError(RetryableProviderError):
    """The provider refused a call because of too many requests or tokens (HTTP 429)."""


class ProviderTimeoutError(RetryableProviderError):
    """No reply came within ``EXEMPLARS_CALL_TIMEOUT_SECONDS``."""


class ProviderUnavailableError(RetryableProviderError):
    """The provider could not be connected to, or answered with a 5xx status."""


class MalformedAnswerError(RetryableProviderError):
    """The provider's answer cannot be read; a proxy on the way may have failed."""


class CredentialsError(ProviderError):
    """The key for a provider is missing, or the provider refused it."""


class ModelNotFoundError(ProviderError):
    """The provider, or the disk, has no such model."""


class QuotaSpentError(ProviderError):
    """The account behind the key has no money or quota left."""


class ProviderDownError(ProviderError):
    """The provider was down for longer than a run waits (``EXEMPLARS_PATIENCE_SECONDS``)."""


class RequestRefusedError(ProviderError):
    """The provider does not accept the request."""


class ContextTooLongError(RequestRefusedError):
    """Prompt and reply together are longer than the model's context."""


class ContentRefusedError(ProviderError):
    """The provider's content filter refused to answer this prompt."""


class PlatformError(ExemplarsError):
    """A platform for pushed samples failed, or refuses the key; samples that it has accepted stay there."""


class RetryablePlatformError(PlatformError):
    """A platform's failure that may be temporary; `retry_after_seconds` is the wait that it requested, if any."""

    def __init__(self, message: str, retry_after_seconds: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class BudgetError(ExemplarsError):
    """The run's hard limit on cost is reached; the replies that were paid for are kept."""


class SharedBudgetError(BudgetError):
    """The limit on the cost of all models of a backfill together is reached; all further calls are refused too."""


class RunInterruptedError(ExemplarsError):
    """The run was stopped; the replies so far are kept."""

    exit_code = 130


class ModelBusyError(ExemplarsError):
    """Another run works on the model; ``run_id`` names it if it is known."""

    def __init__(self, message: str, run_id: str | None = None) -> None:
        super().__init__(message)
        self.run_id = run_id


class OrchestratorError(ExemplarsError):
    """Prefect's server cannot be reached or started; no model was called."""


class AddressError(ExemplarsError):
    """The server cannot listen on an address: it is taken, belongs to another machine, or is not an address."""


class StoreError(ExemplarsError):
    """A folder, file or database cannot be read or written."""
