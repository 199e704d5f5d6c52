"""Who asks by standard input and output: whoever has a key of this machine's door, or this machine's own user."""

import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from engine.errors import InputError
from engine.settings import Settings
from flows.api.keys.file import locate_keys, read_keys
from flows.api.keys.key import Key
from flows.api.keys.keyring import DUMMY_SHA256, KeyRing

ISSUE = "'.venv/bin/python -m flows.api keys issue --help'"


class MachineUser(Key):
    """This machine's own user, who may read and change every namespace, as with the commands."""

    __slots__ = ()

    def owns(self, handle: str) -> bool:
        """Always: no namespace is another's."""
        return True

    @property
    def rights(self) -> str:
        """What it may do, as a phrase."""
        return "reads and changes every namespace"


@dataclass(frozen=True, slots=True)
class Identity:
    """``secret`` is what a session sends with each request, ``find_key`` finds the key that it stands for."""

    key: Key
    secret: str = field(repr=False)
    find_key: Callable[[str], Key | None]


def identify(settings: Settings) -> Identity:
    """The identity of a session by standard input and output.

    Raises:
        InputError: ``EXEMPLARS_MCP_KEY`` is none of the door's keys.
        StoreError: the file of keys cannot be used.
    """
    if settings.mcp_key is None:
        return _make_machine_identity()
    path, secret = locate_keys(settings), settings.mcp_key.get_secret_value()
    # The ring itself would only log why it cannot read the file.
    read_keys(path)
    ring = KeyRing(path)
    key = ring.find(secret)
    if key is None:
        raise InputError(
            f"EXEMPLARS_MCP_KEY is none of the keys in {path}: it was revoked, or issued elsewhere. {ISSUE} says how "
            "to issue one; unset, the session is this machine's own user"
        )
    return Identity(key, secret, ring.find)


def _make_machine_identity() -> Identity:
    """An identity whose secret never leaves this process."""
    user = MachineUser("0" * 12, "authoring", (), datetime.now(UTC), DUMMY_SHA256)
    secret = secrets.token_urlsafe()

    def find_user(given: str) -> Key | None:
        return user if hmac.compare_digest(given.encode("utf-8", "surrogatepass"), secret.encode()) else None

    return Identity(user, secret, find_user)
