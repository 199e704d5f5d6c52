"""Makes a file or folder that is there whole or not at all: it is written beside its place and then renamed."""

import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
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
        kind = "file" if self.entries is None else "folder"
        why = None
        if not self.place.name or not self.place.parent.is_dir():
            why = f"{self.place} is no place for an export: there is no folder to write to"
        elif os.path.lexists(self.place):
            is_folder = self.place.is_dir() and not self.place.is_symlink()
            if not self.force:
                why = f"{self.place} exists, and an earlier export is replaced with --force only"
            elif is_folder == (self.entries is None):
                why = f"{self.place} is no {kind}, and what this format makes is one"
            elif other := self._find_other():
                why = f"{self.place} holds {other}, which no export of this format wrote, so it is not replaced"
        if why is not None:
            raise InputError(f"{why}. Give a new {kind} as {self.option}")

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
            if self.entries is None:
                part.unlink(missing_ok=True)
            else:
                shutil.rmtree(part, ignore_errors=True)
