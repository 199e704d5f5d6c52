"""A model on disk and sample sets in a store, small ones through the store's own writer and large ones made by hand."""

import json
import os
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq
from fakes.builders import make_exemplar, make_level, make_stamp

from engine.domain.definition import Pole
from engine.domain.model import POLES, Pool
from engine.domain.samples import SAMPLE_SCHEMA, make_row
from engine.store.layout import MANIFEST, REPORT, SAMPLES
from engine.store.sample_set import ATTACHED_NS, GROUP_ROWS, SampleSet, Status, seal
from engine.store.store import StoredSet, list_newer, locate_set, write_set
from engine.store.verify import StoreVerifier

HANDLE = "u22a8.test"
# What a process leaves that is killed now is a day old then.
TOMORROW = datetime.now(UTC) + timedelta(days=1, hours=1)
MODEL = """
traits:
  - {type: spectrum, key: clarity, positive_label: Clear, negative_label: Obscure}
  - {type: topic, key: safety}
"""
NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)
PLAIN_TEXTS = (
    "Press the green button and the door opens.",
    "The job runs every hour and copies new files.",
    "You can change your name on the profile page.",
    "If the light blinks, wait a minute and try again.",
    "We send you a mail when your parcel leaves.",
)
STIFF_TEXTS = (
    "Actuation of the portal mechanism is contingent upon engagement of the control surface.",
    "Replication of artefacts to secondary storage occurs pursuant to an hourly cadence.",
    "Modification of identity attributes is facilitated via the administration interface.",
    "In the event of intermittent luminosity, temporisation precedes reattempted initiation.",
    "Notification eventuates upon egress of the consignment from the distribution locus.",
)
POLE_TEXTS: Mapping[str, Mapping[Pole, Sequence[str]]] = {"clarity": {"positive": PLAIN_TEXTS, "negative": STIFF_TEXTS}}


def write_model(models: Path, *sources: tuple[str, str | bytes], handle: str = HANDLE) -> Path:
    """The folder of a model of two traits, with sources by their file name, whose ending is their type."""
    folder = models / handle
    folder.mkdir(parents=True, exist_ok=True)
    named = [f"  - {{type: {name.rsplit('.')[-1]}, path: {name}}}\n" for name, _ in sources]
    (folder / "model.yaml").write_text(MODEL + ("sources:\n" + "".join(named) if named else ""))
    for name, content in sources:
        (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def write_lines(*entries: object) -> str:
    return "".join(json.dumps(entry) + "\n" for entry in entries)


def attach_set(
    samples: Path | str,
    run_id: str,
    count: int = 4,
    traits: Sequence[str] = ("clarity",),
    age: timedelta = timedelta(),
    pool: Pool = "train",
    status: Status = "attached",
    handle: str = HANDLE,
    rejected: int = 0,
    documents: Mapping[str, str] = MappingProxyType({}),
    review: Mapping[str, object] = MappingProxyType({}),
    replaces: Sequence[str] = (),
) -> StoredSet:
    """A set of ``count`` rows, by turns positive and negative, and of each trait in turn; its run was due at noon.

    A row's text is its run id and its number. Of ``rejected`` further rows each is too short.
    """
    stamp = replace(make_stamp(run_id), handle=handle, created_at=NOON - age)
    made = [
        make_exemplar(f"{run_id} {number}", POLES[number % 2], number, traits[number % len(traits)])
        for number in range(count if status != "rejected" else 0)
    ]
    refused = [
        make_exemplar(f"{run_id} refused {number}", index=number, reason="too_short") for number in range(rejected)
    ]
    rows, others = ([make_row(item, stamp, None) for item in items] for items in (made, refused))
    inputs = {"level": asdict(make_level())}
    return write_set(
        str(samples), SampleSet(stamp, pool, status, "plan", rows, others, documents, {}, inputs, review, replaces)
    )


def attach_texts(samples: Path, handle: str, texts: Sequence[str], report: str = "") -> str:
    return attach_poles(samples, {"clarity": {"positive": texts}}, handle, report=report)


def attach_poles(
    samples: Path,
    texts: Mapping[str, Mapping[Pole, Sequence[str]]],
    handle: str = HANDLE,
    pool: Pool = "train",
    report: str | None = None,
) -> str:
    """Attaches texts in a set of a run of their own, by trait and pole; those of one number are a pair."""
    stamp = replace(make_stamp(str(uuid4())), handle=handle)
    rows = [
        make_row(make_exemplar(text, pole, number, trait), stamp, f"plan/{trait}/{number}")
        for trait, poles in texts.items()
        for pole, own in poles.items()
        for number, text in enumerate(own)
    ]
    documents = {} if report is None else {REPORT: report}
    write_set(str(samples), SampleSet(stamp, pool, "attached", "plan", rows, [], documents, {}))
    return stamp.run_id


def attach_alone(samples: str, run_id: str) -> bool:
    """Attaches a set where the model has no other: what a run does that was checked beside none."""
    stamp = replace(make_stamp(run_id), handle=HANDLE)
    rows = [make_row(make_exemplar("The one text.", "positive", 0, "clarity"), stamp, None)]
    made = SampleSet(stamp, "eval" if run_id.endswith("eval") else "train", "attached", "plan", rows, [], {}, {})
    return write_set(samples, made, lambda: not list_newer(samples, HANDLE, ())).written


def name_faults(store: Path | str) -> list[str]:
    return [fault.what for fault in StoreVerifier(str(store)).find_faults()]


def read_files(folder: Path | str) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in Path(folder).rglob("*") if path.is_file()}


def slip_in(samples: Path, texts: Mapping[str, Mapping[Pole, Sequence[str]]], handle: str, pool: Pool) -> str:
    """Does what ``attach_poles`` does while this process has the lock that a writer needs."""
    elsewhere, sets = samples.with_name("elsewhere"), Path(f"handle={handle}", f"pool={pool}")
    run_id = attach_poles(elsewhere, texts, handle, pool)
    (samples / sets).mkdir(parents=True, exist_ok=True)
    (elsewhere / sets / f"run={run_id}").rename(samples / sets / f"run={run_id}")
    return run_id


def wait_for_waiting(folder: Path, running: Future[Any]) -> None:
    """Waits until somebody waits for the lock of a folder, or what should do so has ended."""
    inode = f":{folder.stat().st_ino} "
    while not running.done():
        if any("->" in line and inode in line for line in Path("/proc/locks").read_text().splitlines()):
            return
        time.sleep(0.05)


def put_large_set(samples: Path, rows: int, group_rows: int = GROUP_ROWS, handle: str = HANDLE) -> Path:
    """The folder of a set that is too large to be made of exemplars, as the store's writer would have written it."""
    numbers = range(rows)
    columns = {
        "id": list(numbers),
        "trait": ["clarity" if number % 2 else "safety" for number in numbers],
        "text": [
            f"large {number}, a text of about the length of a sentence ({number * 7919 % 10007})" for number in numbers
        ],
        "quality": [1.0] * rows,
        "provenance": ["synthesized"] * rows,
        "content_sha256": [f"{number:064d}" for number in numbers],
        "created_at": [NOON] * rows,
    }
    rest = {
        field.name: [None if field.nullable else 1 if field.type == pa.int16() else "x"] * rows
        for field in SAMPLE_SCHEMA
    }
    table = pa.table({**rest, **columns}, schema=SAMPLE_SCHEMA)
    folder = Path(locate_set(str(samples), handle, "train", f"large-{rows}"))
    (folder / MANIFEST).parent.mkdir(parents=True)
    pq.write_table(table, folder / SAMPLES, compression="zstd", row_group_size=group_rows)
    half = {"positive": rows // 2, "negative": 0}
    counts = {"clarity": half, "safety": half}
    said = {"status": "attached", "run_id": f"large-{rows}", ATTACHED_NS: time.time_ns(), "counts": counts}
    (folder / MANIFEST).write_bytes(seal(said))
    return folder


def age_files(folder: str | Path, age: timedelta) -> None:
    for path in Path(folder).rglob("*"):
        if path.is_file():
            moment_ns = path.stat().st_mtime_ns - int(age.total_seconds() * 1e9)
            os.utime(path, ns=(moment_ns, moment_ns))
