"""Define exemplars, the results of a cell, and the rows and columns of the Parquet files that store them."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal

import pyarrow as pa

from engine.domain.definition import Pole
from engine.domain.model import Effort, Seed, SynthType, digest_text
from engine.domain.votes import Vote

Reason = Literal[
    "unreadable",
    "wrong_label",
    "too_short",
    "too_long",
    "truncated",
    "meta_talk",
    "placeholder",
    "label_leak",
    "prompt_echo",
    "wrong_language",
    "duplicate",
    "near_duplicate",
    "seed_copy",
    "held_out_overlap",
    "refused",
    "cell_failed",
    "voice_drift",
    "off_pole",
    "surplus",
    "removed",
    "left_out",
    "refused_before",
    "own_rule",
    "own_question",
    "no_sense",
]

_TEXT = pa.string()
_COLUMNS: list[tuple[str, pa.DataType, bool]] = [
    ("id", pa.int64(), False),
    ("trait", _TEXT, False),
    ("text", _TEXT, False),
    ("quality", pa.float64(), False),
    ("pole", _TEXT, False),
    ("provenance", _TEXT, False),
    ("synth_type", _TEXT, False),
    ("effort", _TEXT, False),
    ("run_id", _TEXT, False),
    ("scenario", _TEXT, False),
    ("pair_id", _TEXT, True),
    ("seed_sha256", _TEXT, True),
    ("synth_model", _TEXT, False),
    ("prompt_sha256", _TEXT, False),
    ("attempt", pa.int16(), False),
    ("judge_votes", _TEXT, True),
    ("cost_usd", pa.float64(), True),
    ("content_sha256", _TEXT, False),
    ("created_at", pa.timestamp("us", tz="UTC"), False),
]
SAMPLE_SCHEMA = pa.schema([pa.field(name, kind, nullable) for name, kind, nullable in _COLUMNS])
REJECTED_SCHEMA = pa.schema(
    [*(pa.field(name, kind) for name, kind, _ in _COLUMNS), pa.field("reason", _TEXT), pa.field("detail", _TEXT)]
)


# A row of ``samples.parquet`` or, with ``reason`` and ``detail``, of ``rejected.pq``: its values by column.
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Scenario:
    """Subject, audience, form and length of an exemplar; both cells of a pair share them."""

    subject: str
    audience: str
    form: str
    length: str

    def to_json(self) -> str:
        """Return the scenario as JSON for the ``scenario`` column."""
        return json.dumps(asdict(self), ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class Exemplar:
    """A text received for a cell, or a failed attempt (``text`` None, ``reason`` set).

    ``number`` counts the exemplars of one cell. ``odds`` are the in-context judge's log odds of the positive pole; None
    if it did not judge. ``votes`` are the chat judge's, in the order of their requests. ``cost_usd`` is this exemplar's
    share of its reply's cost plus the cost of its votes, as far as prices are known. ``seed_sha256`` names the seed
    that it varies.
    """

    cell_id: str
    number: int
    order: int
    trait: str
    pole: Pole
    scenario: Scenario
    pair_id: str
    text: str | None
    reason: Reason | None
    detail: str = ""
    synth_model: str = ""
    prompt_sha256: str = ""
    round_no: int = 1
    cost_usd: float | None = None
    odds: float | None = None
    votes: tuple[Vote, ...] = ()
    seed_sha256: str | None = None

    @property
    def key(self) -> str:
        """The exemplar's name, unique within its run."""
        return f"{self.cell_id}/{self.number}"

    @property
    def is_accepted(self) -> bool:
        """Return whether the exemplar has not been rejected so far."""
        return self.reason is None


@dataclass(frozen=True, slots=True)
class RunStamp:
    """Values shared by all rows of one run. ``created_at`` is the flow run's first expected start, in UTC."""

    run_id: str
    handle: str
    synth_type: SynthType
    effort: Effort
    created_at: datetime


def count_reasons(exemplars: Iterable[Exemplar]) -> dict[Reason, int]:
    """Count exemplars by reason, surplus included; sorted by falling count, then by name."""
    counts = Counter(exemplar.reason for exemplar in exemplars if exemplar.reason)
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def make_row(exemplar: Exemplar, stamp: RunStamp, pair_id: str | None) -> Row:
    """Make the row of an exemplar; its ``id`` depends only on handle, trait and text (on the key without a text)."""
    text = exemplar.text
    return Row(
        id=make_id(stamp.handle, exemplar.trait, exemplar.key if text is None else text),
        trait=exemplar.trait,
        text=text,
        quality=1.0 if exemplar.pole == "positive" else 0.0,
        pole=exemplar.pole,
        provenance="synthesized",
        synth_type=stamp.synth_type,
        effort=stamp.effort,
        run_id=stamp.run_id,
        scenario=exemplar.scenario.to_json(),
        pair_id=pair_id,
        seed_sha256=exemplar.seed_sha256,
        synth_model=exemplar.synth_model,
        prompt_sha256=exemplar.prompt_sha256,
        attempt=exemplar.round_no,
        judge_votes=_write_votes(exemplar),
        cost_usd=exemplar.cost_usd,
        content_sha256=None if text is None else digest_text(text),
        created_at=stamp.created_at,
        reason=exemplar.reason,
        # A provider's message about a failed call differs from run to run.
        detail=None if exemplar.reason in (None, "cell_failed") else exemplar.detail or None,
    )


def make_own_row(handle: str, seed: Seed) -> Row:
    """Make the row of an authored sample: its identifying columns, and ``source_url``, which no stored sample has."""
    columns = {name: getattr(seed, name) for name in ("trait", "text", "quality", "source_url")}
    return Row(id=make_id(handle, seed.trait, seed.text), provenance="authored", content_sha256=seed.sha256, **columns)


def make_id(handle: str, trait: str, text: str) -> int:
    """Return 53 bits of the SHA-256 of handle, trait and text: an integer that every JSON client reads exactly."""
    digest = hashlib.sha256("\0".join((handle, trait, text)).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 11


def make_sample_table(rows: Iterable[Row]) -> pa.Table:
    """Make the table of ``samples.parquet``, with the columns and types of ``SAMPLE_SCHEMA``.

    Raises:
        pa.ArrowInvalid: a column that is not nullable has a null.
    """
    table = pa.Table.from_pylist(list(rows), schema=SAMPLE_SCHEMA)
    table.validate(full=True)
    # Arrow itself does not check a schema's nullability.
    if empty := [field.name for field in table.schema if not field.nullable and table[field.name].null_count]:
        raise pa.ArrowInvalid(f"null in a column that does not allow it: {', '.join(empty)}")
    return table


def make_rejected_table(rows: Iterable[Row]) -> pa.Table:
    """Make the table of ``rejected.pq``: the columns of ``samples.parquet``, all nullable, and ``reason``."""
    return pa.Table.from_pylist(list(rows), schema=REJECTED_SCHEMA)


def _write_votes(exemplar: Exemplar) -> str | None:
    entries: list[Mapping[str, object]] = []
    if exemplar.odds is not None:
        entries.append({"judge": "in_context", "odds": round(exemplar.odds, 4)})
    entries += [vote.to_entry() for vote in exemplar.votes]
    return json.dumps(entries, ensure_ascii=False) if entries else None
