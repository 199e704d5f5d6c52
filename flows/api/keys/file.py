"""The file of API keys: it has digests but no secrets, has mode 600, and is replaced atomically under a lock."""

import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from filelock import FileLock, Timeout
from pydantic import TypeAdapter, ValidationError

from engine.errors import InputError, StoreError
from engine.settings import Settings
from flows.api.keys.key import Key

OWNER_ONLY = 0o600
LOCK_TIMEOUT_SECONDS = 30.0


_FILE = TypeAdapter(dict[Literal["keys"], tuple[Key, ...]])


def locate_keys(settings: Settings) -> Path:
    """The path of the file of keys.

    Raises:
        InputError: the setting is not a path on a local disk.
    """
    place = settings.locate(settings.keys_file)
    if "://" in place:
        raise InputError(f"EXEMPLARS_KEYS_FILE is {place!r}: keys are kept on a local disk. Give the path of a file")
    return Path(place)


def read_keys(path: Path) -> tuple[Key, ...]:
    """The keys of a file in the order in which they were issued; none if there is no file.

    Raises:
        StoreError: the file cannot be read, others than its owner may read it, or its content is malformed. The message
            quotes nothing of the content.
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
        place = ".".join(str(part) for part in first["loc"])
        raise StoreError(
            f"{path} is not a file of keys ({place or 'content'}: {first['msg']}), so no key is trusted. "
            "Restore it from a copy, or move it away and issue new keys"
        ) from None


@contextmanager
def change_keys(path: Path, timeout_seconds: float = LOCK_TIMEOUT_SECONDS) -> Iterator[list[Key]]:
    """Yields the keys as a list under the file's lock, and writes the list when the block ends.

    Args:
        timeout_seconds: how long to wait for another writer.

    Raises:
        StoreError: as ``read_keys``, or the file cannot be written. The file is then unchanged.
    """
    # If the path is a symbolic link, its target is replaced and not the link.
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
    """Replaces the file by a rename; the new file has mode 600 from the start."""
    made = path.with_name(f"{path.name}.new")
    # Only the holder of the lock writes this file: one that exists was left by a process that died.
    made.unlink(missing_ok=True)
    with open(made, "xb", opener=lambda name, flags: os.open(name, flags, OWNER_ONLY)) as stream:
        stream.write(_FILE.dump_json({"keys": tuple(keys)}, indent=2) + b"\n")
        stream.flush()
        os.fsync(stream.fileno())
    made.replace(path)


def _explain(path: Path, error: OSError) -> StoreError:
    return StoreError(
        f"The keys in {path} cannot be used: {error.strerror or error}. "
        "Free space or permit reading and writing, or point EXEMPLARS_KEYS_FILE elsewhere"
    )
