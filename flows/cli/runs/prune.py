"""The work of ``exemplars prune``: removes what is old or, with ``--dry-run``, only lists it."""

import json
import sys
from dataclasses import asdict
from datetime import UTC, datetime

from engine.errors import StoreError
from engine.settings import Settings
from flows.retention.pruning import prune_all


def prune_now(settings: Settings, rejected_days: int, dry_run: bool, as_json: bool) -> None:
    """Prunes in this process; prints a line for each thing as it is removed, and the totals at the end.

    Raises:
        StoreError: something could not be removed.
    """
    where = sys.stderr if as_json else sys.stdout
    now = datetime.now(UTC)
    pruned = prune_all(settings, rejected_days, now, dry_run, lambda line: print(line, file=where, flush=True))
    print(json.dumps(asdict(pruned)) if as_json else pruned.describe())
    if pruned.failed:
        raise StoreError("Some things could not be removed. Run it again to retry.\n" + "\n".join(pruned.failed))
