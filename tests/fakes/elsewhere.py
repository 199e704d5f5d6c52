"""Elsewhere: a worker as on another machine, in an empty folder, with a home of its own and the project as a wheel."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

from fakes.site import POOL, Site
from fakes.workspace import ROOT

WRITTEN = ("EXEMPLARS_SAMPLES_URI", "EXEMPLARS_CACHE_DIR")


def build_wheel(folder: Path) -> Path:
    """The project's wheel, unpacked: what Python finds the code in."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    [wheel] = folder.glob("*.whl")
    unpacked = folder / "unpacked"
    zipfile.ZipFile(wheel).extractall(unpacked)
    return unpacked


def start_worker_elsewhere(site: Site, machine: Path, code: Path, *arguments: str) -> Path:
    """Starts a worker that shares nothing with the site but its Prefect server and its provider; its home."""
    home, empty = machine / "home", machine / "empty"
    home.mkdir(parents=True)
    empty.mkdir()
    # Where it writes is its own affair.
    environment = {name: text for name, text in site.variables.items() if name not in WRITTEN}
    own = {"HOME": str(home), "PREFECT_HOME": str(home / "prefect"), "PYTHONPATH": str(code)}
    with (machine / "worker.log").open("ab") as log:
        site.processes[machine.name] = subprocess.Popen(
            [sys.executable, "-m", "prefect", "worker", "start", "--pool", POOL, *arguments],
            cwd=empty,
            env={**environment, **own},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    assert not any(os.scandir(empty))
    return home
