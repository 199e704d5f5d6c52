"""Redacts keys, however they are encoded, from replies and error messages before these are logged or stored."""

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

# The screening rejects a text with this mark as one with an unfilled placeholder (engine/screening/rules.py).
MARK = "[redacted]"
# Shorter values, and short plain words, are not secrets: people set them for a server that checks no key.
MIN_SECRET_LENGTH, MIN_WORD_LENGTH = 8, 16
# Providers quote the beginning of a key that they refuse. Shorter beginnings, such as `sk-proj-`, are not secret.
HEAD_LENGTH = 12
_REST = r"(?:[\w\-.~+/=*…]*[\w\-~+/=*…])?"
_KEY_NAMES = r"(?:api|access|auth|x-api|subscription|ocp-apim-subscription)?[-_]?(?:key|token|secret|signature|sig)"
_QUERY_KEY = re.compile(rf"(?i)([?&]{_KEY_NAMES}=)[^&\s\"'<>#]+")
_USER_INFO = re.compile(r"(?<=://)[^/@\s\"'<>]+(?=@)")
# What keys look like and where they stand: a provider's message may contain another key than the one that we sent.
_KEY_SHAPES = (
    re.compile(r"\b(?:sk|rk|pk|gsk|xai|hf|r8|nvapi|pplx|key)[-_][\w-]{16,}"),
    re.compile(r"\bAIza[\w-]{30,}"),
    re.compile(r"\beyJ[\w-]{10,}\.[\w-]{5,}\.[\w-]+"),
)
_KEY_FIELD = re.compile(
    rf"(?i)(\b(?:bearer|basic)\s+|\b(?:{_KEY_NAMES}|authorization)[\"']*\s*[:=]\s*[\"']*(?:bearer\s+|basic\s+)?)"
    r"[\w\-.~+/=]{16,}"
)
_SECRET_VARIABLE = re.compile(r"(?:KEY|TOKEN|SECRET|PASSWORD)$")


def redact(text: str, secrets: Iterable[str]) -> str:
    """Replaces each secret in a text by a mark, and changes nothing else.

    A secret is found as it is, URL-encoded, JSON-escaped, in Base64, or cut off after ``HEAD_LENGTH`` characters.
    """
    for secret in secrets:
        text = _compile(secret).sub(MARK, text)
    return text


def redact_message(text: str, secrets: Iterable[str]) -> str:
    """Redacts a program's message: the given secrets, credentials in URLs, and whatever else looks like a key."""
    text = redact_credentials(redact(text, secrets))
    for looks in _KEY_SHAPES:
        text = looks.sub(MARK, text)
    return _KEY_FIELD.sub(rf"\1{MARK}", text)


def redact_credentials(text: str) -> str:
    """Redacts user, password and keys in the query of every URL in a text."""
    return _QUERY_KEY.sub(rf"\1{MARK}", _USER_INFO.sub(MARK, text))


def find_secrets(key: str | None, url: str | None, environment: Mapping[str, str]) -> tuple[str, ...]:
    """The secrets of an endpoint: its key, credentials in its URL, and keys in the environment, which litellm reads.

    The longest come first, since one may be the beginning of another.
    """
    named = (text for name, text in environment.items() if _SECRET_VARIABLE.search(name.upper()))
    found = {text.strip() for text in (key or "", *_list_url_secrets(url or ""), *named)}
    return tuple(sorted(filter(_is_secret, found), key=lambda text: (-len(text), text)))


class RedactedError(Exception):
    """A redacted copy of an exception that a library raised; it stands in tracebacks as the cause of our error."""


class RedactingClient:
    """Wraps a client and redacts the endpoint's secrets from its replies and errors.

    Providers echo keys in refusals and replies, and libraries quote request headers. Everything that is logged, cached
    or attached passes through this class.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self.endpoint = client.endpoint
        self._secrets = find_secrets(self.endpoint.api_key, self.endpoint.api_base, os.environ)

    async def complete(self, request: Request) -> Reply:
        """Makes one call; raises what the wrapped client raises, redacted."""
        try:
            reply = await self._client.complete(request)
        except ExemplarsError as error:
            self._redact_error(error)
            raise
        except Exception as error:
            said = f"{self.endpoint.name} failed: {redact_message(_format_error(error), self._secrets)}"
            raise ProviderError(said, maybe_billed=True) from self._copy_redacted(error)
        return replace(reply, text=redact(reply.text, self._secrets), finish=redact(reply.finish, self._secrets))

    def _redact_error(self, error: ExemplarsError) -> None:
        cause = error.__cause__ or error.__context__
        error.args = (redact_message(str(error), self._secrets),)
        error.__cause__ = self._copy_redacted(cause) if cause else None
        error.__context__ = None

    def _copy_redacted(self, error: BaseException) -> RedactedError:
        """A redacted copy of an error with its traceback and, likewise, its causes."""
        told = RedactedError(redact_message(_format_error(error), self._secrets)).with_traceback(error.__traceback__)
        cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
        told.__cause__ = self._copy_redacted(cause) if cause else None
        return told


def _is_secret(text: str) -> bool:
    return len(text) >= (MIN_WORD_LENGTH if text.isalpha() else MIN_SECRET_LENGTH)


def _list_url_secrets(url: str) -> Iterator[str]:
    parts = urlsplit(url)
    user, _, password = parts.netloc.rpartition("@")[0].partition(":")
    # A key may stand for the user, too: https://<key>@host.
    yield from (password, unquote(password)) if password else (user, unquote(user))
    hidden = dict(parse_qsl(redact_credentials(f"?{parts.query}").removeprefix("?")))
    yield from (text for name, text in parse_qsl(parts.query) if hidden.get(name) != text)


@lru_cache(maxsize=256)
def _compile(secret: str) -> re.Pattern[str]:
    encoded = _encode(secret)
    whole = [_spell(secret), *(rf"{_spell(form)}[\w+/=-]{{0,3}}" for form in encoded)]
    heads = [_spell(form[:HEAD_LENGTH]) for form in (secret, *encoded) if len(secret) >= HEAD_LENGTH]
    return re.compile("|".join([*whole, *(f"{head}{_REST}" for head in heads)]), re.IGNORECASE)


def _encode(secret: str) -> Collection[str]:
    """The Base64 forms in which a secret may appear within longer encoded data, in both alphabets.

    Base64 encodes groups of three bytes, and the secret may begin at any of the three; of each form only the characters
    that encode nothing but the secret are returned.
    """
    found = []
    raw = secret.encode()
    for before in range(3):
        encoded = base64.b64encode(bytes(before) + raw).decode()
        own = encoded[-(-before * 8 // 6) : (before + len(raw)) * 8 // 6]
        found += [own, own.translate(str.maketrans("+/", "-_"))]
    return dict.fromkeys(found)


def _spell(form: str) -> str:
    """A regular expression that matches a text with any of its characters plain, URL-encoded, or JSON-escaped."""
    return "".join(f"(?:{'|'.join(map(re.escape, _list_spellings(character)))})" for character in form)


def _list_spellings(character: str) -> Collection[str]:
    encoded = "".join(f"%{byte:02x}" for byte in character.encode())
    escaped = json.dumps(character)[1:-1]
    numbered = f"\\u{ord(character):04x}"
    return dict.fromkeys((character, encoded, quote(character), escaped, numbered, f"\\{character}"))


def _format_error(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"
