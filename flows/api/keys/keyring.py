"""The keys of the door: issued and revoked by a command, and found by the secret that a request carries.

A secret is ``exm_<id>_<32 random bytes>``: the prefix lets scanners for leaked secrets know it, the id finds the key
without a search, and of the whole only a SHA-256 is kept. That is fast on purpose: a slow, salted hash protects
secrets that can be guessed, and from 112 bits of entropy on NIST SP 800-63B (5.1.2.2) asks for a one-way function
alone. Here are 256.
"""

import hashlib
import hmac
import logging
import secrets
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from engine.domain.model import is_namespace
from engine.errors import InputError, StoreError
from flows.api.keys.file import change_keys, read_keys
from flows.api.keys.key import LABEL_MAX_LENGTH, SCOPES, Key, Scope

SECRET_PREFIX = "exm_"  # noqa: S105  not a secret but what every secret begins with
ID_BYTES = 6
SECRET_BYTES = 32
# What an unknown id is compared with, so that it takes as long as a known one. No secret has this digest.
NOBODYS_SHA256 = "0" * 64
# Two changes within one tick of a file system's clock (2 s at worst, on FAT) may leave the same stamp.
SETTLED_AFTER_SECONDS = 2.0

_log = logging.getLogger(__name__)


def issue_key(
    path: Path, namespaces: Sequence[str], scope: str, now: datetime, label: str | None = None
) -> tuple[Key, str]:
    """A new key, kept in the file, and its secret, which is kept nowhere.

    Raises:
        InputError: a namespace, scope or label that is not allowed; StoreError: the file cannot be used.
    """
    owned, kind, name = _check_namespaces(namespaces), _check_scope(scope), _check_label(label)
    with change_keys(path) as keys:
        taken = {key.id for key in keys}
        made = next(made for made in iter(lambda: secrets.token_hex(ID_BYTES), None) if made not in taken)
        secret = f"{SECRET_PREFIX}{made}_{secrets.token_urlsafe(SECRET_BYTES)}"
        key = Key(made, kind, owned, now.astimezone(UTC), digest_secret(secret), name)
        keys.append(key)
    return key, secret


def list_keys(path: Path) -> tuple[Key, ...]:
    """The keys that are in force, the oldest first.

    Raises:
        StoreError: the file cannot be used.
    """
    return read_keys(path)


def revoke_key(path: Path, key_id: str) -> Key:
    """Takes a key out of the file: every door that reads it refuses the key from its next request on.

    Raises:
        InputError: no such key; StoreError: the file cannot be used.
    """
    if SECRET_PREFIX in key_id:
        # Not repeated in the message: it might be a secret that is in force.
        raise InputError(
            "That is a secret, not an id. The id is the 12 characters after its exm_; 'keys list' shows all"
        )
    with change_keys(path) as keys:
        for key in keys:
            if key.id == key_id:
                keys.remove(key)
                return key
        raise InputError(f"No key {key_id[:60]!r} in {path}. 'keys list' shows the keys that there are")


def digest_secret(secret: str) -> str:
    """SHA-256 in hexadecimal, of any text: a header may carry what no UTF-8 can write."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


class KeyRing:
    """The keys that are in force at this instant: the file is looked at for each secret, and read when it has changed.

    Where it cannot be used nobody gets in, and the log says why, once for each change. Threads may share a ring.

    Args:
        clock: The time as the file's disk has it, in seconds since 1970.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self._path = path
        self._clock = clock
        self._lock = threading.Lock()
        self._stamp: tuple[int, ...] = ()
        self._complaint: str | None = None
        self._keys: Mapping[str, Key] = {}

    def find(self, secret: str) -> Key | None:
        """The key of a secret, None where there is none; never raises, whatever the text."""
        with self._lock:
            keys = self._read_changes()
        begin = len(SECRET_PREFIX)
        key = keys.get(secret[begin : begin + 2 * ID_BYTES])
        kept = NOBODYS_SHA256 if key is None else key.sha256
        return key if hmac.compare_digest(kept, digest_secret(secret)) else None

    def _read_changes(self) -> Mapping[str, Key]:
        stamp, changed_at = _stamp_file(self._path)
        if stamp == self._stamp and self._clock() - changed_at > SETTLED_AFTER_SECONDS:
            return self._keys
        complaint = None
        try:
            self._keys = {key.id: key for key in read_keys(self._path)}
        except StoreError as error:
            self._keys, complaint = {}, str(error)
        if complaint and complaint != self._complaint:
            _log.error("No key is accepted. %s", complaint)
        # What could not be read may be read in a moment without a change of its own, as when files were all open.
        self._stamp, self._complaint = () if complaint else stamp, complaint
        return self._keys


def _stamp_file(path: Path) -> tuple[tuple[int, ...], float]:
    """What changes when a file or its mode does, and when that was last."""
    try:
        seen = path.stat()
    except OSError as error:
        return (error.errno or 0,), 0.0
    return (seen.st_dev, seen.st_ino, seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns), seen.st_ctime


def _check_namespaces(namespaces: Sequence[str]) -> tuple[str, ...]:
    if not namespaces:
        raise InputError("A key owns at least one namespace. Name it with --namespace")
    for namespace in namespaces:
        if not is_namespace(namespace):
            raise InputError(
                f"{namespace[:60]!r} is not a namespace. A namespace is what a handle has before its '.': lower-case "
                "letters, digits and '-', starting with a letter or digit"
            )
    return tuple(dict.fromkeys(namespaces))


def _check_scope(scope: str) -> Scope:
    if scope not in SCOPES:
        raise InputError(f"{scope[:60]!r} is not a scope. There are: scoring (read), authoring (read and change)")
    return scope


def _check_label(label: str | None) -> str | None:
    text = (label or "").strip()
    if len(text) > LABEL_MAX_LENGTH or not text.isprintable():
        raise InputError(f"A label is one line of at most {LABEL_MAX_LENGTH} printable characters, not {text[:60]!r}")
    return text or None
