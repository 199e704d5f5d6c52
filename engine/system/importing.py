"""Imports large packages in less time."""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager


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
