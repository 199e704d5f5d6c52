"""Export a model's attached samples to a file or folder for another program."""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import pyarrow as pa
import pyarrow.parquet as pq

from engine.definitions.loader import load_outline
from engine.definitions.outline import Outline
from engine.domain.model import POLES, Pool
from engine.domain.samples import SAMPLE_SCHEMA
from engine.errors import InputError
from engine.export.lines import (
    POOLS,
    describe_source,
    find_attached,
    write_bodies,
    write_csv,
    write_lines,
    write_source,
)
from engine.report.dataset_card import SHOWN, SPLITS, render_header
from engine.settings import Settings
from engine.store.index.rows import read_whole_sets
from engine.store.sample_set import GROUP_ROWS
from engine.store.store import StoredSet, count_stored
from engine.system.filesystem import Target
from engine.text.formatting import render_markdown
from engine.text.language import Language, detect_language

RequestedPool = Literal["train", "eval", "all"]
REQUESTED_POOLS: tuple[str, ...] = get_args(RequestedPool)
CARD = "README.md"
DATA = "data/{split}.parquet"
TEMPLATE = Path(__file__).parent / "templates" / "hub_card.md.jinja"
# Number of texts from which the language is detected.
DETECTED = 100


@dataclass(frozen=True, slots=True)
class Format:
    """An export format: ``write`` writes the samples and returns their number, ``use`` tells a person how to use them.

    ``entries`` is the pattern of the paths in the written folder, None for a single file. ``for_model`` means that the
    output becomes training samples of a model, so it must not contain samples of the pool ``eval``.
    """

    write: Callable[[Outline, Sequence[StoredSet], Path], int]
    use: str
    entries: re.Pattern[str] | None = None
    for_model: bool = False
    default_pool: RequestedPool = "train"


def write_hub(outline: Outline, sets: Sequence[StoredSet], folder: Path) -> int:
    """Write the splits ``train`` and ``test`` (the pool ``eval``) and the card; return the number of samples.

    ``datasets.load_dataset`` reads the folder, and it can be uploaded unchanged.
    """
    pools = {pool: [stored for stored in sets if stored.manifest["pool"] == pool] for pool in POOLS}
    splits = {SPLITS[pool]: read_whole_sets(pool_sets) for pool, pool_sets in pools.items() if pool_sets}
    (folder / DATA.format(split="")).parent.mkdir()
    for split, table in splits.items():
        pq.write_table(table, folder / DATA.format(split=split), GROUP_ROWS, compression="zstd")
    (folder / CARD).write_text(_render_card(outline, sets, splits), encoding="utf-8")
    return sum(table.num_rows for table in splits.values())


FORMATS: Mapping[str, Format] = {
    "platform": Format(write_source, "Put it into a model's folder, and this into its model.yaml:", for_model=True),
    "api": Format(
        write_bodies,
        "Each file is the body of one POST /v1/models/{handle}/samples.",
        re.compile(r"samples-\d{6}\.json"),
        for_model=True,
    ),
    "csv": Format(write_csv, "Text that a spreadsheet would run as a formula begins with a single quote."),
    "jsonl": Format(write_lines, "One object a line, with all columns."),
    "hub": Format(
        write_hub,
        "Load it with datasets.load_dataset, or upload it unchanged. Choose the licence in its README.md first.",
        re.compile(r"README\.md|data|data/(train|test)\.parquet"),
        default_pool="all",
    ),
}


@dataclass(frozen=True, slots=True)
class Export:
    """The result of an export; ``left_out`` is the number of samples of traits that the model no longer has.

    ``source`` is the entry of ``model.yaml`` that reads the file back, None for formats without one.
    """

    handle: str
    format: str
    to: str
    pools: tuple[Pool, ...]
    runs: int
    samples: int
    left_out: int
    source: str | None


def export_samples(
    settings: Settings,
    handle: str,
    to: str,
    format_name: str,
    pool: str | None = None,
    run_id: str | None = None,
    force: bool = False,
) -> Export:
    """Export the attached samples of a model, or of one run, but no proposed, rejected or detached set.

    The output appears at ``to`` only when it is complete.

    Args:
        to: a local path: a folder for the formats ``api`` and ``hub``, a file for the others.
        pool: one of ``REQUESTED_POOLS``; None for the format's default.
        force: whether to replace an earlier export.

    Raises:
        HandleError, DefinitionError: the model is unknown, or its definition has mistakes.
        InputError: the format, pool, path or run is wrong, or nothing is attached.
        StoreError: the store cannot be read, or the path cannot be written.
    """
    if format_name not in FORMATS:
        raise InputError(f"{format_name!r} is not a format. The formats are: {', '.join(FORMATS)}")
    chosen = FORMATS[format_name]
    pools = _choose_pools(format_name, chosen, pool)
    target = Target(Path(to), chosen.entries, force)
    target.check()
    outline = load_outline(settings.models_uri, handle)
    sets = find_attached(settings.samples_uri, handle, pools, run_id)
    with target.making() as part:
        written = chosen.write(outline, sets, part)
    return Export(
        handle=handle,
        format=format_name,
        to=str(target.place),
        pools=tuple(dict.fromkeys(stored.manifest["pool"] for stored in sets)),
        runs=len(sets),
        samples=written,
        left_out=count_stored(sets) - written if chosen.for_model else 0,
        source=describe_source(outline, target.place.name) if format_name == "platform" else None,
    )


def _choose_pools(format_name: str, chosen: Format, pool: str | None) -> tuple[Pool, ...]:
    requested = pool or chosen.default_pool
    if requested not in REQUESTED_POOLS:
        raise InputError(f"{requested!r} is not a pool. The pools are: {', '.join(REQUESTED_POOLS)}")
    if chosen.for_model and requested != "train":
        raise InputError(
            f"The output of the format {format_name} becomes training samples of a model, and these must not contain "
            "samples of the pool eval. Leave --pool out, or use csv, jsonl or hub"
        )
    return tuple(item for item in POOLS if requested in (item, "all"))


def _render_card(outline: Outline, sets: Sequence[StoredSet], splits: Mapping[str, pa.Table]) -> str:
    merged = pa.concat_tables(splits.values())
    files = {split: DATA.format(split=split) for split in splits}
    tag = outline.language or detect_language(merged["text"][:DETECTED].to_pylist())
    language = Language(tag) if tag else None
    counts: Counter[tuple[str, str, str]] = Counter()
    shown: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for split, table in splits.items():
        for trait, pole, text in zip(*(table[name].to_pylist() for name in ("trait", "pole", "text")), strict=True):
            counts[split, trait, pole] += 1
            if split == SPLITS["train"] and len(shown[trait, pole]) < SHOWN:
                shown[trait, pole].append(text)
    header = render_header(f"{outline.handle}, synthesized samples", language, merged.num_rows, files)
    body = render_markdown(
        TEMPLATE,
        model=outline,
        splits=list(splits),
        held_out=SPLITS["eval"],
        counts=counts,
        shown=shown,
        poles=POLES,
        gone=sorted({trait for _, trait, _ in counts} - {trait.key for trait in outline.traits}),
        runs=[_describe_run(stored) for stored in sets],
        synth_models=sorted(merged["synth_model"].unique().to_pylist()),
        columns=[(column.name, column.type, column.nullable) for column in SAMPLE_SCHEMA],
    )
    return f"{header}\n{body}"


def _describe_run(stored: StoredSet) -> str:
    manifest = stored.manifest
    settings = f"`{manifest.get('synth_type')}`, effort `{manifest.get('effort')}`"
    return f"`{stored.run_id}`: {settings}, {str(manifest.get('created_at', ''))[:10]}"
