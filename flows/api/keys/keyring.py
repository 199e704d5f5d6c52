"""Issues and revokes API keys, and finds the key of the secret that a request carries.

A secret is ``exm_<id>_<32 random bytes>``. Scanners for leaked secrets recognise the prefix, the id finds the key
without a search, and only the SHA-256 of the whole is kept. A fast hash is enough: slow, salted hashes protect secrets
that can be guessed, and from 112 bits of entropy on NIST SP 800-63B (5.1.2.2) asks only for a one-way function. These
secrets have 256 bits.
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

KEY_PREFIX = "exm_"
ID_BYTES = 6
SECRET_BYTES = 32
# The secret of an unknown id is compared with this, so that it takes as long as a known id. No secret has this digest.
DUMMY_SHA256 = "0" * 64
# Two changes within one tick of a file system's clock (at worst 2 s, on FAT) may leave the same modification time.
SETTLED_AFTER_SECONDS = 2.0

_log = logging.getLogger(__name__)


def issue_key(
    path: Path, namespaces: Sequence[str], scope: str, now: datetime, label: str | None = None
) -> tuple[Key, str]:
    """Adds a new key to the file, and returns it with its secret, which is kept nowhere.

    Raises:
        InputError: a namespace, the scope or the label is not allowed.
        StoreError: the file cannot be used.
    """
    owned, kind, name = _check_namespaces(namespaces), _check_scope(scope), _check_label(label)
    with change_keys(path) as keys:
        taken = {key.id for key in keys}
        made = next(made for made in iter(lambda: secrets.token_hex(ID_BYTES), None) if made not in taken)
        secret = f"{KEY_PREFIX}{made}_{secrets.token_urlsafe(SECRET_BYTES)}"
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
    """Removes a key from the file; every server that reads the file refuses the key from its next request on.

    Raises:
        InputError: there is no such key.
        StoreError: the file cannot be used.
    """
    if KEY_PREFIX in key_id:
        # Not repeated in the message: it might be a secret that is in force.
        raise InputError(
            "That is a secret, not an id. The id is the 12 characters after its exm_; 'keys list' shows all"
        )
    with change_keys(path) as keys:
        for key in keys:
            if key.id == key_id:
                keys.remove(key)
                return key
        raise InputError(f"There is no key {key_id[:60]!r} in {path}. 'keys list' shows all keys")


def digest_secret(secret: str) -> str:
    """The SHA-256 of any text, in hexadecimal; a header may contain surrogates, which plain UTF-8 cannot encode."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


class KeyRing:
    """Finds keys by their secrets, always as the file now is: it is checked for each secret, and read if it changed.

    If the file cannot be used, no key is accepted and the log says why, once for each reason. Threads may share a ring.

    Args:
        clock: the time by the file system's clock, in seconds since 1970.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self._path = path
        self._clock = clock
        self._lock = threading.Lock()
        self._stamp: tuple[int, ...] = ()
        self._complaint: str | None = None
        self._keys: Mapping[str, Key] = {}

    def find(self, secret: str) -> Key | None:
        """The key of a secret; None if there is none. Never raises, whatever the text."""
        with self._lock:
            keys = self._read_changes()
        begin = len(KEY_PREFIX)
        key = keys.get(secret[begin : begin + 2 * ID_BYTES])
        kept = DUMMY_SHA256 if key is None else key.sha256
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
        # A failed read is retried even if the file does not change: the cause may be temporary, as too many open files.
        self._stamp, self._complaint = () if complaint else stamp, complaint
        return self._keys


def _stamp_file(path: Path) -> tuple[tuple[int, ...], float]:
    """A stamp that changes when a file or its mode does, and the time of the last change."""
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
