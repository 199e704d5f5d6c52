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
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from engine.errors import InputError, StoreError
from flows.api.keys.file import Key, change_keys, read_keys

KEY_PREFIX = "exm_"
ID_BYTES = 6
SECRET_BYTES = 32
# The secret of an unknown id is compared with this, so that it takes as long as a known id. No secret has this digest.
DUMMY_SHA256 = "0" * 64

_KEY = TypeAdapter(Key)
_log = logging.getLogger(__name__)


def issue_key(
    path: Path, namespaces: Sequence[str], scope: str, now: datetime, label: str | None = None
) -> tuple[Key, str]:
    """Adds a new key to the file, and returns it with its secret, which is kept nowhere.

    Raises:
        InputError: a namespace, the scope or the label is not allowed.
        StoreError: the file cannot be used.
    """
    made = secrets.token_hex(ID_BYTES)
    secret = f"{KEY_PREFIX}{made}_{secrets.token_urlsafe(SECRET_BYTES)}"
    asked = {
        "id": made,
        "scope": scope,
        "namespaces": tuple(dict.fromkeys(namespaces)),
        "created_at": now.astimezone(UTC),
        "sha256": digest_secret(secret),
        "label": (label or "").strip() or None,
    }
    try:
        key = _KEY.validate_python(asked)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        said = f"The key's {first['loc'][0]} cannot be {first['input']!r:.80}: {first['msg']}"
        raise InputError(f"{said}. 'keys issue --help' says what each is") from None
    with change_keys(path) as keys:
        keys.append(key)
    return key, secret


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
    """Finds keys by their secrets, always as the file now is: it is read for each secret.

    If the file cannot be used, no key is accepted and the log says why, once for each reason.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._complaint: str | None = None

    def find(self, secret: str) -> Key | None:
        """The key of a secret; None if there is none. Never raises, whatever the text."""
        begin = len(KEY_PREFIX)
        named = secret[begin : begin + 2 * ID_BYTES]
        key = next((key for key in self._read() if key.id == named), None)
        kept = DUMMY_SHA256 if key is None else key.sha256
        return key if hmac.compare_digest(kept, digest_secret(secret)) else None

    def _read(self) -> Sequence[Key]:
        try:
            keys, complaint = read_keys(self._path), None
        except StoreError as error:
            keys, complaint = (), str(error)
        if complaint and complaint != self._complaint:
            _log.error("No key is accepted. %s", complaint)
        self._complaint = complaint
        return keys
