"""Translate litellm's exceptions into the engine's error types, which determine whether a call is retried."""

import math
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from engine.errors import (
    ContentRefusedError,
    ContextTooLongError,
    CredentialsError,
    MalformedAnswerError,
    ModelNotFoundError,
    ProviderError,
    ProviderTimeoutError,
    ProviderUnavailableError,
    QuotaSpentError,
    RateLimitedError,
    RequestRefusedError,
)
from engine.llm.client.redaction import redact_credentials
from engine.llm.client.request import Endpoint
from engine.llm.client.response import describe_malformed
from engine.text.formatting import shorten

# A live host accepts a connection well within this, even if its name has to be looked up at a second DNS server (5 s).
CONNECT_SECONDS = 6.0
# The codes of OpenAI, Azure and Anthropic (their error references); litellm only searches messages for them.
CONTENT_CODES = {"content_policy_violation", "content_filter"}
CONTEXT_CODES = {"context_length_exceeded", "string_above_max_length", "request_too_large"}
QUOTA_CODES = {"insufficient_quota", "billing_hard_limit_reached", "billing_not_active", "billing_error"}
PAYMENT_REQUIRED = 402
TEMPORARY_STATUSES = (408, 409)
# No model finished work on a request with such a status. With 504 and 524 a gateway gave up waiting, but the model may
# have finished, so these two are not here.
UNBILLED_STATUSES = frozenset({400, 401, 402, 403, 404, 409, 413, 422, 429, 500, 502, 503, 529})
TOO_LARGE = 413


@dataclass(frozen=True, slots=True)
class ErrorTranslator:
    """Translator of litellm's exceptions into the engine's errors, with messages that name the remedy.

    Args:
        endpoint: the endpoint that was called. If it decides, its HTTP status counts, since litellm mistakes an outage
            for a refusal if the body contains certain words.
        exceptions: litellm's module of exceptions.
    """

    endpoint: Endpoint
    timeout_seconds: float
    exceptions: Any

    def translate(self, error: Exception) -> ProviderError:
        """Return the error for an exception. Subclasses are tested before their base classes."""
        message = _clean_message(error)
        return (
            self._translate_request_error(error, message)
            or self._translate_permanent(error, message)
            or self._translate_temporary(error, message)
        )

    def make_malformed(self, does: str, remedy: str) -> MalformedAnswerError:
        """Return the error for an answer that cannot be read.

        Args:
            does: its defect, as a clause after "it".
            remedy: the remedy, as a sentence without its full stop.
        """
        message = f"{self.where} answers, in a form that cannot be read: it {does}. {remedy}"
        return MalformedAnswerError(message, maybe_billed=True)

    def make_keyless(self) -> CredentialsError:
        """Return the error for a model without a key."""
        return CredentialsError(
            f"{self.where} needs a key and none is set. Set {self.endpoint.settings}_API_KEY, or the provider's own "
            "variable (OPENAI_API_KEY and the like); for a server that checks no key, set it to any word"
        )

    @property
    def where(self) -> str:
        """Return the model's name, with its address if one is set."""
        name, base = self.endpoint.name, self.endpoint.api_base
        return f"{name} at {redact_credentials(base)}" if base else name

    def _translate_request_error(self, error: Exception, message: str) -> ProviderError | None:
        """Return the error if it concerns only this request, so that other requests may succeed."""
        codes = _read_codes(error)
        refused = isinstance(error, self.exceptions.ContentPolicyViolationError) or _is_flagged(error)
        if refused or codes & CONTENT_CODES:
            return ContentRefusedError(f"{self.endpoint.name} refuses this prompt: {message}")
        too_long = isinstance(error, self.exceptions.ContextWindowExceededError) or _read_status(error) == TOO_LARGE
        if too_long or codes & CONTEXT_CODES:
            return ContextTooLongError(
                f"The prompt is too long for {self.where}: {message}. Choose a model with a longer context "
                f"by {self.endpoint.settings}_MODEL, or shorten the brief and the authored samples"
            )
        return None

    def _translate_permanent(self, error: Exception, message: str) -> ProviderError | None:
        import openai

        exceptions, where, status = self.exceptions, self.where, _read_status(error)
        settings = self.endpoint.settings
        if status == PAYMENT_REQUIRED or _read_codes(error) & QUOTA_CODES:
            return QuotaSpentError(
                f"The account behind {where} has no credit left: {message}. Add credit or raise its limit, "
                "then start again: the replies so far are kept"
            )
        if isinstance(error, exceptions.AuthenticationError | exceptions.PermissionDeniedError) or status == 403:
            return CredentialsError(
                f"{where} refuses the key: {message}. Set {settings}_API_KEY, or the provider's own "
                "variable (OPENAI_API_KEY and the like)"
            )
        if _is_caused_by(error, openai.OpenAIError, exactly=True):
            # Without a key OpenAI's client fails on creation, which litellm reports as a server error.
            return self.make_keyless()
        if isinstance(error, exceptions.NotFoundError):
            return ModelNotFoundError(
                f"{where} is not available: {message}. Check {settings}_MODEL and {settings}_API_BASE"
            )
        passes = self.endpoint.decides and _may_pass(_find_status(error))
        if isinstance(error, exceptions.BadRequestError | exceptions.UnprocessableEntityError) and not passes:
            return RequestRefusedError(f"{where} does not accept the request: {message}")
        return None

    def _translate_temporary(self, error: Exception, message: str) -> ProviderError:
        import httpx

        exceptions, status = self.exceptions, (self.endpoint.decides and _find_status(error)) or _read_status(error)
        if isinstance(error, exceptions.RateLimitError):
            return RateLimitedError(f"{self.where} limits the rate: {message}", _read_retry_after(error))
        if isinstance(error, exceptions.Timeout | TimeoutError) and _find_status(error) is None:
            if _is_caused_by(error, httpx.ConnectTimeout):
                seconds = min(CONNECT_SECONDS, self.timeout_seconds)
                return self._make_unavailable(f"no connection in {seconds:g} s", error)
            return ProviderTimeoutError(
                f"{self.endpoint.name} gave no reply in {self.timeout_seconds:g} s. EXEMPLARS_CALL_TIMEOUT_SECONDS "
                "sets how long to wait",
                maybe_billed=True,
            )
        flaw = _find_status(error) is None and describe_malformed((error, *_walk_causes(error)), self.endpoint.settings)
        if flaw:
            return self.make_malformed(*flaw)
        passing = exceptions.ServiceUnavailableError | exceptions.InternalServerError | exceptions.BadGatewayError
        if isinstance(error, passing | exceptions.APIConnectionError | exceptions.APIResponseValidationError):
            return self._make_unavailable(message, error)
        if _may_pass(status):
            return self._make_unavailable(message, error)
        return ProviderError(f"{self.where} failed: {message}", maybe_billed=_may_be_billed(error))

    def _make_unavailable(self, message: str, error: Exception) -> ProviderUnavailableError:
        status = _find_status(error)
        cause = f"does not answer: {message}. Check {self.endpoint.settings}_API_BASE and the network"
        if status is not None:
            cause = f"answers with an error of its own ({status}): {message}. Its log, or its provider, says why"
        return ProviderUnavailableError(
            f"{self.where} {cause}",
            _read_retry_after(error),
            maybe_billed=_may_be_billed(error),
            no_connection=_has_no_connection(error),
        )


def _read_retry_after(error: Exception) -> float | None:
    """Return the seconds to wait by ``Retry-After``, a number or a date (RFC 9110, section 10.2.3)."""
    response_headers = getattr(getattr(error, "response", None), "headers", None)
    for headers in (response_headers, getattr(error, "litellm_response_headers", None)):
        value = headers.get("retry-after") if headers else None
        if value is not None:
            return parse_retry_after(str(value), datetime.now(UTC))
    return None


def parse_retry_after(value: str, now: datetime) -> float | None:
    """Parse the header's value into seconds from now; None if it is neither a number nor a date."""
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


def _read_status(error: Exception) -> int | None:
    status = getattr(error, "status_code", None)
    return status if isinstance(status, int) else None


def _may_pass(status: int | None) -> bool:
    return status is not None and (status >= 500 or status in TEMPORARY_STATUSES)


def _read_codes(error: Exception) -> set[str]:
    """Return the provider's error codes: OpenAI's ``code`` and ``type``, Anthropic's ``type`` inside ``error``."""
    body = _read_body(error)
    inner = body.get("error") if isinstance(body, dict) else None
    parts = [part for part in (body, inner) if isinstance(part, dict)]
    return {str(part[name]) for part in parts for name in ("code", "type") if part.get(name)}


def _read_body(error: Exception) -> Any:
    import httpx

    body = getattr(error, "body", None)
    answers = [cause.response for cause in _walk_causes(error) if isinstance(cause, httpx.HTTPStatusError)]
    with suppress(ValueError, httpx.StreamError):
        return body if body is not None or not answers else answers[0].json()


def _is_flagged(error: Exception) -> bool:
    """Return whether OpenRouter flagged the prompt by a 403 with ``metadata.reasons`` (its page on errors)."""
    body = _read_body(error)
    inner = body.get("error", body) if isinstance(body, dict) else None
    metadata = inner.get("metadata") if isinstance(inner, dict) else None
    return isinstance(metadata, dict) and "reasons" in metadata


def _may_be_billed(error: Exception) -> bool:
    """Return whether the provider may bill the request: not if it never arrived, or had an unbilled error status."""
    status = _find_status(error)
    return not _has_no_connection(error) if status is None else status not in UNBILLED_STATUSES


def _has_no_connection(error: Exception) -> bool:
    import httpx

    return _is_caused_by(error, httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


def _find_status(error: Exception) -> int | None:
    """Return the HTTP status of an error response, if any, without the status that litellm's own errors always have."""
    for cause in _walk_causes(error):
        status = getattr(getattr(cause, "response", None), "status_code", None)
        if isinstance(status, int) and status >= 400 and not type(cause).__module__.startswith("litellm"):
            return status
    return None


def _is_caused_by(error: Exception, *kinds: type[Exception], exactly: bool = False) -> bool:
    """Return whether a cause of an error has a type in ``kinds``; ``exactly`` excludes subclasses."""
    return any(type(cause) in kinds if exactly else isinstance(cause, kinds) for cause in _walk_causes(error))


def _walk_causes(error: BaseException) -> Iterator[BaseException]:
    # litellm raises some errors with themselves as the cause.
    seen: list[BaseException] = [error]
    while causes := [each for each in (seen[-1].__cause__, seen[-1].__context__) if each and each not in seen]:
        seen.append(causes[0])
        yield causes[0]


def _clean_message(error: Exception) -> str:
    """Return the first line of the provider's message, without litellm's class names and the final full stop."""
    text = str(getattr(error, "message", None) or error).strip() or type(error).__name__
    first = text.splitlines()[0].partition("Traceback (most recent call last)")[0]
    line = re.sub(r"^(?:(?:litellm\.)?\w+(?:Error|Exception)(?:: | - ))+", "", first).strip().rstrip(".")
    return shorten(line or type(error).__name__, 300)
