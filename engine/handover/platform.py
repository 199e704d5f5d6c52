"""A platform's HTTP API as ``exemplars push`` uses it: lists a model's samples and adds others, with patience.

Each request is safe to send again, since a sample that is there already is not added a second time. So whatever may
pass is waited for: too many requests, a server that fails or is away, a model that a run works on.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlsplit

import httpx
from tenacity import RetryCallState, Retrying, retry_if_exception_type, wait_random_exponential

from engine.errors import (
    FrozenModelError,
    InputError,
    ModelBusyError,
    PlatformError,
    RetryablePlatformError,
    UnknownModelError,
)
from engine.llm.provider_errors import CONNECT_SECONDS, parse_retry_after
from engine.llm.redaction import redact_message
from engine.settings import check_address

BASE = "/v1"
PAGE_SAMPLES = 500
MAX_WAIT_SECONDS = 60.0
# Where there was never an answer there is no reason to think that there will be one.
MAX_FIRST_ATTEMPTS = 4
TEMPORARY_STATUSES = frozenset({408, 425, 429})
SHOWN = 300


class SampleRefusedError(InputError):
    """The platform does not take a sample; ``index`` is its place in the request, None where that is not told."""

    def __init__(self, message: str, index: int | None) -> None:
        super().__init__(message)
        self.index = index


class BodyTooLargeError(PlatformError):
    """The platform, or a proxy before it, takes no body of that size."""


class Platform:
    """One model at a platform, as one key sees it. Every method asks again while that may help.

    Args:
        url: the address of the API, with or without ``/v1``.
        timeout_seconds: how long an answer is waited for.
        patience_seconds: how long a platform that fails, or a model that is busy, is waited for.
        tell: told in a sentence of every wait.
        wait_seconds: the first wait between two tries; it doubles, with jitter.

    Raises:
        InputError: the address is none, or has a password in it.
        UnknownModelError, FrozenModelError: from every method; there is no such model, or its samples are frozen.
        ModelBusyError, PlatformError: from every method; it was waited for in vain, or the key is refused.
    """

    def __init__(
        self,
        url: str,
        handle: str,
        key: str,
        timeout_seconds: float,
        patience_seconds: float,
        tell: Callable[[str], None],
        wait_seconds: float = 0.5,
    ) -> None:
        self.url = find_base(url)
        self._handle = handle
        self._key = key
        self._patience_seconds = patience_seconds
        self._tell = tell
        self._wait = wait_random_exponential(multiplier=wait_seconds, max=MAX_WAIT_SECONDS)
        self._answered = False
        self._path = f"{self.url}/models/{quote(handle)}/samples"
        self._client = httpx.Client(
            headers={"Authorization": f"Bearer {key}", "Accept": "application/json"},
            timeout=httpx.Timeout(timeout_seconds, connect=CONNECT_SECONDS),
        )

    def __enter__(self) -> "Platform":
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def walk_samples(self) -> Iterator[tuple[str, str]]:
        """Yields the trait and the ``content_sha256`` of each sample that the model has there."""
        query: dict[str, str] = {"limit": str(PAGE_SAMPLES)}
        while query:
            page = self._ask("GET", params=query)
            try:
                found = [(str(item["trait"]), str(item["content_sha256"])) for item in page["items"]]
                cursor = page["next_cursor"]
            except (KeyError, TypeError) as error:
                raise self._explain_shape(f"a page without {error}") from error
            yield from found
            query = {**query, "cursor": str(cursor)} if cursor else {}

    def add_samples(self, body: bytes, count: int) -> None:
        """Adds the samples of a body, of which there are so many.

        Raises:
            SampleRefusedError: a sample is not accepted, so none was added.
            BodyTooLargeError: fewer samples at a time may be taken.
        """
        ids = self._ask("POST", content=body).get("ids")
        if not isinstance(ids, list) or len(ids) != count:
            raise self._explain_shape(f"another number of ids than the {count} samples that were sent")

    def _ask(self, method: str, **options: Any) -> Mapping[str, Any]:
        begun = time.monotonic()

        def is_over(state: RetryCallState) -> bool:
            hopeless = not self._answered and state.attempt_number >= MAX_FIRST_ATTEMPTS
            return hopeless or time.monotonic() - begun > self._patience_seconds

        retrying = Retrying(
            retry=retry_if_exception_type((RetryablePlatformError, ModelBusyError)),
            stop=is_over,
            wait=self._choose_wait,
            before_sleep=self._tell_wait,
            reraise=True,
        )
        return retrying(self._try, method, **options)

    def _try(self, method: str, **options: Any) -> Mapping[str, Any]:
        try:
            answer = self._client.request(method, self._path, headers={"Content-Type": "application/json"}, **options)
        except httpx.TransportError as error:
            raise RetryablePlatformError(
                f"{self.url} does not answer ({self._hide(f'{type(error).__name__}: {error}')}). Start it, or see that "
                "the address is right"
            ) from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise PlatformError(f"{self.url} cannot be asked: {self._hide(str(error))}") from error
        if answer.status_code < 500:
            self._answered = True
        if not answer.is_success:
            raise self._explain(answer)
        try:
            value = answer.json()
        except ValueError as error:
            raise self._explain_shape("no JSON") from error
        if not isinstance(value, dict):
            raise self._explain_shape("no JSON object")
        return value

    def _explain(self, answer: httpx.Response) -> Exception:
        """The error for a refusal."""
        code, said, details = self._read_error(answer)
        status, handle = answer.status_code, self._handle
        namespace = handle.partition(".")[0]
        told = f"{self.url} answered {status}: {said}"
        match status:
            case 401:
                return PlatformError(f"{told} Give EXEMPLARS_PLATFORM_KEY a key that is in force there")
            case 403:
                return PlatformError(
                    f"{told} EXEMPLARS_PLATFORM_KEY needs a key of the scope authoring that owns {namespace}"
                )
            case 404 if code == "model_not_found":
                return UnknownModelError(
                    f"{told} Make {handle} there first, with the same traits, or use a key that may read it"
                )
            case 409 if code == "model_not_draft":
                return FrozenModelError(f"{handle} at {self.url} takes no samples: {said}")
            case 409:
                return ModelBusyError(told, answer.headers.get("X-Run-Id"))
            case 413:
                return BodyTooLargeError(told)
            case 422:
                index = details.get("index")
                return SampleRefusedError(said, index if isinstance(index, int) else None)
        if status >= 500 or status in TEMPORARY_STATUSES:
            asked = answer.headers.get("Retry-After")
            return RetryablePlatformError(told, parse_retry_after(asked, datetime.now(UTC)) if asked else None)
        if answer.has_redirect_location:
            return InputError(f"{told} It leads to {self._hide(answer.headers['Location'])}: give the address there")
        return InputError(f"{told} Give the address of a platform's API, as https://platform.example/v1")

    def _read_error(self, answer: httpx.Response) -> tuple[str, str, Mapping[str, Any]]:
        """The code, the message and the details of an error; where it is not in the envelope, its first words."""
        try:
            error = answer.json()["error"]
            code, said, details = str(error["code"]), str(error["message"]), error["details"]
        except (ValueError, KeyError, TypeError):
            code, said, details = "", " ".join(answer.text.split())[:SHOWN] or answer.reason_phrase, {}
        said = self._hide(said)
        return code, said if said.endswith(".") else f"{said}.", details if isinstance(details, dict) else {}

    def _explain_shape(self, found: str) -> PlatformError:
        return PlatformError(
            f"{self.url} answered in a form that cannot be read: {found}. Is it the address of a platform's API?"
        )

    def _choose_wait(self, state: RetryCallState) -> float:
        """Backoff in seconds before the next try."""
        error = state.outcome.exception() if state.outcome else None
        asked = error.retry_after_seconds if isinstance(error, RetryablePlatformError) else None
        if asked is not None:
            # Jitter is added on top, so that those who were sent away do not all come back at once.
            return min(asked, MAX_WAIT_SECONDS) + self._wait(state) / 10
        return self._wait(state)

    def _tell_wait(self, state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        wait_seconds = state.next_action.sleep if state.next_action else 0.0
        most = f"for up to {self._patience_seconds:.0f} s" if self._answered else f"{MAX_FIRST_ATTEMPTS} times in all"
        self._tell(f"{str(error).rstrip('.')}. Asking {most}, again in {wait_seconds:.1f} s")

    def _hide(self, text: str) -> str:
        return redact_message(text, (self._key,))


def find_base(url: str) -> str:
    """The address of a platform's API, which ends with ``/v1``.

    Raises:
        InputError: it is no address, or has more than a place in it.
    """
    try:
        parts = urlsplit(check_address(url.strip()))
    except ValueError as error:
        raise InputError(f"--to {error}, as https://platform.example/v1") from None
    if "@" in parts.netloc:
        raise InputError("--to has a user or a password in it. Leave it out: the key is in EXEMPLARS_PLATFORM_KEY")
    if parts.query or parts.fragment:
        raise InputError(f"--to {parts.scheme}://{parts.netloc}{parts.path} has a query after it. Leave it out")
    base = f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"
    return base if base.endswith(BASE) else f"{base}{BASE}"
