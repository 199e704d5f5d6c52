"""A module that is left for later is loaded at its first use, as if it had been imported there."""

import importlib
import sys
from pathlib import Path

import pytest

from engine.system.importing import importing_when_used


def test_module_is_loaded_when_something_of_it_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "heavy_one.py").write_text("from heavy_two import TWO\nONE = TWO - 1\n")
    (tmp_path / "heavy_two.py").write_text("TWO = 2\n")
    monkeypatch.syspath_prepend(tmp_path)
    with importing_when_used("heavy_one", "heavy_two"):
        one, two = (importlib.import_module(name) for name in ("heavy_one", "heavy_two"))
        two_inside = two.TWO
    before = "heavy_one" in sys.modules
    found = one.ONE, importlib.import_module("heavy_one").ONE

    assert (2, False, (1, 1)) == (two_inside, before, found)
    with pytest.raises(AttributeError):
        _ = one.THREE
