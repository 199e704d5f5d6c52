"""Who asks: whoever has a key of the HTTP API, or this machine's own user."""

from collections.abc import Callable
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class Identity:
    """``get_secret`` returns the secret of whoever asks now, ``find_key`` the key of a secret.

    ``rights`` is what a session may do, as a phrase.
    """

    find_key: Callable[[str], Key | None]
    get_secret: Callable[[], str]
    rights: str


def identify(settings: Settings) -> Identity:
    """The identity of a session by standard input and output.

    Raises:
        InputError: ``EXEMPLARS_MCP_KEY`` is none of the HTTP API's keys.
        StoreError: the file of keys cannot be used.
    """
    if settings.mcp_key is None:
        user = MachineUser("0" * 12, "authoring", (), datetime.now(UTC), DUMMY_SHA256)
        # Nobody else can ask the application, which is in this process.
        return Identity(lambda _: user, lambda: "this machine's user", "reads and changes every namespace")
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
    return Identity(ring.find, lambda: secret, key.rights)
