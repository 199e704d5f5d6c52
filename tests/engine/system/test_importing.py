"""Imports go without a look for garbage, and what is garbage later is found."""

import gc
import importlib
import sys
import types
import weakref

import pytest

from engine.system.importing import importing


class Frame:
    """Something that lies in a circle."""

    def __init__(self) -> None:
        self.itself = self


def test_collecting_goes_on_after_an_import_that_fails() -> None:
    def import_none() -> None:
        with importing():
            found.append(gc.isenabled())
            importlib.import_module("no_such_package")

    found: list[bool] = []
    with pytest.raises(ImportError):
        import_none()

    assert [False, True] == [*found, gc.isenabled()]


def test_block_that_imports_nothing_keeps_no_garbage(monkeypatch: pytest.MonkeyPatch) -> None:
    with importing():
        monkeypatch.setitem(sys.modules, "something_new", types.ModuleType("something_new"))
    frame = weakref.ref(Frame())
    with importing():
        pass
    gc.collect()

    assert frame() is None
