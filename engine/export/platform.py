"""A client of a platform's HTTP API, for ``exemplars push``: add samples to a model, with retries.

Each request is safe to repeat, since an existing sample is not added again. So temporary errors are retried: too many
requests, a server that fails or does not answer, a model that is busy with a run.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlsplit

import httpx
from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_before_delay, wait_random_exponential

from engine.domain.samples import make_id
from engine.errors import (
    ExemplarsError,
    FrozenModelError,
    InputError,
    ModelBusyError,
    PlatformError,
    RetryablePlatformError,
    UnknownModelError,
)
from engine.export.lines import join_body
from engine.llm.client.provider_errors import CONNECT_SECONDS, parse_retry_after
from engine.llm.client.redaction import redact_message
from engine.settings import check_address
from engine.text.formatting import shorten

BASE = "/v1"
MAX_WAIT_SECONDS = 60.0
TEMPORARY_STATUSES = frozenset({408, 425, 429})
LOOPBACK = re.compile(r"localhost|127(\.\d+){3}|::1")
SHOWN, SHOWN_TEXT = 300, 60


@dataclass
class Platform:
    """A model at a platform, accessed with one key; connections are open inside the ``with`` block.

    Args:
        url: the address of the API, from ``find_base``.
        timeout_seconds: the longest wait for an answer.
        patience_seconds: the longest time for retries, if the platform fails or the model is busy.
        tell: called with a sentence before every wait.
        wait_seconds: the first wait between two tries; it doubles, with jitter.
    """

    url: str
    handle: str
    key: str = field(repr=False)
    timeout_seconds: float
    patience_seconds: float
    tell: Callable[[str], None]
    wait_seconds: float = 0.5

    def __enter__(self) -> "Platform":
        self._client = httpx.Client(
            headers={"Authorization": f"Bearer {self.key}", "Accept": "application/json"},
            timeout=httpx.Timeout(self.timeout_seconds, connect=CONNECT_SECONDS),
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def add_samples(self, entries: Sequence[bytes]) -> None:
        """Add samples, each an entry of ``lines.pack_bodies``; temporary errors are retried.

        Raises:
            UnknownModelError, FrozenModelError: there is no such model, or its samples are frozen.
            InputError: there is no platform at the address, or it refused a sample, so none of these was added.
            ModelBusyError, PlatformError: retries did not help, or the key is refused.
        """
        retrying = Retrying(
            retry=retry_if_exception_type((RetryablePlatformError, ModelBusyError)),
            stop=stop_before_delay(self.patience_seconds),
            wait=self._choose_wait,
            before_sleep=self._tell_wait,
            reraise=True,
        )
        retrying(self._post, entries)

    def _post(self, entries: Sequence[bytes]) -> None:
        try:
            answer = self._client.post(
                f"{self.url}/models/{quote(self.handle)}/samples",
                content=join_body(entries),
                headers={"Content-Type": "application/json"},
            )
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise RetryablePlatformError(
                f"{self.url} does not answer ({self._quote(f'{type(error).__name__}: {error}')}). Start it, or "
                "check the address"
            ) from error
        if not answer.is_success:
            raise self._explain(answer, entries)
        try:
            added = len(answer.json()["ids"])
        except (ValueError, KeyError, TypeError):
            added = -1
        if added != len(entries):
            raise PlatformError(
                f"{self.url} did not answer with an id for each of the {len(entries)} samples that were sent. Check "
                "that it is the address of a platform's API"
            )

    def _explain(self, answer: httpx.Response, entries: Sequence[bytes]) -> ExemplarsError:
        code, reason, details = self._read_error(answer)
        message = f"{self.url} answered {answer.status_code}: {reason}"
        match answer.status_code:
            case 401 | 403:
                namespace = self.handle.partition(".")[0]
                return PlatformError(
                    f"{message} EXEMPLARS_PLATFORM_KEY must be a valid key of that platform, of the scope authoring, "
                    f"that owns {namespace}"
                )
            case 404 if code == "model_not_found":
                return UnknownModelError(f"{message} Create {self.handle} there first, with the same traits")
            case status if status in (404, 405) or answer.has_redirect_location:
                target = f" It redirects to {self._quote(answer.headers['Location'])}." if status < 400 else ""
                return InputError(
                    f"{message}{target} Give the address of a platform's API, such as https://platform.example/v1"
                )
            case 409 if code == "model_not_draft":
                return FrozenModelError(f"{self.handle} at {self.url} accepts no samples: {reason}")
            case 409:
                return ModelBusyError(message, answer.headers.get("X-Run-Id"))
            case 422:
                sample, number = self._describe(entries, details.get("index"))
                removal = f", or remove it here ('exemplars remove {self.handle} {number}')" if number else ""
                return InputError(f"{self.url} refused {sample}: {reason} Correct it there{removal}, and push again")
            case status if status >= 500 or status in TEMPORARY_STATUSES:
                seconds = parse_retry_after(answer.headers.get("Retry-After", ""), datetime.now(UTC))
                return RetryablePlatformError(f"{message} Push again later if this persists", seconds)
        return PlatformError(f"{message} The platform refuses such requests: ask its operator why")

    def _read_error(self, answer: httpx.Response) -> tuple[str, str, Mapping[str, Any]]:
        try:
            error = answer.json()["error"]
            code, message, details = str(error["code"]), str(error["message"]), dict(error["details"])
        except (ValueError, KeyError, TypeError):
            code, message, details = "", answer.text, {}
        message = self._quote(message) or answer.reason_phrase
        return code, message if message.endswith(".") else f"{message}.", details

    def _describe(self, entries: Sequence[bytes], index: object) -> tuple[str, int | None]:
        if not isinstance(index, int) or not 0 <= index < len(entries):
            return "the request", None
        fields = json.loads(entries[index])
        number = make_id(self.handle, fields["trait"], fields["text"])
        return f"sample {number} for {fields['trait']}, {shorten(fields['text'], SHOWN_TEXT)!r}", number

    def _choose_wait(self, state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        wait = wait_random_exponential(self.wait_seconds, MAX_WAIT_SECONDS)(state)
        minimum = error.retry_after_seconds if isinstance(error, RetryablePlatformError) else None
        # Jitter is added to the platform's wait, so that refused clients do not all return at once.
        return wait if minimum is None else minimum + wait / 10

    def _tell_wait(self, state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        wait = f"for up to {self.patience_seconds:.0f} s, again in {state.upcoming_sleep:.1f} s"
        self.tell(f"{str(error).rstrip('.')}. Retrying {wait}")

    def _quote(self, text: str) -> str:
        return shorten(redact_message(" ".join(text[: 9 * SHOWN].split()), (self.key,)), SHOWN)


def find_base(url: str) -> str:
    """Return the address of a platform's API, which ends with ``/v1``.

    Raises:
        InputError: it is not an address, or it contains a user, a password or a query.
    """
    try:
        parts = urlsplit(check_address(url.strip()))
    except ValueError as error:
        raise InputError(f"--to {error}, such as https://platform.example/v1") from None
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise InputError(
            "--to contains a user, a password or a query. Leave it out: the key is in EXEMPLARS_PLATFORM_KEY"
        )
    if parts.scheme == "http" and not LOOPBACK.fullmatch(parts.hostname or ""):
        raise InputError(f"--to {url} would send EXEMPLARS_PLATFORM_KEY unencrypted. Give https://…")
    base = f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"
    return base if base.endswith(BASE) else f"{base}{BASE}"
