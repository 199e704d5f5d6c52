"""Prunes the kept replies and hashes that are too old or too many; each run does so at its end."""

import logging
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from engine.errors import StoreError
from engine.llm.replies.admin import prune_cache
from engine.settings import Settings
from engine.store.earlier.hashes import prune_hashes
from engine.text.formatting import count_noun

Log = logging.Logger | logging.LoggerAdapter[Any]


def prune_replies(settings: Settings, plan_ids: Sequence[str], now: datetime, logger: Log) -> None:
    """Drops the kept replies that are too old or too many, sparing those of these plans, which may be the oldest.

    The hashes of sets that lie beside them go by the same age. Whatever goes wrong with that is logged as a warning.
    """
    days, gb = settings.cache_max_days, settings.cache_max_gb
    prune_hashes(settings.cache_place, days, now)
    try:
        pruned = prune_cache(settings.replies_place, days, gb, now, but_for=plan_ids)
    except StoreError as error:
        logger.warning("%s", error)
        return
    if pruned.plans:
        said = "Dropped the kept replies of %s (%.1f MB), unused for %g days or more than %g GB together"
        logger.info(said, count_noun(pruned.plans, "plan"), pruned.bytes / 1e6, days, gb)
