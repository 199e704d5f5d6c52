"""No key gets past the redacting client: not in a reply, not in an error, not in the traceback of one."""

import traceback
from dataclasses import replace

import pytest
from fakes.client import CHAT, Answer, FakeClient

from engine.errors import ExemplarsError, ProviderError, RateLimitedError
from engine.llm.redaction import MARK, RedactingClient
from engine.llm.request import Prompt, Reply, Request

KEY = "sk-proj-9f8Aw7LmN0pR2tVbY4dC6eG1hJ3kQ5"
PASSWORD = "swordfish-17"
REQUEST = Request(Prompt("Write 1 text."), 100, 0.8)


def make_client(answer: Answer) -> RedactingClient:
    endpoint = replace(CHAT, api_key=KEY, api_base=f"https://me:{PASSWORD}@host/v1")
    return RedactingClient(FakeClient(answer, endpoint))


def raise_chain(error: ExemplarsError) -> ExemplarsError:
    """The error as it comes out of the module that calls litellm, with what it came from."""
    try:
        try:
            try:
                raise ConnectionError(f"Bearer {KEY} sent to https://me:{PASSWORD}@host/v1")
            except ConnectionError as cause:
                raise ValueError(f"the body: {KEY}") from cause
        except ValueError as cause:
            raise error from cause
    except ExemplarsError as raised:
        return raised


async def test_reply_comes_through_without_the_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "env-0123456789-abcdef")
    said = Reply(f'{{"text": "Use {KEY} or env-0123456789-abcdef."}}', f"stop {KEY}", 7, 3, 0.01, {"good": -0.5})
    reply = await make_client(lambda _: said).complete(REQUEST)

    assert Reply(f'{{"text": "Use {MARK} or {MARK}."}}', f"stop {MARK}", 7, 3, 0.01, {"good": -0.5}) == reply


async def test_error_keeps_its_type_its_fields_and_its_causes_and_loses_the_key() -> None:
    error = raise_chain(RateLimitedError(f"at https://me:{PASSWORD}@host/v1: {KEY} is too fast", 7.0))
    with pytest.raises(RateLimitedError) as raised:
        await make_client(lambda _: error).complete(REQUEST)
    told = "".join(traceback.format_exception(raised.value))

    assert (f"at https://{MARK}@host/v1: {MARK} is too fast", 7.0) == (
        str(raised.value),
        raised.value.retry_after_seconds,
    )
    assert [] == [part for part in (KEY[:12], PASSWORD) if part in told]
    assert f"ConnectionError: Bearer {MARK} sent to https://{MARK}@host/v1" in told
    assert f"ValueError: the body: {MARK}" in told


async def test_error_that_is_no_provider_s_is_told_as_one() -> None:
    with pytest.raises(ProviderError) as raised:
        await make_client(lambda _: ValueError(f"invalid literal for int(): '{KEY}'")).complete(REQUEST)
    told = "".join(traceback.format_exception(raised.value))

    assert f"openai/test failed: ValueError: invalid literal for int(): '{MARK}'" == str(raised.value)
    assert KEY[:12] not in told
