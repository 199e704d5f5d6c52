"""The command ``exemplars prune``: what is old goes, or with ``--dry-run`` is only named."""

import json
import sys
from dataclasses import asdict
from datetime import UTC, datetime

from engine.errors import StoreError
from engine.settings import Settings
from flows.retention.pruning import Ages, prune_all


def prune_now(settings: Settings, ages: Ages, dry_run: bool, as_json: bool) -> None:
    """Prunes in this process, with a line for each thing that goes as it goes, and the sums at the end.

    Raises:
        StoreError: not all could be done.
    """
    where = sys.stderr if as_json else sys.stdout
    pruned = prune_all(settings, ages, datetime.now(UTC), dry_run, lambda line: print(line, file=where, flush=True))
    print(json.dumps(asdict(pruned), ensure_ascii=False) if as_json else pruned.describe())
    if pruned.failed:
        raise StoreError("Not all could be pruned; a second start goes on from there.\n" + "\n".join(pruned.failed))
