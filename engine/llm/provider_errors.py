"""Failures: what goes wrong at a provider, told apart by type; the one place where litellm's exceptions become ours."""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from engine.errors import (
    ContentRefusedError,
    ContextTooLongError,
    CredentialsError,
    ModelNotFoundError,
    ProviderError,
    ProviderTimeoutError,
    ProviderUnavailableError,
    QuotaSpentError,
    RateLimitedError,
    RequestRefusedError,
)

# A host that is there takes a connection well within this, its name looked up at a second server included (5 s).
CONNECT_SECONDS = 6.0
# The codes by which OpenAI, Azure and Anthropic say so (their error references); litellm looks for them in messages.
CONTENT_CODES = ("content_policy_violation", "content_filter")
CONTEXT_CODES = ("context_length_exceeded", "string_above_max_length", "request_too_large")
QUOTA_CODES = ("insufficient_quota", "billing_hard_limit_reached", "billing_not_active", "billing_error")
PAYMENT_REQUIRED = 402
PASSING = (408, 409)
# What no model has worked on to its end. A gateway that gave up waiting (504, 524) is not among them.
UNBILLED = frozenset({400, 401, 402, 403, 404, 409, 413, 422, 429, 500, 502, 503, 529})
TOO_LARGE = 413


@dataclass(frozen=True, slots=True)
class FailureTranslator:
    """Says what an exception of litellm means, and what to do about it.

    Args:
        name: the model, as people read it.
        settings: begins the names of the variables that set it.
        kinds: litellm's module of exceptions.
    """

    name: str
    api_base: str | None
    settings: str
    timeout_seconds: float
    kinds: Any

    def translate(self, error: Exception) -> ProviderError:
        """What an exception means; subclasses come before what they derive from."""
        said = _first_line(error)
        return self._translate_answer(error, said) or self._translate_lasting(error, said) or self._pass(error, said)

    @property
    def _where(self) -> str:
        return f" at {self.api_base}" if self.api_base else ""

    def _translate_answer(self, error: Exception, said: str) -> ProviderError | None:
        """What is about this one request, and another may be taken."""
        codes = _read_codes(error)
        refused = isinstance(error, self.kinds.ContentPolicyViolationError) or _is_flagged(error)
        if refused or codes & set(CONTENT_CODES):
            return ContentRefusedError(f"{self.name} refuses this prompt: {said}")
        too_long = isinstance(error, self.kinds.ContextWindowExceededError) or _read_status(error) == TOO_LARGE
        if too_long or codes & set(CONTEXT_CODES):
            return ContextTooLongError(
                f"{self.name}{self._where} cannot take in so long a prompt: {said}. Choose a model with a longer "
                f"context by {self.settings}_MODEL, or shorten the brief and the authored samples"
            )
        return None

    def _translate_lasting(self, error: Exception, said: str) -> ProviderError | None:
        """What will be the same whatever is asked."""
        kinds, where, status = self.kinds, self._where, _read_status(error)
        if status == PAYMENT_REQUIRED or _read_codes(error) & set(QUOTA_CODES):
            return QuotaSpentError(
                f"The account behind {self.name}{where} has nothing left to spend: {said}. Add credit or raise its "
                "limit there, then start again: the replies so far are kept"
            )
        if isinstance(error, kinds.AuthenticationError | kinds.PermissionDeniedError) or status == 403:
            return CredentialsError(
                f"{self.name}{where} refuses the key: {said}. Set {self.settings}_API_KEY, or the provider's own "
                "variable (OPENAI_API_KEY and the like)"
            )
        if _lacks_key(error):
            return CredentialsError(
                f"{self.name}{where} wants a key and there is none. Set {self.settings}_API_KEY, or the provider's own "
                "variable (OPENAI_API_KEY and the like); for a server that checks no key, set it to any word"
            )
        if isinstance(error, kinds.NotFoundError):
            return ModelNotFoundError(
                f"{self.name} is not to be had{where}: {said}. Check {self.settings}_MODEL and {self.settings}_API_BASE"
            )
        if isinstance(error, kinds.BadRequestError | kinds.UnprocessableEntityError):
            return RequestRefusedError(f"{self.name}{where} does not accept the request: {said}")
        return None

    def _pass(self, error: Exception, said: str) -> ProviderError:
        """What may pass, and whatever else there is."""
        kinds, status = self.kinds, _read_status(error)
        if isinstance(error, kinds.RateLimitError):
            return RateLimitedError(f"{self.name}{self._where} limits the rate: {said}", _read_retry_after(error))
        if isinstance(error, kinds.Timeout | TimeoutError) and _find_status(error) is None:
            if _cannot_connect(error):
                return self._say_unavailable(f"no connection in {CONNECT_SECONDS:g} s", error)
            return self._say_timeout()
        passing = kinds.ServiceUnavailableError | kinds.InternalServerError | kinds.BadGatewayError
        if isinstance(error, passing | kinds.APIConnectionError | kinds.APIResponseValidationError):
            return self._say_unavailable(said, error)
        if status is not None and (status >= 500 or status in PASSING):
            return self._say_unavailable(said, error)
        return ProviderError(f"{self.name}{self._where} failed: {said}", maybe_billed=_may_be_billed(error))

    def _say_unavailable(self, said: str, error: Exception) -> ProviderUnavailableError:
        return ProviderUnavailableError(
            f"{self.name}{self._where} does not answer: {said}. Check {self.settings}_API_BASE and the network",
            _read_retry_after(error),
            maybe_billed=_may_be_billed(error),
            no_connection=_lacks_connection(error),
        )

    def _say_timeout(self) -> ProviderTimeoutError:
        return ProviderTimeoutError(
            f"{self.name} gave no reply in {self.timeout_seconds:g} s. EXEMPLARS_CALL_TIMEOUT_SECONDS sets how long to "
            "wait",
            maybe_billed=True,
        )


def _read_retry_after(error: Exception) -> float | None:
    """Seconds, be they given as a number or as a date (RFC 9110, section 10.2.3)."""
    for headers in (getattr(getattr(error, "response", None), "headers", None), _litellm_headers(error)):
        value = headers.get("retry-after") if headers else None
        if value is not None:
            return _parse_retry_after(str(value), datetime.now(UTC))
    return None


def _parse_retry_after(value: str, now: datetime) -> float | None:
    try:
        seconds = float(value)
    except ValueError:
        pass
    else:
        return max(0.0, seconds) if math.isfinite(seconds) else None
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    return max(0.0, (moment.replace(tzinfo=moment.tzinfo or UTC) - now).total_seconds())


def _litellm_headers(error: Exception) -> Any:
    return getattr(error, "litellm_response_headers", None)


def _read_status(error: Exception) -> int | None:
    status = getattr(error, "status_code", None)
    return status if isinstance(status, int) else None


def _read_codes(error: Exception) -> set[str]:
    """The provider's own words for what is wrong: OpenAI has them as code and type, Anthropic as a type inside."""
    body = getattr(error, "body", None)
    inner = body.get("error") if isinstance(body, dict) else None
    parts = [part for part in (body, inner) if isinstance(part, dict)]
    return {str(part[name]) for part in parts for name in ("code", "type") if part.get(name)}


def _is_flagged(error: Exception) -> bool:
    """OpenRouter says by 403 and these words that a prompt was flagged (its page on errors)."""
    body = getattr(error, "body", None)
    inner = body.get("error", body) if isinstance(body, dict) else None
    metadata = inner.get("metadata") if isinstance(inner, dict) else None
    return isinstance(metadata, dict) and "reasons" in metadata


def _may_be_billed(error: Exception) -> bool:
    """Whether the request may have been worked on: unless it never arrived, or a status says otherwise."""
    status = _find_status(error)
    return not _lacks_connection(error) if status is None else status not in UNBILLED


def _lacks_connection(error: Exception) -> bool:
    import httpx

    failed = httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout
    return any(isinstance(cause, failed) for cause in _list_causes(error))


def _find_status(error: Exception) -> int | None:
    """The status of a response that is no reply, where one came; litellm's own errors have one in any case."""
    for cause in _list_causes(error):
        status = getattr(getattr(cause, "response", None), "status_code", None)
        if isinstance(status, int) and status >= 400 and not type(cause).__module__.startswith("litellm"):
            return status
    return None


def _cannot_connect(error: Exception) -> bool:
    import httpx

    return any(isinstance(cause, httpx.ConnectTimeout) for cause in _list_causes(error))


def _lacks_key(error: Exception) -> bool:
    """OpenAI's client does not come into being without a key; litellm takes that for a fault of the server."""
    import openai

    return any(type(cause) is openai.OpenAIError for cause in _list_causes(error))


def _list_causes(error: BaseException) -> Iterator[BaseException]:
    cause = error.__cause__ or error.__context__
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__


def _first_line(error: Exception) -> str:
    """What the provider said: without the names of litellm's classes before it and the full stop at its end."""
    text = str(getattr(error, "message", None) or error).strip() or type(error).__name__
    line = re.sub(r"^(?:(?:litellm\.)?\w+(?:Error|Exception)(?:: | - ))+", "", text.splitlines()[0]).strip().rstrip(".")
    return line if len(line) <= 300 else f"{line[:299]}…"
