"""Redaction: keys are taken out of what providers and libraries say, in any spelling, before it is written anywhere."""

import base64
import json
import os
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import lru_cache
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from engine.errors import ExemplarsError, ProviderError
from engine.llm.request import Client, Reply, Request

# The screen rejects a text that has it, as one with a gap left to be filled in (engine/screening/rules.py).
MARK = "[redacted]"
# Shorter ones, and short plain words, are what one sets for a server that checks no key.
LEAST_LENGTH, LEAST_WORD = 8, 16
# Providers show the beginning of a key that they refuse; `sk-proj-` and `sk-ant-` alone are nobody's.
HEAD_LENGTH = 12
_REST = r"(?:[\w\-.~+/=*…]*[\w\-~+/=*…])?"
_KEY_NAMES = r"(?:api|access|auth|x-api|subscription|ocp-apim-subscription)?[-_]?(?:key|token|secret|signature|sig)"
_QUERY_KEY = re.compile(rf"(?i)([?&]{_KEY_NAMES}=)[^&\s\"'<>#]+")
_USER_INFO = re.compile(r"(?<=://)[^/@\s\"'<>]+(?=@)")
# What keys look like, and where they stand: a provider may tell of another key than the one that it was sent.
_LOOKS = (
    re.compile(r"\b(?:sk|rk|pk|gsk|xai|hf|r8|nvapi|pplx|key)[-_][\w-]{16,}"),
    re.compile(r"\bAIza[\w-]{30,}"),
    re.compile(r"\beyJ[\w-]{10,}\.[\w-]{5,}\.[\w-]+"),
)
_HEADER = re.compile(
    rf"(?i)(\b(?:bearer|basic)\s+|\b(?:{_KEY_NAMES}|authorization)[\"']*\s*[:=]\s*[\"']*(?:bearer\s+|basic\s+)?)"
    r"[\w\-.~+/=]{16,}"
)
_SECRET_VARIABLE = re.compile(r"(?:KEY|TOKEN|SECRET|PASSWORD)$")


def redact(text: str, secrets: Iterable[str]) -> str:
    """The text with a mark in the place of each secret: as it is, URL-encoded, escaped as in JSON, in Base64, or cut
    off after ``HEAD_LENGTH`` characters. Nothing else of the text changes."""
    for secret in secrets:
        text = _compile(secret).sub(MARK, text)
    return text


def redact_words(text: str, secrets: Iterable[str]) -> str:
    """What a program says, a provider's error or a library's: without the secrets, nor what looks like another."""
    text = hide_credentials(redact(text, secrets))
    for looks in _LOOKS:
        text = looks.sub(MARK, text)
    return _HEADER.sub(rf"\1{MARK}", text)


def hide_credentials(text: str) -> str:
    """A URL, or a text that has some, without user, password and keys in the query."""
    return _QUERY_KEY.sub(rf"\1{MARK}", _USER_INFO.sub(MARK, text))


def find_secrets(key: str | None, url: str | None, environment: Mapping[str, str]) -> tuple[str, ...]:
    """All that must not be told of an endpoint: its key, what its URL hides, and the keys in the environment, which
    litellm takes for itself. The longest come first, since one may be the beginning of another."""
    named = (text for name, text in environment.items() if _SECRET_VARIABLE.search(name.upper()))
    found = {text.strip() for text in (key or "", *_list_url_secrets(url or ""), *named)}
    return tuple(sorted(filter(_is_secret, found), key=lambda text: (-len(text), text)))


class CallError(Exception):
    """What a library raised, told again without secrets: the cause of ours in a traceback."""


class DiscreetClient:
    """Passes calls on to a client, and takes the endpoint's secrets out of its replies and its errors.

    Providers echo keys: in refusals, in headers that libraries quote, in replies. All that is logged, kept or attached
    has come through here.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self.endpoint = client.endpoint
        self._secrets = find_secrets(self.endpoint.api_key, self.endpoint.api_base, os.environ)

    async def complete(self, request: Request) -> Reply:
        """One reply, asked once; raises what the client raises."""
        try:
            reply = await self._client.complete(request)
        except ExemplarsError as error:
            self._hide(error)
            raise
        except Exception as error:
            said = f"{self.endpoint.name} failed: {redact_words(_tell(error), self._secrets)}"
            raise ProviderError(said, maybe_billed=True) from self._retell(error)
        return replace(reply, text=redact(reply.text, self._secrets), finish=redact(reply.finish, self._secrets))

    def _hide(self, error: ExemplarsError) -> None:
        cause = error.__cause__ or error.__context__
        error.args = (redact_words(str(error), self._secrets),)
        error.__cause__ = self._retell(cause) if cause else None
        error.__context__ = None

    def _retell(self, error: BaseException) -> CallError:
        """The error, with where it was raised, and what it came from likewise."""
        told = CallError(redact_words(_tell(error), self._secrets)).with_traceback(error.__traceback__)
        cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
        told.__cause__ = self._retell(cause) if cause else None
        return told


def _is_secret(text: str) -> bool:
    return len(text) >= (LEAST_WORD if text.isalpha() else LEAST_LENGTH)


def _list_url_secrets(url: str) -> Iterator[str]:
    parts = urlsplit(url)
    user, _, password = parts.netloc.rpartition("@")[0].partition(":")
    # A key may stand for the user, too: https://<key>@host.
    yield from (password, unquote(password)) if password else (user, unquote(user))
    hidden = dict(parse_qsl(hide_credentials(f"?{parts.query}").removeprefix("?")))
    yield from (text for name, text in parse_qsl(parts.query) if hidden.get(name) != text)


@lru_cache(maxsize=256)
def _compile(secret: str) -> re.Pattern[str]:
    encoded = _encode(secret)
    whole = [_spell(secret), *(rf"{_spell(form)}[\w+/=-]{{0,3}}" for form in encoded)]
    heads = [_spell(form[:HEAD_LENGTH]) for form in (secret, *encoded) if len(secret) >= HEAD_LENGTH]
    return re.compile("|".join([*whole, *(f"{head}{_REST}" for head in heads)]), re.IGNORECASE)


def _encode(secret: str) -> Collection[str]:
    """Base64 of anything that has the secret in it: of each of the three ways in which it may lie across the groups
    of three bytes, the characters that are the secret's alone; in both alphabets."""
    found = []
    raw = secret.encode()
    for before in range(3):
        encoded = base64.b64encode(bytes(before) + raw).decode()
        own = encoded[-(-before * 8 // 6) : (before + len(raw)) * 8 // 6]
        found += [own, own.translate(str.maketrans("+/", "-_"))]
    return dict.fromkeys(found)


def _spell(form: str) -> str:
    """A pattern for the text with any of its characters as it is, URL-encoded, or escaped as in JSON."""
    return "".join(f"(?:{'|'.join(map(re.escape, _list_spellings(character)))})" for character in form)


def _list_spellings(character: str) -> Collection[str]:
    encoded = "".join(f"%{byte:02x}" for byte in character.encode())
    escaped = json.dumps(character)[1:-1]
    numbered = f"\\u{ord(character):04x}"
    return dict.fromkeys((character, encoded, quote(character), escaped, numbered, f"\\{character}"))


def _tell(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"
