"""Redacting: a secret in every spelling that it may come in, and all that must be left alone."""

import html
import json
from collections.abc import Callable
from urllib.parse import quote

import pytest

from engine.llm.redaction import HEAD_LENGTH, MARK, find_secrets, redact, redact_credentials, redact_message

KEY = 'sk-proj-9f/8A+w"x==_Zq7LmN0pR2tVbY4'
PLAIN = "sk-proj-9f8Aw7LmN0pR2tVbY4dC6eG1hJ3kQ5"
WORDS = "The server was told {} and said no."


def escape_wholly(text: str) -> str:
    return "".join(f"\\u{ord(character):04X}" for character in text)


@pytest.mark.parametrize(
    "spell",
    [
        str.upper,
        lambda key: quote(key, safe=""),
        lambda key: quote(key, safe="").lower(),
        lambda key: json.dumps(key)[1:-1].replace("/", "\\/"),
        lambda key: key[:10] + escape_wholly(key[10:]),
        lambda key: "".join(f"%{byte:02X}" for byte in key.encode()),
    ],
)
def test_secret_is_taken_out_in_every_spelling(spell: Callable[[str], str]) -> None:
    for key in (KEY, PLAIN):
        assert WORDS.format(MARK) == redact(WORDS.format(spell(key)), [key])


@pytest.mark.parametrize("shown", [PLAIN[:HEAD_LENGTH], PLAIN[:20], f"{PLAIN[:12]}****{PLAIN[-4:]}", f"{PLAIN[:30]}…"])
def test_beginning_of_a_secret_is_taken_out_with_what_follows(shown: str) -> None:
    assert f"Incorrect key: {MARK}, or {MARK}." == redact(f"Incorrect key: {shown}, or {shown}.", [PLAIN])


def test_text_without_a_secret_is_left_alone() -> None:
    text = f"The key {PLAIN[: HEAD_LENGTH - 1]} is no key, a bearer of certificates said: https://host/path?name=key"

    assert text == redact(text, [PLAIN])


def test_json_stays_json() -> None:
    reply = json.dumps({"exemplars": [{"text": f"{KEY}\nA line.", "pole": "positive"}]})

    assert {"exemplars": [{"text": f"{MARK}\nA line.", "pole": "positive"}]} == json.loads(redact(reply, [KEY]))


@pytest.mark.parametrize(
    ("said", "left"),
    [
        ("Incorrect API key provided: sk-live-0123456789abcdef.", f"Incorrect API key provided: {MARK}."),
        ("Authorization: Bearer abcdefgh01234567==", f"Authorization: Bearer {MARK}"),
        ("{'x-api-key': 'abcdefgh01234567'}", f"{{'x-api-key': '{MARK}'}}"),
        ("api_key=abcdefgh01234567 is wrong", f"api_key={MARK} is wrong"),
        ("GET https://host/v1?key=0123&x=1", f"GET https://host/v1?key={MARK}&x=1"),
        ("for url http://me:word@host:1/v1", f"for url http://{MARK}@host:1/v1"),
        ("AIzaSyA0123456789abcdefghijklmnopqrstuv", MARK),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl", MARK),
        (f"<p>{html.escape(PLAIN)}</p>", f"<p>{MARK}</p>"),
    ],
)
def test_what_looks_like_a_key_is_taken_out_of_words(said: str, left: str) -> None:
    assert left == redact_message(said, [PLAIN])


@pytest.mark.parametrize(
    "said",
    [
        "Incorrect API key provided: sk-…test.",
        "Rate limit reached for requests.",
        "openai/test at http://127.0.0.1:1234/v1 does not answer: a token limit of 400. Check EXEMPLARS_SYNTH_API_KEY",
        "Write to me@host about the bearer token: it was refused",
    ],
)
def test_words_without_a_key_are_left_alone(said: str) -> None:
    assert said == redact_message(said, [])


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://127.0.0.1:1/v1", "http://127.0.0.1:1/v1"),
        ("https://host/v1?api-version=2024-10-21", "https://host/v1?api-version=2024-10-21"),
        ("https://me:pass%40word@host/v1", f"https://{MARK}@host/v1"),
        ("https://me:pass@word@host/v1", f"https://{MARK}@host/v1"),
        ("https://onlykey@host/v1", f"https://{MARK}@host/v1"),
        ("https://host/v1?mail=me@host", "https://host/v1?mail=me@host"),
        ("https://host/v1?api_key=abc&x=1&token=t", f"https://host/v1?api_key={MARK}&x=1&token={MARK}"),
    ],
)
def test_url_is_shown_without_what_it_hides(url: str, shown: str) -> None:
    assert shown == redact_credentials(url)


def test_secrets_of_an_endpoint_are_its_key_its_url_s_and_the_environment_s() -> None:
    environment = {
        "OPENAI_API_KEY": f" {PLAIN}\n",
        "HF_TOKEN": "hf_0123456",
        "HOME": "/home/somebody",
        "X_KEY": "short",
    }
    found = find_secrets(KEY, "https://me:pass%40word@host/v1?api_key=0123456789&x=123456789", environment)

    assert {KEY, PLAIN, "hf_0123456", "pass@word", "0123456789"} == set(found)
    assert sorted(found, key=len, reverse=True) == list(found)


@pytest.mark.parametrize(
    ("key", "url", "environment"),
    [
        # Words for a server that checks no key, the longest that is one, and the longest that is no word.
        *((word, None, {}) for word in ("", "none", "placeholder", "a" * 15, "sk-test")),
        *(
            (None, None, {"SOMETHING": value})
            for value in ("http://[", "a@b", "https://host/path?mail=me@host", "//x:y@z", "https://u:p@")
        ),
    ],
)
def test_what_is_no_secret(key: str | None, url: str | None, environment: dict[str, str]) -> None:
    assert () == find_secrets(key, url, environment)


@pytest.mark.parametrize("secret", ["a" * 16, "sk-0123x"])
def test_shortest_secret_is_one_and_may_stand_for_a_user(secret: str) -> None:
    assert (secret,) == find_secrets(secret, None, {}) == find_secrets(None, f"https://{secret}@host", {})


@pytest.mark.parametrize(
    ("url", "password"),
    [
        ("postgresql://exemplars:sword%2Ffish%2017@db:5432/replies", "sword/fish 17"),
        ("postgresql+psycopg://exemplars:sword@fish@17@db/replies", "sword@fish@17"),
        ("https://host/v1?api-version=1&subscription-key=0123%2B4567", "0123+4567"),
    ],
)
def test_credentials_in_any_url_of_the_environment_are_secrets_in_every_spelling(url: str, password: str) -> None:
    (secret,) = found = find_secrets(None, None, {"EXEMPLARS_REPLIES_URL": url})

    assert password == secret
    for shown in (password, quote(password, safe=""), json.dumps(password)[1:-1], url):
        assert password not in redact(f"cannot reach {shown}", found)
        assert quote(password, safe="") not in redact(f"cannot reach {shown}", found)


def test_long_message_is_searched_in_one_pass() -> None:
    said = "eyJ-" * 50_000

    assert said == redact_message(said, [])
