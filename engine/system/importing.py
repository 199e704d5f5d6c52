"""Imports large packages in less time."""

import gc
import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any


@contextmanager
def importing() -> Iterator[None]:
    """Has the block import without a look for garbage, which imports make hardly any of.

    Python looks through all objects each time their number has grown by a quarter: a sixth of the time in which
    Prefect, litellm or Great Expectations is imported. Where something was imported, all that is there at the end
    stays, and is never looked through again.
    """
    collects, before = gc.isenabled(), len(sys.modules)
    gc.disable()
    try:
        yield
    finally:
        if len(sys.modules) > before:
            gc.freeze()
        if collects:
            gc.enable()


@contextmanager
def importing_when_used(*names: str) -> Iterator[None]:
    """Has modules that are imported in the block be loaded when something of them is used, which may be never.

    Meanwhile no other thread may import: it would get the stand-ins. ``importlib.util.LazyLoader`` loads modules at the
    second ``import``, which reads their ``__spec__``.
    """
    later = {name: _Later(name) for name in names if name not in sys.modules}
    sys.modules.update(later)
    try:
        yield
    finally:
        for module in later.values():
            module.leave()


class _Later(ModuleType):
    """Stands for the module of its name."""

    def leave(self) -> None:
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]

    def __getattr__(self, name: str) -> Any:
        self.leave()
        return getattr(importlib.import_module(self.__name__), name)
