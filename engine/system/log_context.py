"""About: what a log line is about, be it a run or a cell: set where a step begins, read where a line is written.

Each asyncio task, and each thread that is given a copy of its caller's context, has fields of its own: runs that share
a process do not see one another's.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType

_FIELDS: ContextVar[Mapping[str, object]] = ContextVar("exemplars.about", default=MappingProxyType({}))


@contextmanager
def about(**fields: object) -> Iterator[None]:
    """Inside the block, and in what it starts, lines are about this as well."""
    token = _FIELDS.set({**_FIELDS.get(), **fields})
    try:
        yield
    finally:
        _FIELDS.reset(token)


def note(**fields: object) -> None:
    """Lines are about this as well, until the innermost ``about`` of this task ends."""
    _FIELDS.set({**_FIELDS.get(), **fields})


def read_about() -> Mapping[str, object]:
    """All that a line written here and now is about."""
    return _FIELDS.get()
