"""Redaction of a secret in each of its spellings, and texts that must stay unchanged."""

import html
import json
import traceback
from collections.abc import Callable
from dataclasses import replace
from urllib.parse import quote

import pytest
from fakes.client import CHAT, Answer, FakeClient

from engine.errors import ProviderError, RateLimitedError
from engine.llm.client.redaction import (
    HEAD_LENGTH,
    MARK,
    RedactingClient,
    find_secrets,
    redact,
    redact_message,
)
from engine.llm.client.request import Prompt, Reply, Request

KEY = 'sk-proj-9f/8A+w"x==_Zq7LmN0pR2tVbY4'
PLAIN = "sk-proj-9f8Aw7LmN0pR2tVbY4dC6eG1hJ3kQ5"
PASSWORD = "swordfish-17"
WORDS = "The server was told {} and said no."


@pytest.mark.parametrize(
    "spell",
    [
        str.upper,
        lambda key: quote(key, safe=""),
        lambda key: json.dumps(key)[1:-1].replace("/", "\\/"),
        lambda key: key[:10] + "".join(f"\\u{ord(character):04X}" for character in key[10:]),
        lambda key: "".join(f"%{byte:02X}" for byte in key.encode()),
    ],
)
def test_secret_is_taken_out_in_every_spelling(spell: Callable[[str], str]) -> None:
    for key in (KEY, PLAIN):
        assert WORDS.format(MARK) == redact(WORDS.format(spell(key)), [key])


@pytest.mark.parametrize("shown", [PLAIN[:HEAD_LENGTH], f"{PLAIN[:12]}****{PLAIN[-4:]}", f"{PLAIN[:30]}…"])
def test_beginning_of_a_secret_is_taken_out_with_what_follows(shown: str) -> None:
    assert f"Incorrect key: {MARK}, or {MARK}." == redact(f"Incorrect key: {shown}, or {shown}.", [PLAIN])


HARMLESS = (
    f"The key {PLAIN[: HEAD_LENGTH - 1]} is no key, a bearer of certificates said: https://host/path?name=key",
    "eyJ-" * 50_000,
    "openai/test: a token limit. Check EXEMPLARS_SYNTH_API_KEY",
    "https://host:1/v1?api-version=2024-10-21&mail=me@host: bearer token",
)


@pytest.mark.parametrize(
    ("said", "left"),
    [
        ("Incorrect API key provided: sk-live-0123456789abcdef.", f"Incorrect API key provided: {MARK}."),
        ("Authorization: Bearer abcdefgh01234567==", f"Authorization: Bearer {MARK}"),
        ("{'x-api-key': 'abcdefgh01234567'}", f"{{'x-api-key': '{MARK}'}}"),
        ("api_key=abcdefgh01234567 is wrong", f"api_key={MARK} is wrong"),
        ("GET https://host/v1?key=0123&x=1", f"GET https://host/v1?key={MARK}&x=1"),
        ("for url http://me:pass@word@host:1/v1", f"for url http://{MARK}@host:1/v1"),
        ("https://onlykey@host/v1?x=1&token=t", f"https://{MARK}@host/v1?x=1&token={MARK}"),
        ("AIzaSyA0123456789abcdefghijklmnopqrstuv", MARK),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl", MARK),
        (f"<p>{html.escape(PLAIN)}</p>", f"<p>{MARK}</p>"),
        *((text, text) for text in HARMLESS),
    ],
)
def test_what_looks_like_a_key_is_taken_out_of_words(said: str, left: str) -> None:
    assert left == redact_message(said, [PLAIN])


def test_secrets_of_an_endpoint_are_its_key_its_url_s_and_the_environment_s() -> None:
    environment = {
        "OPENAI_API_KEY": f" {PLAIN}\n",
        "HF_TOKEN": "hf_0123456",
        "EXEMPLARS_REPLIES_URL": "postgresql+psycopg://exemplars:sword%2Ffish@17@db/replies",
        "HOME": "/home/somebody",
        "X_KEY": "short",
    }
    found = find_secrets(KEY, "https://me:pass%40word@host/v1?api_key=0123456789&x=123456789", environment)

    assert {KEY, PLAIN, "hf_0123456", "pass@word", "0123456789", "sword/fish@17"} == set(found)
    assert sorted(found, key=len, reverse=True) == list(found)


# Words for a server that checks no key, the longest that is no word and the shortest that is a secret.
@pytest.mark.parametrize(
    ("key", "found"), [("", ()), ("a" * 15, ()), ("sk-test", ()), ("a" * 16, ("a" * 16,)), ("sk-0123x", ("sk-0123x",))]
)
def test_shortest_secret_is_one_and_may_stand_for_a_user(key: str, found: tuple[str, ...]) -> None:
    assert found == find_secrets(key, None, {}) == find_secrets(None, f"https://{key}@host", {})


def make_client(answer: Answer) -> RedactingClient:
    endpoint = replace(CHAT, api_key=PLAIN, api_base=f"https://me:{PASSWORD}@host/v1")
    return RedactingClient(FakeClient(answer, endpoint))


REQUEST = Request(Prompt("Write 1 text."), 100, 0.8)


async def test_error_keeps_its_type_and_its_fields_and_loses_the_key_and_its_causes() -> None:
    error = RateLimitedError(f"at https://me:{PASSWORD}@host/v1: {PLAIN} is too fast", 7.0)
    error.__cause__ = ValueError(f"the body: {PLAIN}")
    error.__cause__.__context__ = ConnectionError(f"Bearer {PLAIN} sent to https://me:{PASSWORD}@host/v1")
    with pytest.raises(RateLimitedError) as raised:
        await make_client(lambda _: error).complete(REQUEST)
    told = "".join(traceback.format_exception(raised.value))

    assert f"at https://{MARK}@host/v1: {MARK} is too fast" == str(raised.value)
    assert 7.0 == raised.value.retry_after_seconds
    assert [] == [part for part in (PLAIN[:12], PASSWORD) if part in told]


async def test_reply_and_error_that_is_no_provider_s_come_through_without_the_keys(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "env-0123456789-abcdef")
    said = Reply(f"Use {PLAIN} or env-0123456789-abcdef.", f"stop {PLAIN}", 7, 3, 0.01, {"good": -0.5})

    assert replace(said, text=f"Use {MARK} or {MARK}.", finish=f"stop {MARK}") == await make_client(
        lambda _: said
    ).complete(REQUEST)
    with pytest.raises(ProviderError) as raised:
        await make_client(lambda _: ValueError(f"invalid literal for int(): '{PLAIN}'")).complete(REQUEST)
    assert f"openai/test failed: ValueError: invalid literal for int(): '{MARK}'" == str(raised.value)
    assert PLAIN[:12] not in "".join(traceback.format_exception(raised.value))
