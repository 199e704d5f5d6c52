"""Imports go without a look for garbage."""

import gc
import importlib

import pytest

from engine.system.importing import importing


def test_collecting_goes_on_after_an_import_that_fails() -> None:
    def import_none() -> None:
        with importing():
            found.append(gc.isenabled())
            importlib.import_module("no_such_package")

    found: list[bool] = []
    with pytest.raises(ImportError):
        import_none()

    assert [False, True] == [*found, gc.isenabled()]
