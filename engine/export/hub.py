"""Writes samples as a folder for the Hugging Face hub: Parquet with a split for each pool, and the dataset card."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from engine.definitions.outline import Outline
from engine.domain.model import POLES
from engine.domain.samples import SAMPLE_SCHEMA
from engine.export.attached import POOLS, AttachedSamples
from engine.report.dataset_card import SHOWN, SPLITS, render_header
from engine.store.sample_set import GROUP_ROWS
from engine.store.store import StoredSet
from engine.text.escaping import render_markdown
from engine.text.language import Language, detect_language

CARD = "README.md"
DATA = "data/{split}.parquet"
TEMPLATE = Path(__file__).parent / "templates" / "hub_card.md.jinja"
# As many texts as tell their language.
DETECTED = 100


def write_hub(samples: AttachedSamples, folder: Path) -> int:
    """Writes the splits ``train`` and ``test`` (the pool ``eval``) and the card, and returns how many samples.

    The folder loads with ``datasets.load_dataset`` and uploads as it is.
    """
    pools = {pool: samples.in_pool(pool) for pool in POOLS}
    splits = {SPLITS[pool]: pa.concat_tables(own.walk_tables()) for pool, own in pools.items() if own.sets}
    (folder / DATA.format(split="")).parent.mkdir()
    for split, table in splits.items():
        pq.write_table(table, folder / DATA.format(split=split), GROUP_ROWS, compression="zstd")
    (folder / CARD).write_text(_render_card(samples, splits), encoding="utf-8")
    return sum(table.num_rows for table in splits.values())


def _render_card(samples: AttachedSamples, splits: Mapping[str, pa.Table]) -> str:
    outline = samples.outline
    every = pa.concat_tables(splits.values())
    files = {split: DATA.format(split=split) for split in splits}
    language = _find_language(outline, every["text"][:DETECTED].to_pylist())
    counts: Counter[tuple[str, str, str]] = Counter()
    shown: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for split, table in splits.items():
        for trait, pole, text in zip(*(table[name].to_pylist() for name in ("trait", "pole", "text")), strict=True):
            counts[split, trait, pole] += 1
            if split == SPLITS["train"] and len(shown[trait, pole]) < SHOWN:
                shown[trait, pole].append(text)
    header = render_header(f"{outline.handle}, synthesized samples", language, every.num_rows, files)
    body = render_markdown(
        TEMPLATE,
        model=outline,
        splits=list(splits),
        held_out=SPLITS["eval"],
        counts=counts,
        shown=shown,
        poles=POLES,
        gone=sorted({trait for _, trait, _ in counts} - {trait.key for trait in outline.traits}),
        runs=[_describe_run(stored) for stored in samples.sets],
        synth_models=sorted(every["synth_model"].unique().to_pylist()),
        columns=[(column.name, column.type, column.nullable) for column in SAMPLE_SCHEMA],
    )
    return f"{header}\n{body}"


def _describe_run(stored: StoredSet) -> str:
    manifest = stored.manifest
    about = f"`{manifest.get('synth_type')}`, effort `{manifest.get('effort')}`"
    return f"`{stored.run_id}`: {about}, {str(manifest.get('created_at', ''))[:10]}"


def _find_language(outline: Outline, texts: list[str]) -> Language | None:
    tag = outline.language or detect_language(texts)
    return Language(tag) if tag else None
