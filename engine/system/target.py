"""Makes a file or folder that is there whole or not at all: it is written beside its place and then renamed."""

import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from engine.errors import InputError, StoreError


@dataclass(frozen=True, slots=True)
class Target:
    """Where an export goes.

    ``entries`` is the pattern of the paths in a folder that an export writes, None if it writes a single file.
    ``force`` replaces what an earlier export has left: a file, or a folder with nothing else in it. ``option`` is what
    the place is given as, for messages.
    """

    place: Path
    entries: re.Pattern[str] | None
    force: bool
    option: str = "--to"

    def check(self) -> None:
        """Checks the place before anything is read.

        Raises:
            InputError: something is there that is not to be replaced, or there is no folder to write to.
        """
        try:
            self._check()
        except (OSError, ValueError) as error:
            said = getattr(error, "strerror", None) or str(error)
            raise InputError(f"{self.place} is no place for an export: {said}. Give another {self.option}") from error

    def _check(self) -> None:
        kind = "file" if self.entries is None else "folder"
        if not self.place.name:
            raise InputError(f"{self.place} is no place for an export. Give a new {kind} as {self.option}")
        if not self.place.parent.is_dir():
            raise InputError(
                f"There is no folder {self.place.parent} to write to. Make it, or give another {self.option}"
            )
        if not (self.place.exists() or self.place.is_symlink()):
            return
        if not self.force:
            raise InputError(f"{self.place} exists. Give a new {kind} as {self.option}, or replace it with --force")
        is_kind = self.place.is_file() if self.entries is None else self.place.is_dir() and not self.place.is_symlink()
        if not is_kind:
            raise InputError(
                f"{self.place} is no {kind}, and what this format makes is one. Give a new {kind} as {self.option}"
            )
        if other := self._find_other():
            raise InputError(
                f"{self.place} holds {other}, which no export of this format wrote, so it is not replaced. Give a new "
                f"{kind} as {self.option}"
            )

    def _find_other(self) -> str | None:
        """What lies in the folder at the place that no export of this format wrote; None if nothing does."""
        if self.entries is None:
            return None
        names = (path.relative_to(self.place).as_posix() for path in sorted(self.place.rglob("*")))
        return next((name for name in names if not self.entries.fullmatch(name)), None)

    @contextmanager
    def making(self) -> Iterator[Path]:
        """Gives the place to write to, an empty folder or no file as yet; what stands there is then moved to its place.

        Whatever ends the block early, nothing is left.

        Raises:
            InputError: as ``check``. StoreError: it cannot be written.
        """
        self.check()
        part = self.place.with_name(f".export-{secrets.token_hex(4)}")
        try:
            if self.entries is not None:
                part.mkdir()
            yield part
            self.check()
            if part.is_dir() and self.place.exists():
                # A folder cannot replace another one in one move.
                shutil.rmtree(self.place)
            part.rename(self.place)
        except (OSError, pa.ArrowException) as error:
            said = getattr(error, "strerror", None) or str(error)
            raise StoreError(
                f"{self.place} cannot be written: {said}. Free space or permit writing there, or give another "
                f"{self.option}. Nothing of it was left"
            ) from error
        finally:
            _delete(part)


def _delete(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()
