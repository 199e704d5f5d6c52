"""Elsewhere: the project as a wheel, as on another machine."""

import subprocess
import sys
import zipfile
from pathlib import Path

from fakes.workspace import ROOT


def build_wheel(folder: Path) -> Path:
    """The project's wheel, unpacked: what Python finds the code in."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    [wheel] = folder.glob("*.whl")
    unpacked = folder / "unpacked"
    zipfile.ZipFile(wheel).extractall(unpacked)
    return unpacked
