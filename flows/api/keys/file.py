"""The file of keys: digests and no secrets, for its owner's eyes only, replaced whole by one writer at a time."""

import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout
from pydantic import ConfigDict, TypeAdapter, ValidationError

from engine.errors import InputError, StoreError
from engine.settings import Settings
from flows.api.keys.key import Key

OWNER_ONLY = 0o600
LOCK_TIMEOUT_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class _Content:
    __pydantic_config__ = ConfigDict(extra="forbid")

    keys: tuple[Key, ...]


_FILE = TypeAdapter(_Content)


def locate_keys(settings: Settings) -> Path:
    """Where the keys are.

    Raises:
        InputError: not on a local disk.
    """
    place = settings.locate(settings.keys_file)
    if "://" in place:
        raise InputError(f"EXEMPLARS_KEYS_FILE is {place!r}: keys are kept on a local disk. Give the path of a file")
    return Path(place)


def read_keys(path: Path) -> tuple[Key, ...]:
    """The keys of a file in the order in which they were issued; none where there is no file.

    Raises:
        StoreError: it cannot be read, others may read it, or it is not as the commands write it. The message has
            nothing of the content.
    """
    try:
        content = _read_private(path)
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise _explain(path, error) from error
    try:
        keys = _FILE.validate_json(content).keys
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise _refuse(path, f"{place}: {first['msg']}" if place else first["msg"]) from None
    if len({key.id for key in keys}) < len(keys):
        raise _refuse(path, "two keys have one id")
    return keys


@contextmanager
def change_keys(path: Path, timeout_seconds: float = LOCK_TIMEOUT_SECONDS) -> Iterator[list[Key]]:
    """The keys as a list: as the block leaves it, so it is written, while other writers wait.

    Args:
        timeout_seconds: How long to wait for another writer.

    Raises:
        StoreError: as ``read_keys``, or the file cannot be written. Then it is as it was.
    """
    # Where the path is a link, what it leads to is replaced, and not the link.
    real = Path(os.path.realpath(path))
    try:
        real.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{real}.lock", timeout=timeout_seconds, mode=OWNER_ONLY):
            keys = list(read_keys(real))
            yield keys
            _replace(real, keys)
    except Timeout:
        raise StoreError(
            f"{path} has been held by another command for {timeout_seconds:g} s. "
            "Nothing was changed: try again when that command has ended"
        ) from None
    except OSError as error:
        raise _explain(path, error) from error


def _read_private(path: Path) -> bytes:
    """The content, once the open file is known to be a regular one that nobody but its owner may read."""
    # Without waiting: a pipe in its place must not hold the door up.
    with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as stream:
        mode = os.fstat(stream.fileno()).st_mode
        if not stat.S_ISREG(mode):
            raise _refuse(path, "it is no regular file")
        if mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise StoreError(
                f"{path} is open to others than its owner (mode {stat.S_IMODE(mode):o}), so no key in it is "
                f"trusted. Close it with 'chmod 600 {path}', then see with 'keys list' that the keys are yours"
            )
        return stream.read()


def _replace(path: Path, keys: Sequence[Key]) -> None:
    """One rename; the new file has its mode from its first byte on."""
    made = path.with_name(f"{path.name}.new")
    # Only the holder of the lock writes here: what stands there was left by one that died.
    made.unlink(missing_ok=True)
    try:
        with open(made, "xb", opener=lambda name, flags: os.open(name, flags, OWNER_ONLY)) as stream:
            stream.write(_FILE.dump_json(_Content(tuple(keys)), indent=2) + b"\n")
            stream.flush()
            os.fsync(stream.fileno())
        made.replace(path)
    finally:
        made.unlink(missing_ok=True)
    # Else a machine that fails now may come back with a revoked key in force.
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _refuse(path: Path, reason: str) -> StoreError:
    return StoreError(
        f"{path} is not a file of keys ({reason}), so no key is trusted. "
        "Put a good copy in its place, or move it away and issue the keys anew"
    )


def _explain(path: Path, error: OSError) -> StoreError:
    return StoreError(
        f"The keys in {path} cannot be used: {error.strerror or error}. "
        "Free space or permit reading and writing, or point EXEMPLARS_KEYS_FILE elsewhere"
    )
