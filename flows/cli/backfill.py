"""The command ``exemplars backfill``: runs a backfill in this process and says a line for each model as it ends."""

import json
import logging
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from flows.backfills.worker import MODELS_LOGGER


def show_counts(counts: Mapping[str, int], as_json: bool) -> None:
    """What came of it, where nothing is left to do."""
    print(json.dumps(dict(counts)) if as_json else ", ".join(f"{count} {state}" for state, count in counts.items()))


@contextmanager
def show_models() -> Iterator[None]:
    """Inside the block each model that ends is a line on stderr."""
    logger = logging.getLogger(MODELS_LOGGER)
    handler = logging.StreamHandler(sys.stderr)
    before: Any = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.level, logger.propagate = before
