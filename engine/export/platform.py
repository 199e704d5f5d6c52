"""A platform's HTTP API as ``exemplars push`` uses it: lists a model's samples and adds others, with patience.

Each request is safe to send again, since a sample that is there already is not added a second time. So whatever may
pass is waited for: too many requests, a server that fails or is away, a model that a run works on.
"""

import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlsplit

import httpx
from tenacity import RetryCallState, Retrying, retry_if_exception_type, wait_random_exponential

from engine.errors import (
    ExemplarsError,
    FrozenModelError,
    InputError,
    ModelBusyError,
    PlatformError,
    RetryablePlatformError,
    UnknownModelError,
)
from engine.llm.client.provider_errors import CONNECT_SECONDS, parse_retry_after
from engine.llm.client.redaction import redact_message
from engine.settings import check_address
from engine.text.formatting import shorten

BASE = "/v1"
PAGE_SAMPLES = 500
MAX_WAIT_SECONDS = 60.0
# Where there was never an answer there is no reason to think that there will be one.
MAX_FIRST_ATTEMPTS = 4
TEMPORARY_STATUSES = frozenset({408, 425, 429})
LOOPBACK = re.compile(r"localhost|127(\.\d+){3}|::1")
# A page of 500 samples has a few megabytes.
MAX_ANSWER_BYTES = 64 * 1024 * 1024
SHOWN = 300
WRONG_ADDRESS = InputError, "Give the address of a platform's API, as https://platform.example/v1"
REMEDIES: Mapping[int, tuple[type[ExemplarsError], str]] = {
    401: (PlatformError, "Give EXEMPLARS_PLATFORM_KEY a key that is in force there"),
    402: (PlatformError, "The account there lacks money or quota: see to that, and push again"),
    404: WRONG_ADDRESS,
    405: WRONG_ADDRESS,
    407: (PlatformError, "A proxy on the way asks for a password: give it in HTTPS_PROXY"),
    410: WRONG_ADDRESS,
}


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
        self._timeout_seconds = timeout_seconds
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

    def walk_samples(self) -> Iterator[tuple[str, str, float]]:
        """Yields the trait, the ``content_sha256`` and the quality of each sample that the model has there."""
        query: dict[str, str] = {"limit": str(PAGE_SAMPLES)}
        seen: set[object] = set()
        while query:
            page = self._ask("GET", params=query)
            try:
                items, cursor = page["items"], page["next_cursor"]
                found = [(str(item["trait"]), str(item["content_sha256"]), float(item["quality"])) for item in items]
            except (KeyError, TypeError, ValueError) as error:
                fields = "next_cursor, and items with trait, content_sha256 and quality"
                raise self._explain_shape(f"a page without {fields}") from error
            marks = {str(cursor), *found[:1]} if cursor else set()
            if cursor and (not found or seen & marks):
                raise self._explain_shape("pages that go round in a circle, or on without samples")
            seen |= marks
            yield from found
            query = {**query, "cursor": str(cursor)} if cursor else {}

    def add_samples(self, body: bytes, count: int) -> None:
        """Adds the samples of a body, of which there are so many.

        Raises:
            SampleRefusedError: a sample is not accepted, so none was added.
            BodyTooLargeError: fewer samples at a time may be taken.
        """
        ids = self._ask("POST", content=body).get("ids")
        if not isinstance(ids, list) or len(ids) != count or not all(type(found) is int for found in ids):
            raise self._explain_shape(f"something else than an id for each of the {count} samples that were sent")

    def _ask(self, method: str, **options: Any) -> Mapping[str, Any]:
        begun = time.monotonic()

        def is_over(state: RetryCallState) -> bool:
            hopeless = not self._answered and state.attempt_number >= MAX_FIRST_ATTEMPTS
            return hopeless or time.monotonic() - begun + state.upcoming_sleep > self._patience_seconds

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
            answer, body = self._request(method, **options)
        except httpx.TransportError as error:
            raise RetryablePlatformError(
                f"{self.url} does not answer ({self._quote(f'{type(error).__name__}: {error}')}). Start it, or see "
                "that the address is right"
            ) from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise PlatformError(f"{self.url} cannot be asked: {self._quote(str(error))}") from error
        if answer.status_code < 500:
            self._answered = True
        if not answer.is_success:
            raise self._explain(answer, body)
        try:
            value = json.loads(body)
        except (ValueError, RecursionError) as error:
            raise self._explain_shape("no JSON") from error
        if not isinstance(value, dict):
            raise self._explain_shape("no JSON object")
        return value

    def _request(self, method: str, **options: Any) -> tuple[httpx.Response, bytes]:
        """Makes a request, and reads its answer unless that has no end."""
        until, body = time.monotonic() + self._timeout_seconds, bytearray()
        with self._client.stream(method, self._path, headers={"Content-Type": "application/json"}, **options) as answer:
            for chunk in answer.iter_bytes():
                body += chunk
                if len(body) > MAX_ANSWER_BYTES or time.monotonic() > until:
                    raise self._explain_shape(
                        f"no end after {len(body):,} bytes and {self._timeout_seconds:g} s at most"
                    )
        return answer, bytes(body)

    def _explain(self, answer: httpx.Response, body: bytes) -> Exception:
        """The error for a refusal."""
        code, said, details = self._read_error(answer, body)
        status, handle = answer.status_code, self._handle
        namespace = handle.partition(".")[0]
        told = f"{self.url} answered {status}: {said}"
        match status:
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
            asked = parse_retry_after(answer.headers.get("Retry-After", ""), datetime.now(UTC))
            if asked is not None and asked > self._patience_seconds:
                return PlatformError(
                    f"{told} It asks to wait {asked:,.0f} s, and EXEMPLARS_PATIENCE_SECONDS is "
                    f"{self._patience_seconds:g}: push again then"
                )
            return RetryablePlatformError(told, asked)
        if answer.has_redirect_location:
            return InputError(f"{told} It leads to {self._quote(answer.headers['Location'])}: give the address there")
        kind, remedy = REMEDIES.get(status, (PlatformError, "It takes no such request: ask who runs the platform why"))
        return kind(f"{told} {remedy}")

    def _read_error(self, answer: httpx.Response, body: bytes) -> tuple[str, str, Mapping[str, Any]]:
        """The code, the message and the details of an error; where it is not in the envelope, its first words."""
        try:
            error = json.loads(body)["error"]
            code, said, details = str(error["code"]), str(error["message"]), error["details"]
        except (ValueError, KeyError, TypeError, RecursionError):
            code, said, details = "", body.decode(errors="replace"), {}
        said = self._quote(said) or answer.reason_phrase
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
            return asked + self._wait(state) / 10
        return self._wait(state)

    def _tell_wait(self, state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        wait_seconds = state.next_action.sleep if state.next_action else 0.0
        most = f"for up to {self._patience_seconds:.0f} s" if self._answered else f"{MAX_FIRST_ATTEMPTS} times in all"
        self._tell(f"{str(error).rstrip('.')}. Asking {most}, again in {wait_seconds:.1f} s")

    def _quote(self, text: str) -> str:
        """Quotes a foreign text in one line of bounded length, without the key."""
        return shorten(redact_message(" ".join(text[: 9 * SHOWN].split()), (self._key,)), SHOWN)


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
    if parts.scheme == "http" and not LOOPBACK.fullmatch(parts.hostname or ""):
        raise InputError(f"--to {url} would send EXEMPLARS_PLATFORM_KEY readable by all on the way. Give https://…")
    base = f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"
    return base if base.endswith(BASE) else f"{base}{BASE}"
