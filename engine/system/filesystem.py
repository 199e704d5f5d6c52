"""Folders by URI: a local path, or ``s3://`` and ``gs://`` through ``pyarrow.fs``."""

import errno
import os
import secrets
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
from pyarrow import fs

from engine.errors import StoreError


class OutsideFolderError(Exception):
    """A path that leads out of the folder that it is said to lie in, by a link."""


def open_folder(uri: str) -> tuple[fs.FileSystem, str]:
    """The file system of a URI and the path inside it.

    Where an S3 server stands is said by ``AWS_ENDPOINT_URL``, or by a query behind the bucket's own folder
    (``s3://bucket/samples?endpoint_override=host:port&scheme=http``), whatever is joined to that.

    Raises:
        StoreError: an unknown scheme, or a scheme whose support is missing; or it holds a key.
    """
    if "://" not in uri:
        return fs.LocalFileSystem(), str(Path(uri))
    if "@" in uri.partition("://")[2].partition("/")[0]:
        raise StoreError(
            f"{uri.partition('://')[0]}://… holds a key, which would be seen wherever the address is. Set "
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY instead"
        )
    try:
        filesystem, path = fs.FileSystem.from_uri(_move_query(uri))
    except (pa.ArrowException, OSError, ValueError) as error:
        raise StoreError(f"{uri} cannot be opened: {error}. Give a local folder, s3://… or gs://…") from error
    return filesystem, path


def read_inside(folder_uri: str, path: str) -> bytes:
    """The whole content of a file of a folder.

    Raises:
        OutsideFolderError, FileNotFoundError: as ``locate_inside``.
        StoreError: it is there and cannot be read.
    """
    return read_bytes(locate_inside(folder_uri, path))


def locate_inside(folder_uri: str, path: str) -> str:
    """The path or URI of a file of a folder; a link that leads out of it is not followed.

    Raises:
        OutsideFolderError: the file lies elsewhere.
        FileNotFoundError: no such file, or a folder; at an object store not before it is opened.
    """
    if "://" not in folder_uri:
        try:
            folder, file = Path(folder_uri).resolve(), (Path(folder_uri) / path).resolve()
        except RuntimeError:
            # Links that lead in a circle.
            raise OutsideFolderError(path) from None
        if not file.is_relative_to(folder):
            raise OutsideFolderError(path)
        if not file.is_file():
            raise FileNotFoundError(path)
    return f"{folder_uri}/{path}"


def list_folders(uri: str) -> list[str]:
    """The names of the folders directly below a URI, sorted; none where the folder is missing."""
    infos = list_below(*open_folder(uri))
    return sorted(info.base_name for info in infos if info.type == fs.FileType.Directory)


def list_below(filesystem: fs.FileSystem, path: str, recursive: bool = False) -> list[fs.FileInfo]:
    """What lies below a path; nothing where there is no such folder.

    Raises:
        OSError, pa.ArrowException: it cannot be listed.
    """
    selector = fs.FileSelector(path, allow_not_found=True, recursive=recursive)
    try:
        infos: list[fs.FileInfo] = filesystem.get_file_info(selector)
    except FileNotFoundError:
        # Somebody made it after Arrow had not found it, and before Arrow asked whether it is there.
        infos = filesystem.get_file_info(selector)
    return infos


def list_having(uri: str, names: Sequence[str], file: str) -> list[str]:
    """Those of some folders directly below a URI that hold a file of that name, in order."""
    filesystem, path = open_folder(uri)
    infos = filesystem.get_file_info([f"{path}/{name}/{file}" for name in names])
    return [name for name, info in zip(names, infos, strict=True) if info.type == fs.FileType.File]


def ask_writable(folder: Path) -> None:
    """Asks whether files may be written in a folder that need not be there yet, and leaves the disk as it is.

    Raises:
        OSError: the folder, or the nearest above it that is there, is none or takes no files.
    """
    nearest = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    if not nearest.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


def read_bytes(uri: str) -> bytes:
    """The whole content of one file.

    Raises:
        FileNotFoundError: no such file.
        StoreError: it is there and cannot be read.
    """
    filesystem, path = open_folder(uri)
    try:
        with filesystem.open_input_file(path) as stream:
            return bytes(stream.read())
    except (FileNotFoundError, NotADirectoryError) as error:
        raise FileNotFoundError(uri) from error
    except (pa.ArrowException, OSError) as error:
        raise StoreError(f"{uri} cannot be read: {error}") from error


def replace_file(uri: str, content: bytes) -> None:
    """Puts a file in the place of the one that is there, so that a reader meets one or the other, whole.

    Raises:
        StoreError: it cannot be written.
    """
    try:
        write_whole(*open_folder(uri), content)
    except (pa.ArrowException, OSError) as error:
        raise StoreError(f"{uri} cannot be written: {error}. Free space or permit writing") from error


def write_whole(filesystem: fs.FileSystem, path: str, content: bytes) -> None:
    """Writes one file so that it is never seen in part; on a local disk it outlives the loss of power.

    Raises:
        OSError, pa.ArrowException: it cannot be written.
    """
    if not isinstance(filesystem, fs.LocalFileSystem):
        # Else Arrow packs, once more, what ends with .zst.
        with filesystem.open_output_stream(path, compression=None) as stream:
            stream.write(content)
        return
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    try:
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(target)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _move_query(uri: str) -> str:
    """The URI with its query at its end; a small file goes to S3 in one request and not in parts, if not said else."""
    begin, _, rest = uri.partition("?")
    query, slash, path = rest.partition("/")
    if uri.startswith("s3://") and "allow_delayed_open" not in query:
        query = "&".join(part for part in (query, "allow_delayed_open=true") if part)
    return f"{begin}{slash}{path}" + (f"?{query}" if query else "")
