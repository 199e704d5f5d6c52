"""Import large packages in less time."""

import gc
import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any


@contextmanager
def importing() -> Iterator[None]:
    """Turn off garbage collection while the block imports; imports make hardly any garbage.

    Python scans all objects each time their number has grown by a quarter. That is a sixth of the time to import
    Prefect, litellm or Great Expectations. If the block imported something, all objects at its end are frozen: they are
    kept, and never scanned again.
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
    """Delay the loading of modules that the block imports until an attribute of them is used, which may be never.

    No other thread may import during the block: it would get the placeholders. ``importlib.util.LazyLoader`` is no
    alternative: it loads a module at the second ``import``, which reads its ``__spec__``.
    """
    later = {name: _Later(name) for name in names if name not in sys.modules}
    sys.modules.update(later)
    try:
        yield
    finally:
        for module in later.values():
            module.leave()


class _Later(ModuleType):
    """A placeholder for the module of its name."""

    def leave(self) -> None:
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]

    def __getattr__(self, name: str) -> Any:
        self.leave()
        return getattr(importlib.import_module(self.__name__), name)
