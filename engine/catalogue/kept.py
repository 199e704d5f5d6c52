"""Keeps what was measured of each model below the cache folder, so that only what has changed is measured again."""

import hashlib
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from pyarrow.fs import LocalFileSystem
from pydantic import TypeAdapter, ValidationError

from engine.catalogue.condition import Measures
from engine.store.sample_set import seal, unseal
from engine.system.filesystem import write_whole

FOLDER = "catalogue"


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What the verdict of a run's set says; ``digest`` is the SHA-256 of the file that it was read from.

    ``cost_usd`` is None where the price is not known; ``failed`` is the first sentence of why it failed, or empty.
    """

    digest: str
    cost_usd: float | None
    failed: str


@dataclass(frozen=True, slots=True)
class Record:
    """What is kept of one model: its measures, under the key of all that they were measured on, and its runs' facts."""

    key: str = ""
    measures: Measures | None = None
    runs: Mapping[str, RunFacts] = field(default_factory=dict)


_RECORDS = TypeAdapter(Record)


def name_record(models_uri: str, samples_uri: str, handle: str) -> str:
    """Names the file of a model's record: one for each catalogue and store that share a cache."""
    return f"{hashlib.sha256(json.dumps([models_uri, samples_uri, handle]).encode()).hexdigest()}.json"


def read_record(cache: Path | None, name: str) -> Record:
    """Reads a record; an empty one where there is none, or where it was damaged or is another version's."""
    if cache is None:
        return Record()
    path = cache / FOLDER / name
    try:
        content: Any = unseal(path.read_bytes())
        record = _RECORDS.validate_python(content["record"])
    except (OSError, ValueError, KeyError, TypeError, ValidationError):
        return Record()
    with suppress(OSError):
        # So that it is not taken for one that nobody uses.
        os.utime(path)
    return record


def write_record(cache: Path | None, name: str, record: Record) -> None:
    """Writes a record; where the disk takes none, the model is measured anew next time."""
    if cache is not None:
        with suppress(OSError):
            write_whole(LocalFileSystem(), str(cache / FOLDER / name), seal({"record": asdict(record)}))


def prune_records(cache: Path, days: float, now: datetime) -> None:
    """Removes the records that nobody has used for so many days, such as those of models that are gone."""
    oldest = (now - timedelta(days=days)).timestamp()
    for path in (cache / FOLDER).glob("*.json"):
        with suppress(OSError):
            if path.stat().st_mtime < oldest:
                path.unlink()
