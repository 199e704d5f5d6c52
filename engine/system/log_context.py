"""Context for log lines: fields such as run and cell, set where a step begins and read where a line is written.

Each asyncio task has its own fields, and so has each thread that runs in a copy of its caller's context. Runs that
share a process therefore do not see each other's.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType

_FIELDS: ContextVar[Mapping[str, object]] = ContextVar("exemplars.log_context", default=MappingProxyType({}))


@contextmanager
def log_context(**fields: object) -> Iterator[None]:
    """Adds fields to every log line that is written inside the block, or by tasks and threads started in it."""
    token = _FIELDS.set({**_FIELDS.get(), **fields})
    try:
        yield
    finally:
        _FIELDS.reset(token)


def add_log_context(**fields: object) -> None:
    """Adds fields to the log lines of this task until its innermost ``log_context`` block ends."""
    _FIELDS.set({**_FIELDS.get(), **fields})


def read_log_context() -> Mapping[str, object]:
    """The fields that a log line written now would carry."""
    return _FIELDS.get()
