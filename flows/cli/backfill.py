"""What ``exemplars backfill`` prints: a line for each model as it ends, and the counts of models by state."""

import json
import logging
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from flows.backfills.worker import MODELS_LOGGER


def show_counts(counts: Mapping[str, int], as_json: bool) -> None:
    """Prints how many models are in each state."""
    print(json.dumps(dict(counts)) if as_json else ", ".join(f"{count} {state}" for state, count in counts.items()))


@contextmanager
def show_models() -> Iterator[None]:
    """Prints a line on stderr for each model that ends inside the block."""
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
