"""API keys: their permissions and their file, and how they are issued, revoked and found by a secret.

A secret is ``exm_<id>_<32 random bytes>``. Scanners for leaked secrets recognise the prefix, the id finds the key
without a search, and only the SHA-256 of the whole is kept. A fast hash is enough: slow, salted hashes protect secrets
that can be guessed, and from 112 bits of entropy on NIST SP 800-63B (5.1.2.2) asks only for a one-way function. These
secrets have 256 bits.
"""

import hashlib
import hmac
import logging
import os
import secrets
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

from filelock import FileLock, Timeout
from pydantic import AwareDatetime, ConfigDict, Field, TypeAdapter, ValidationError

from engine.domain.model import NAMESPACE_PATTERN
from engine.errors import InputError, StoreError
from engine.settings import Settings

Scope = Literal["scoring", "authoring"]

# The platform's contract, section 5.
PUBLIC_NAMESPACES = ("u22a8", "live", "bench")
KEY_PREFIX = "exm_"
ID_BYTES = 6
SECRET_BYTES = 32
# The secret of an unknown id is compared with this, so that it takes as long as a known id. No secret has this digest.
DUMMY_SHA256 = "0" * 64
OWNER_ONLY = 0o600
LOCK_TIMEOUT_SECONDS = 30.0

_Namespace = Annotated[str, Field(pattern=NAMESPACE_PATTERN)]
_Label = Annotated[str, Field(pattern=r"^\P{Cc}{1,80}$")]
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Key:
    """A key without its secret: ``id`` may be shown to anybody, ``sha256`` is the digest of the whole secret.

    The fields are those of an entry in the file of keys.
    """

    # An unknown field may restrict the key, so it must not be ignored.
    __pydantic_config__ = ConfigDict(extra="forbid")

    id: Annotated[str, Field(pattern="^[0-9a-f]{12}$")]
    scope: Scope
    namespaces: Annotated[tuple[_Namespace, ...], Field(min_length=1)]
    created_at: AwareDatetime
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] = field(repr=False)
    label: _Label | None = None

    @property
    def name(self) -> str:
        """Return the label with the id, or the id alone. A manifest keeps this name after the key is revoked."""
        return f"{self.label} ({self.id})" if self.label else self.id

    @property
    def rights(self) -> str:
        """Return the rights of the key as a phrase."""
        others = [name for name in PUBLIC_NAMESPACES if name not in self.namespaces]
        owned = f"{'reads and changes' if self.scope == 'authoring' else 'reads'} {', '.join(self.namespaces)}"
        return f"{owned}; every key reads {', '.join(others)}" if others else owned

    @property
    def own_place(self) -> str:
        """Return where the key finds runs, as the end of a sentence; empty if it finds them everywhere."""
        return f" in a namespace that this key owns ({', '.join(self.namespaces)})" if self.namespaces else ""

    def owns(self, handle: str) -> bool:
        """Return whether the key owns a namespace, given by name or by a handle; it may list samples only there."""
        return handle.partition(".")[0] in self.namespaces

    def may_read(self, handle: str) -> bool:
        """Return whether the key may read a namespace, by name or by handle; if not, it must look missing (404)."""
        return self.owns(handle) or handle.partition(".")[0] in PUBLIC_NAMESPACES


_KEY = TypeAdapter(Key)
_FILE = TypeAdapter(dict[Literal["keys"], tuple[Key, ...]])


def locate_keys(settings: Settings) -> Path:
    """Return the path of the file of keys.

    Raises:
        InputError: the setting is not a path on a local disk.
    """
    location = settings.keys_file
    if "://" in location:
        raise InputError(f"EXEMPLARS_KEYS_FILE is {location!r}: keys are kept on a local disk. Give the path of a file")
    return Path(location)


def read_keys(path: Path) -> tuple[Key, ...]:
    """Return the keys of a file in their order of issue; none if there is no file.

    Raises:
        StoreError: the file cannot be read, is open to others than its owner, or is malformed. The message quotes
            nothing of the content.
    """
    try:
        mode, content = path.stat().st_mode, path.read_bytes()
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise _explain(path, error) from error
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise StoreError(
            f"{path} is open to others than its owner (mode {stat.S_IMODE(mode):o}), so no key in it is trusted. "
            f"Run 'chmod 600 {path}', then check with 'keys list' that all keys are yours"
        )
    try:
        return _FILE.validate_json(content).get("keys", ())
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        field_path = ".".join(str(part) for part in first["loc"])
        raise StoreError(
            f"{path} is not a file of keys ({field_path or 'content'}: {first['msg']}), so no key is trusted. "
            "Restore it from a copy, or move it away and issue new keys"
        ) from None


def issue_key(
    path: Path, namespaces: Sequence[str], scope: str, now: datetime, label: str | None = None
) -> tuple[Key, str]:
    """Add a new key to the file, and return it with its secret, which is not stored anywhere.

    Raises:
        InputError: a namespace, the scope or the label is not allowed.
        StoreError: the file cannot be used.
    """
    key_id = secrets.token_hex(ID_BYTES)
    secret = f"{KEY_PREFIX}{key_id}_{secrets.token_urlsafe(SECRET_BYTES)}"
    fields = {
        "id": key_id,
        "scope": scope,
        "namespaces": tuple(dict.fromkeys(namespaces)),
        "created_at": now.astimezone(UTC),
        "sha256": _digest(secret),
        "label": (label or "").strip() or None,
    }
    try:
        key = _KEY.validate_python(fields)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        message = f"The key's {first['loc'][0]} cannot be {first['input']!r:.80}: {first['msg']}"
        raise InputError(f"{message}. 'keys issue --help' says what each is") from None
    with change_keys(path) as keys:
        keys.append(key)
    return key, secret


def revoke_key(path: Path, key_id: str) -> Key:
    """Remove a key from the file. Every server that reads the file refuses the key from its next request on.

    Raises:
        InputError: there is no such key.
        StoreError: the file cannot be used.
    """
    if KEY_PREFIX in key_id:
        # Not repeated in the message: it may be a valid secret.
        raise InputError(
            "That is a secret, not an id. The id is the 12 characters after its exm_; 'keys list' shows all"
        )
    with change_keys(path) as keys:
        for key in keys:
            if key.id == key_id:
                keys.remove(key)
                return key
        raise InputError(f"There is no key {key_id[:60]!r} in {path}. 'keys list' shows all keys")


class KeyRing:
    """Find keys by their secrets. The file is read again for each secret, so a change takes effect at once.

    If the file cannot be used, no key is accepted, and the log gives each reason once.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._last_error: str | None = None

    def find(self, secret: str) -> Key | None:
        """Return the key of a secret; None if there is none. Never raises, for any text."""
        start = len(KEY_PREFIX)
        key_id = secret[start : start + 2 * ID_BYTES]
        key = next((key for key in self._read() if key.id == key_id), None)
        expected = DUMMY_SHA256 if key is None else key.sha256
        return key if hmac.compare_digest(expected, _digest(secret)) else None

    def _read(self) -> Sequence[Key]:
        try:
            keys, error_text = read_keys(self._path), None
        except StoreError as error:
            keys, error_text = (), str(error)
        if error_text and error_text != self._last_error:
            _log.error("No key is accepted. %s", error_text)
        self._last_error = error_text
        return keys


@contextmanager
def change_keys(path: Path, timeout_seconds: float = LOCK_TIMEOUT_SECONDS) -> Iterator[list[Key]]:
    """Yield the keys as a list under the file's lock, and write the list when the block ends.

    Args:
        timeout_seconds: how long to wait for another writer.

    Raises:
        StoreError: as for ``read_keys``, or the file cannot be written. The file is then unchanged.
    """
    # If the path is a symbolic link, its target is replaced, not the link.
    real = path.resolve()
    try:
        real.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{real}.lock", timeout=timeout_seconds, mode=OWNER_ONLY):
            keys = list(read_keys(real))
            yield keys
            _replace(real, keys)
    except Timeout:
        raise StoreError(
            f"{path} has been locked by another command for {timeout_seconds:g} s. "
            "Nothing was changed: try again when that command has ended"
        ) from None
    except OSError as error:
        raise _explain(path, error) from error


def _replace(path: Path, keys: Sequence[Key]) -> None:
    new_file = path.with_name(f"{path.name}.new")
    # Only the holder of the lock writes this file: an existing one was left by a process that died.
    new_file.unlink(missing_ok=True)
    with open(new_file, "xb", opener=lambda name, flags: os.open(name, flags, OWNER_ONLY)) as stream:
        stream.write(_FILE.dump_json({"keys": tuple(keys)}, indent=2) + b"\n")
        stream.flush()
        os.fsync(stream.fileno())
    new_file.replace(path)


def _explain(path: Path, error: OSError) -> StoreError:
    return StoreError(
        f"The keys in {path} cannot be used: {error.strerror or error}. "
        "Free space or permit reading and writing, or point EXEMPLARS_KEYS_FILE elsewhere"
    )


def _digest(secret: str) -> str:
    """Return the SHA-256 of any text in hexadecimal. A header may contain surrogates, which UTF-8 cannot encode."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
