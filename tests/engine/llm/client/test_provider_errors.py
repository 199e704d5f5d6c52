"""Each failure of a provider has its own error type, through litellm, against a real server."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime

import httpx
import pytest
from chaos.faults import Fault, Script
from chaos.provider import MODEL, serve_chaos
from fakes.builders import make_cell, make_test_plan

from engine.asking.cells import make_chat_request
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
    RetryableProviderError,
)
from engine.llm.client.litellm_client import LitellmClient
from engine.llm.client.prices import find_price
from engine.llm.client.provider_errors import _is_flagged, _may_be_billed, parse_retry_after
from engine.llm.client.request import REFUSED, Endpoint, Reply

# The timeout for a fault without an answer; other faults have as much time as a busy machine needs.
TIMEOUT_SECONDS = 1.0
NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)

# The type, whether the call may have been billed, and a part of the message.
RAISED: dict[Fault, tuple[type[ProviderError], bool, str]] = {
    "limited": (RateLimitedError, False, "limits the rate"),
    "limited_seconds": (RateLimitedError, False, "limits the rate"),
    "error_500": (ProviderUnavailableError, False, "answers with an error of its own (500): "),
    "error_503": (ProviderUnavailableError, False, "engine is currently overloaded"),
    "error_529": (ProviderUnavailableError, False, "answers with an error of its own (529): Overloaded"),
    "reset_middle": (ProviderUnavailableError, True, "does not answer"),
    "cut_body": (ProviderUnavailableError, True, "does not answer"),
    "hang": (ProviderTimeoutError, True, "no reply in 1 s. EXEMPLARS_CALL_TIMEOUT_SECONDS"),
    "drip": (ProviderTimeoutError, True, "no reply in 1 s. EXEMPLARS_CALL_TIMEOUT_SECONDS"),
    "policy": (ContentRefusedError, False, "refuses this prompt: Your request was rejected"),
    "too_long": (ContextTooLongError, False, "v1: This model's maximum context length is 8192"),
    "wrong_key": (CredentialsError, False, "refuses the key"),
    "no_model": (ModelNotFoundError, False, "is not available"),
    "quota_429": (QuotaSpentError, False, "has no credit left: You exceeded"),
    "quota_402": (QuotaSpentError, False, "has no credit left"),
}
SILENT = ("hang", "drip")
# How the reply ended, and whether it has a text.
ANSWERED: dict[Fault, tuple[str, bool]] = {
    "cut_reply": ("length", True),
    "empty": ("stop", False),
    "filtered": (REFUSED, False),
    "refusal": (REFUSED, True),
}


async def call(url: str, timeout_seconds: float = 60.0) -> Reply | Exception:
    endpoint = Endpoint(MODEL, MODEL, "", api_base=url, api_key="test", price=find_price(MODEL))
    client = LitellmClient(endpoint, timeout_seconds)
    try:
        return await client.complete(make_chat_request(make_test_plan(), make_cell()))
    except ProviderError as error:
        return error
    finally:
        await client.close()


async def test_every_fault_is_an_error_of_its_type_or_a_reply_that_is_paid_for() -> None:
    with serve_chaos(Script(turns=(*RAISED, *ANSWERED))) as provider:
        # One call for each, in this order.
        raised = [await call(provider.url, TIMEOUT_SECONDS if fault in SILENT else 60.0) for fault in RAISED]
        answered = [await call(provider.url) for _ in ANSWERED]

    for (kind, billed, said), error in zip(RAISED.values(), raised, strict=True):
        assert kind is type(error), said
        assert said in str(error)
        assert billed is (isinstance(error, RetryableProviderError) and error.maybe_billed), said
    waits = [error.retry_after_seconds for error in raised if isinstance(error, RateLimitedError)]
    assert [None, 1.0] == waits
    replies = [reply for reply in answered if isinstance(reply, Reply)]
    assert list(ANSWERED.values()) == [(reply.finish, bool(reply.text)) for reply in replies]
    assert all(reply.prompt_tokens > 0 and (reply.cost_usd or 0.0) > 0 for reply in replies)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        *(("0.5", 0.5), ("-3", 0.0), ("nan", None), ("", None)),
        ("Wed, 25 Nov 2026 11:00:00 GMT", 0.0),
        ("Wed, 25 Nov 2026 12:00:30 -0000", 30.0),
        ("Wed, 25 Nov 99999 12:00:30 GMT", None),
    ],
)
def test_retry_after(value: str, seconds: float | None) -> None:
    assert seconds == parse_retry_after(value, NOW)


@pytest.fixture
def silent() -> Iterator[str]:
    """The base URL of a host that takes no connection and does not say so, as one behind a firewall does."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener, ExitStack() as stack:
        # The first connection waits to be accepted, and there is no room for another.
        for _ in range(2):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1"


async def test_host_that_takes_no_connection_is_told_and_nothing_was_billed(silent: str) -> None:
    for url, said in ((silent, "no connection in 1 s"), ("http://127.0.0.1:9/v1", "does not answer")):
        error = await call(url, TIMEOUT_SECONDS)
        assert isinstance(error, ProviderUnavailableError)
        assert (False, True, None) == (error.maybe_billed, error.no_connection, error.retry_after_seconds)
        assert said in str(error)


def test_name_without_a_known_provider_is_told() -> None:
    with pytest.raises(ModelNotFoundError, match="'nobody/test' names no provider that litellm knows"):
        LitellmClient(Endpoint("nobody/test", "nobody/test", ""), 60)


@pytest.mark.parametrize(
    ("status", "body", "billed", "flagged"),
    [
        (503, None, False, False),
        # A gateway that gave up waiting may bill the unfinished work.
        (504, None, True, False),
        # A flagged prompt is no wrong key.
        (403, {"error": {"code": 403, "metadata": {"reasons": ["violence"], "flagged_input": "…"}}}, False, True),
        (403, {"code": 403, "metadata": {}}, False, False),
    ],
)
def test_status_and_body_tell_what_may_be_billed_and_what_was_flagged(
    status: int, body: object, billed: bool, flagged: bool
) -> None:
    request = httpx.Request("POST", "http://127.0.0.1/v1")
    error = Exception("it failed")
    error.body = body  # type: ignore[attr-defined]
    error.__cause__ = httpx.HTTPStatusError("it failed", request=request, response=httpx.Response(status))

    assert (billed, flagged) == (_may_be_billed(error), _is_flagged(error))
    assert _may_be_billed(ValueError("neither a status nor the lack of a connection"))
