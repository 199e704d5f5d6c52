"""Every error that the project raises on purpose, in one tree, each with the exit code of its kind.

::

    ExemplarsError
    ├── InputError                 exit 2   what the user gave is wrong
    │   ├── HandleError                     a malformed handle
    │   │   └── UnknownModelError           a well-formed one that no model has
    │   ├── DefinitionError                 model.yaml, a source or effort.yaml; carries every problem
    │   ├── NoTraitsError                   a model without trait definitions
    │   ├── NoSeedsError                    nothing authored to vary, or not at both poles
    │   ├── FrozenModelError                a trained or archived model takes no samples
    │   ├── UnpricedError                   a limit on cost, and a model without a price
    │   └── UnsupportedError                legal, but not to be had here
    ├── GateError                  exit 1   a critical expectation failed, nothing attached
    │   └── QuotaError                      the rounds are spent and a pole lacks exemplars
    ├── BackfillError              exit 1   some models of a backfill did not get their set
    ├── ReplayError                exit 1   a set cannot be made again as it was
    ├── ProviderError              exit 3   the synth model's side
    │   ├── RetryableProviderError          may pass: wait and ask again
    │   │   ├── RateLimitedError
    │   │   ├── ProviderTimeoutError
    │   │   └── ProviderUnavailableError
    │   ├── CredentialsError                a key that is missing or refused
    │   ├── ModelNotFoundError              no such model at this provider
    │   ├── QuotaSpentError                 the account has no money or quota left
    │   ├── ProviderDownError               it did not come back for as long as a run waits
    │   ├── RequestRefusedError             the request itself is not accepted
    │   │   └── ContextTooLongError         it is longer than the model can read
    │   └── ContentRefusedError             the provider would not answer this one prompt
    ├── BudgetError                exit 3   the hard limit on cost is reached
    │   └── SharedBudgetError               that of a backfill, over all its models
    ├── RunInterruptedError        exit 130 somebody stopped the run
    ├── ModelBusyError             exit 3   another run works on the model
    ├── OrchestratorError          exit 3   Prefect's server cannot be reached or started
    ├── AddressError               exit 3   an address that cannot be listened on
    └── StoreError                 exit 3   a folder or file that cannot be read or written
"""

from collections.abc import Sequence
from dataclasses import dataclass


class ExemplarsError(Exception):
    """The root; ``exit_code`` is what a command ends with."""

    exit_code = 1


class InputError(ExemplarsError):
    """What the user gave is wrong; nothing was written."""

    exit_code = 2


class HandleError(InputError):
    """A handle that is malformed or, as an ``UnknownModelError``, names no model."""


class UnknownModelError(HandleError):
    """A well-formed handle that no model has."""


class NoTraitsError(InputError):
    """A model whose traits are still to be discovered: nothing to synthesize from."""


class NoSeedsError(InputError):
    """A model, or a pole of a trait, without authored samples to vary."""


class FrozenModelError(InputError):
    """A model that is no draft: the samples of a trained or archived model are frozen."""


class UnpricedError(InputError):
    """A limit on cost cannot hold for a model of which no price is known."""


class UnsupportedError(InputError):
    """Legal on the platform, but this project does not do it."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake in a file: where it stands, what was found and what is allowed."""

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
    """Files that cannot be used; ``problems`` has every mistake found, not only the first."""

    def __init__(self, subject: str, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        count = len(self.problems)
        noun = "mistake" if count == 1 else "mistakes"
        super().__init__("\n".join([f"{subject}: {count} {noun}.", *(f"  {problem}" for problem in self.problems)]))


class GateError(ExemplarsError):
    """The gate failed: nothing was attached, the rejected rows and the verdict are kept."""

    exit_code = 1


class QuotaError(GateError):
    """The rounds are spent and some trait and pole still lacks exemplars."""


class BackfillError(ExemplarsError):
    """Some models of a backfill did not get their set; a second start does what is left."""

    exit_code = 1


class ReplayError(ExemplarsError):
    """A set cannot be made again as it was: something that it depends on has changed since."""

    exit_code = 1


class ProviderError(ExemplarsError):
    """The synth model's side failed; the message says what to do.

    ``maybe_billed`` says that the request may have been worked on, though no reply came.
    """

    exit_code = 3

    def __init__(self, message: str, maybe_billed: bool = False) -> None:
        super().__init__(message)
        self.maybe_billed = maybe_billed


class RetryableProviderError(ProviderError):
    """May pass; ``retry_after_seconds`` is the provider's own word on when, if it gave one.

    ``no_connection`` says that there was not even a connection.
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
    """Too many requests or tokens (HTTP 429)."""


class ProviderTimeoutError(RetryableProviderError):
    """No reply within ``EXEMPLARS_CALL_TIMEOUT_SECONDS``."""


class ProviderUnavailableError(RetryableProviderError):
    """No connection, or an answer of the 5xx kind."""


class CredentialsError(ProviderError):
    """A key that is missing or refused."""


class ModelNotFoundError(ProviderError):
    """The provider, or the disk, has no such model."""


class QuotaSpentError(ProviderError):
    """The account behind the key has no money, or no quota, left."""


class ProviderDownError(ProviderError):
    """The provider did not come back for as long as a run waits (``EXEMPLARS_PATIENCE_SECONDS``)."""


class RequestRefusedError(ProviderError):
    """The provider does not accept the request as such."""


class ContextTooLongError(RequestRefusedError):
    """Prompt and reply together are longer than the model can take in."""


class ContentRefusedError(ProviderError):
    """The provider would not answer this one prompt (its content filter)."""


class BudgetError(ExemplarsError):
    """The run's hard limit on cost is reached; the replies paid for are kept."""

    exit_code = 3


class SharedBudgetError(BudgetError):
    """What all models of a backfill may cost together is spent; whatever is asked next is refused too."""


class RunInterruptedError(ExemplarsError):
    """Somebody stopped the run; the replies so far are kept."""

    exit_code = 130


class ModelBusyError(ExemplarsError):
    """Another run works on the model; ``run_id`` names it, where it is known."""

    exit_code = 3

    def __init__(self, message: str, run_id: str | None = None) -> None:
        super().__init__(message)
        self.run_id = run_id


class OrchestratorError(ExemplarsError):
    """Prefect's server cannot be reached or started; nothing was asked of any model."""

    exit_code = 3


class AddressError(ExemplarsError):
    """An address that cannot be listened on: taken, not of this machine, or none."""

    exit_code = 3


class StoreError(ExemplarsError):
    """A folder or file that cannot be read or written."""

    exit_code = 3
