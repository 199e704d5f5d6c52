"""Redact keys in replies and error messages before they are logged or stored."""

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import lru_cache
from urllib.parse import unquote

from engine.errors import ExemplarsError, ProviderError
from engine.llm.client.request import Client, Reply, Request

# The screening rejects a text with this mark as one with an unfilled placeholder (engine/rules/rules.py).
MARK = "[redacted]"
# Shorter values, and shorter plain words, are not secrets: they are set for servers that check no key.
MIN_SECRET_LENGTH, MIN_WORD_LENGTH = 8, 16
# Providers quote the beginning of a rejected key. Shorter beginnings, such as `sk-proj-`, are not secret.
HEAD_LENGTH = 12
_REST = r"(?:[\w\-.~+/=*…]*[\w\-~+/=*…])?"
_KEY_NAMES = r"(?:api|access|auth|x-api|subscription|ocp-apim-subscription)?[-_]?(?:key|token|secret|signature|sig)"
_QUERY_KEY = re.compile(rf"(?i)([?&]{_KEY_NAMES}=)([^&\s\"'<>#]+)")
_USER_INFO = re.compile(r"(?<=://)[^/?#\s\"'<>]+(?=@)")
# Shapes and contexts of keys: a provider's message may contain another key than the one that we sent.
_KEY_SHAPES = (
    re.compile(r"\b(?:sk|rk|pk|gsk|xai|hf|r8|nvapi|pplx|key)[-_][\w-]{16,}"),
    re.compile(r"\bAIza[\w-]{30,}"),
    re.compile(r"\beyJ[\w-]{10,500}\.[\w-]{5,}\.[\w-]+"),
)
_KEY_FIELD = re.compile(
    rf"(?i)(\b(?:bearer|basic)\s+|\b(?:{_KEY_NAMES}|authorization)[\"']*\s*[:=]\s*[\"']*(?:bearer\s+|basic\s+)?)"
    r"[\w\-.~+/=]{16,}"
)
_SECRET_VARIABLE = re.compile(r"(?:KEY|TOKEN|SECRET|PASSWORD)$")


def redact(text: str, secrets: Iterable[str]) -> str:
    """Replace each secret in a text by a mark, and change nothing else.

    A secret is found as it is, URL-encoded, JSON-escaped, or cut off after ``HEAD_LENGTH`` characters.
    """
    for secret in secrets:
        text = _compile(secret).sub(MARK, text)
    return text


def redact_message(text: str, secrets: Iterable[str]) -> str:
    """Redact a program's message: the given secrets, credentials in URLs, and everything else that looks like a key."""
    text = redact_credentials(redact(text, secrets))
    for shape in _KEY_SHAPES:
        text = shape.sub(MARK, text)
    return _KEY_FIELD.sub(rf"\1{MARK}", text)


def redact_credentials(text: str) -> str:
    """Redact user, password and keys in the query of every URL in a text."""
    return _QUERY_KEY.sub(rf"\1{MARK}", _USER_INFO.sub(MARK, text))


def find_secrets(key: str | None, url: str | None, environment: Mapping[str, str]) -> tuple[str, ...]:
    """Return an endpoint's secrets: its key, keys in the environment, and credentials in all URLs of both.

    litellm reads the environment itself. The longest secrets come first, since one may be the beginning of another.
    """
    named = (text for name, text in environment.items() if _SECRET_VARIABLE.search(name.upper()))
    in_urls = (secret for text in (url or "", *environment.values()) for secret in _list_url_secrets(text))
    values = {text.strip() for text in (key or "", *named, *in_urls)}
    long = (text for text in values if len(text) >= (MIN_WORD_LENGTH if text.isalpha() else MIN_SECRET_LENGTH))
    return tuple(sorted(long, key=lambda text: (-len(text), text)))


class RedactingClient:
    """A wrapper of a client that redacts the endpoint's secrets in its replies and errors.

    Providers echo keys in refusals and replies, and libraries quote request headers. Everything that is logged, cached
    or attached passes through this class.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self.endpoint = client.endpoint
        self._secrets = find_secrets(self.endpoint.api_key, self.endpoint.api_base, os.environ)

    async def complete(self, request: Request) -> Reply:
        """Make one call. Errors of the client are redacted and lose their causes, which may quote keys."""
        try:
            reply = await self._client.complete(request)
        except ExemplarsError as error:
            error.args = (redact_message(str(error), self._secrets),)
            error.__cause__ = error.__context__ = None
            raise
        except Exception as error:
            message = redact_message(f"{type(error).__name__}: {error}", self._secrets)
            raise ProviderError(f"{self.endpoint.name} failed: {message}", maybe_billed=True) from None
        return replace(reply, text=redact(reply.text, self._secrets), finish=redact(reply.finish, self._secrets))


def _list_url_secrets(text: str) -> Iterator[str]:
    for user_info in _USER_INFO.findall(text):
        user, _, password = user_info.partition(":")
        # A key may also be in place of the user: https://<key>@host.
        yield unquote(password or user)
    yield from (unquote(secret) for _, secret in _QUERY_KEY.findall(text))


@lru_cache(maxsize=256)
def _compile(secret: str) -> re.Pattern[str]:
    """Compile an expression for a secret with any of its characters plain, URL-encoded or JSON-escaped."""
    spellings = [f"(?:{'|'.join(map(re.escape, _list_spellings(character)))})" for character in secret]
    head = f"|{''.join(spellings[:HEAD_LENGTH])}{_REST}" if len(secret) >= HEAD_LENGTH else ""
    return re.compile(f"{''.join(spellings)}{head}", re.IGNORECASE)


def _list_spellings(character: str) -> Iterable[str]:
    """List each spelling once, since the search would try every combination of equal ones."""
    encoded = "".join(f"%{byte:02x}" for byte in character.encode())
    escaped = json.dumps(character)[1:-1], f"\\u{ord(character):04x}", f"\\{character}"
    return dict.fromkeys((character, encoded, *escaped))
