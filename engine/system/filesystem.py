"""Open, list, read and write files by URI: a local path, or ``s3://`` and ``gs://`` through ``pyarrow.fs``.

An export goes to a ``Target``: a file or folder that is written completely or not at all.
"""

import fcntl
import os
import re
import secrets
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
from pyarrow import fs

from engine.errors import InputError, StoreError


class OutsideFolderError(Exception):
    """A path leads through a symbolic link out of its folder."""


# Prefix of a file's name while it is written. A process that is killed while writing leaves such a file.
PART = ".part-"
WHOLE_BYTES = 16 * 1024 * 1024


def open_folder(uri: str) -> tuple[fs.FileSystem, str]:
    """Return the file system of a URI and the path inside it.

    The address of an S3 server comes from ``AWS_ENDPOINT_URL``, or from a query in the URI
    (``s3://bucket/samples?endpoint_override=host:port&scheme=http``); further folders may be joined after the query.

    Raises:
        StoreError: the scheme is unknown or not supported by this build of Arrow, or the URI contains a key.
    """
    if "://" not in uri:
        return fs.LocalFileSystem(), str(Path(uri))
    if "@" in uri.partition("://")[2].partition("/")[0]:
        raise StoreError(
            f"{uri.partition('://')[0]}://… contains a key, which would be shown wherever the address is shown. Set "
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY instead"
        )
    try:
        filesystem, path = fs.FileSystem.from_uri(_move_query(uri))
    except (pa.ArrowException, OSError, ValueError) as error:
        raise StoreError(f"{uri} cannot be opened: {error}. Give a local folder, s3://… or gs://…") from error
    return filesystem, path


def read_inside(folder_uri: str, path: str) -> bytes:
    """Return the whole content of a file inside a folder.

    Raises:
        OutsideFolderError, FileNotFoundError: as ``locate_inside``.
        StoreError: the file exists but cannot be read.
    """
    return read_bytes(locate_inside(folder_uri, path))


def locate_inside(folder_uri: str, path: str, or_folder: bool = False) -> str:
    """Return the path or URI of a file inside a folder. A link that leads out of the folder is refused.

    Args:
        or_folder: accept a folder, too.

    Raises:
        OutsideFolderError: the path resolves to a place outside the folder.
        FileNotFoundError: there is no such file, or it is a folder. An object store reports this only on opening.
    """
    if "://" not in folder_uri:
        try:
            folder, file = Path(folder_uri).resolve(), (Path(folder_uri) / path).resolve()
        except RuntimeError:
            # The links form a circle.
            raise OutsideFolderError(path) from None
        if not file.is_relative_to(folder):
            raise OutsideFolderError(path)
        if not file.is_file() and not (or_folder and file.is_dir()):
            raise FileNotFoundError(path)
    return f"{folder_uri}/{path}"


def list_folders(uri: str) -> list[str]:
    """Return the sorted names of the folders directly below a URI; empty if the URI does not exist."""
    infos = list_below(*open_folder(uri))
    return sorted(info.base_name for info in infos if info.type == fs.FileType.Directory)


def list_below(filesystem: fs.FileSystem, path: str, recursive: bool = False) -> list[fs.FileInfo]:
    """Return the files and folders below a path; empty if the path does not exist.

    Raises:
        OSError, pa.ArrowException: the folder cannot be listed.
    """
    selector = fs.FileSelector(path, allow_not_found=True, recursive=recursive)
    try:
        infos: list[fs.FileInfo] = filesystem.get_file_info(selector)
    except FileNotFoundError:
        # A race inside Arrow: the folder was created between its failed listing and its check whether it exists.
        infos = filesystem.get_file_info(selector)
    return infos


def find_files(uri: str, paths: Sequence[str]) -> list[str]:
    """Return the paths below a URI that are files, in the order given.

    Raises:
        StoreError: the folder cannot be read.
    """
    filesystem, folder = open_folder(uri)
    try:
        infos = filesystem.get_file_info([f"{folder}/{path}" for path in paths])
    except (OSError, pa.ArrowException) as error:
        raise StoreError(f"{uri} cannot be read: {error}") from error
    return [path for path, info in zip(paths, infos, strict=True) if info.type == fs.FileType.File]


def read_bytes(uri: str) -> bytes:
    """Return the whole content of one file.

    Raises:
        FileNotFoundError: there is no such file.
        StoreError: the file exists but cannot be read.
    """
    filesystem, path = open_folder(uri)
    try:
        with filesystem.open_input_file(path) as stream:
            return bytes(stream.read())
    except (FileNotFoundError, NotADirectoryError) as error:
        raise FileNotFoundError(uri) from error
    except (pa.ArrowException, OSError) as error:
        raise StoreError(f"{uri} cannot be read: {error}") from error


def open_whole(uri: str) -> pa.NativeFile:
    """Open a file. A small file is read at once: otherwise each column of each row group would be one request.

    Raises:
        OSError, pa.ArrowException: the file cannot be opened.
    """
    filesystem, path = open_folder(uri)
    source = filesystem.open_input_file(path)
    if source.size() > WHOLE_BYTES:
        return source
    with source:
        return pa.BufferReader(source.read_buffer())


def replace_file(uri: str, content: bytes) -> None:
    """Write a file, replacing an existing one. A reader sees the old content or the new, never a part of either.

    Raises:
        StoreError: the file cannot be written.
    """
    try:
        write_whole(uri, content)
    except (pa.ArrowException, OSError) as error:
        raise StoreError(f"{uri} cannot be written: {error}. Free space or permit writing") from error


def write_whole(uri: str, content: bytes) -> None:
    """Write one file so that no reader sees a part of it. On a local disk it is also synced against power loss.

    Raises:
        OSError, pa.ArrowException: the file cannot be written.
    """
    filesystem, path = open_folder(uri)
    if not isinstance(filesystem, fs.LocalFileSystem):
        # By default Arrow compresses files with a name that ends in .zst, but this content is already compressed.
        with filesystem.open_output_stream(path, compression=None) as stream:
            stream.write(content)
        return
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f"{PART}{target.name}.{secrets.token_hex(4)}")
    try:
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(target)
        sync(target.parent)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def delete_file(uri: str) -> None:
    """Delete a file, if it exists.

    Raises:
        OSError, pa.ArrowException: it cannot be deleted.
    """
    filesystem, path = open_folder(uri)
    with suppress(FileNotFoundError):
        filesystem.delete_file(path)


def is_part(path: str) -> bool:
    """Return whether a file was left by ``write_whole`` in a process that was killed."""
    return path.rpartition("/")[2].startswith(PART)


def sync(path: Path) -> None:
    """Sync a file or a folder to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def lock_folder(filesystem: fs.FileSystem, path: str) -> Iterator[None]:
    """Lock a folder on a local disk for one writer.

    Object stores have no locks, and some disks have none (NFS does not lock folders): there only the model's lease
    keeps two writers apart.
    """
    if not isinstance(filesystem, fs.LocalFileSystem):
        yield
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@dataclass(frozen=True, slots=True)
class Target:
    """The file or folder that an export writes.

    ``entries`` is the pattern of the paths in a folder that an export writes; None if it writes a single file.
    ``force`` replaces an earlier export: a file, or a folder with nothing else in it. ``option`` is the command's
    option for the place, for messages.
    """

    place: Path
    entries: re.Pattern[str] | None
    force: bool
    option: str = "--to"

    def check(self) -> None:
        """Check the place before anything is read.

        Raises:
            InputError: something there must not be replaced, or there is no folder to write to.
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
                why = f"{self.place} is no {kind}, and this format writes a {kind}"
            elif other := self._find_other():
                why = f"{self.place} holds {other}, which no export of this format wrote, so it is not replaced"
        if why is not None:
            raise InputError(f"{why}. Give a new {kind} as {self.option}")

    def _find_other(self) -> str | None:
        """Return a path in the folder that no export of this format wrote; None if there is none."""
        if self.entries is None:
            return None
        names = (path.relative_to(self.place).as_posix() for path in sorted(self.place.rglob("*")))
        return next((name for name in names if not self.entries.fullmatch(name)), None)

    @contextmanager
    def making(self) -> Iterator[Path]:
        """Yield a temporary path to write to: an empty folder, or a file yet to create. Its content then moves to the
        place. If the block fails, nothing is left.

        Raises:
            InputError: as ``check``. StoreError: the place cannot be written.
        """
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
            reason = getattr(error, "strerror", None) or str(error)
            raise StoreError(
                f"{self.place} cannot be written: {reason}. Free space or permit writing there, or give another "
                f"{self.option}. Nothing was left there"
            ) from error
        finally:
            if self.entries is None:
                part.unlink(missing_ok=True)
            else:
                shutil.rmtree(part, ignore_errors=True)


def _move_query(uri: str) -> str:
    """Return a URI with its query at the end, and with ``allow_delayed_open`` for S3 unless the query has it.

    Without that option Arrow uploads even a small file in parts instead of in one request.
    """
    begin, _, rest = uri.partition("?")
    query, slash, path = rest.partition("/")
    if uri.startswith("s3://") and "allow_delayed_open" not in query:
        query = "&".join(part for part in (query, "allow_delayed_open=true") if part)
    return f"{begin}{slash}{path}" + (f"?{query}" if query else "")
