"""Imports large packages in less time."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def importing() -> Iterator[None]:
    """Has the block import without a look for garbage, which imports make hardly any of.

    Python looks through all objects each time their number has grown by a quarter: a sixth of the time in which
    Prefect, litellm or Great Expectations is imported. What is there at the end stays, and is never looked through
    again.
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if collects:
            gc.enable()
