"""Writes samples as a folder for the Hugging Face hub: Parquet with a split for each pool, and the dataset card."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from engine.definitions.outline import Outline
from engine.domain.model import POLES, Pool
from engine.domain.samples import SAMPLE_SCHEMA
from engine.export.attached import POOLS, AttachedSamples
from engine.report.dataset_card import SHOWN, SPLITS, render_header
from engine.store.store import StoredSet
from engine.text.language import Language, detect_language
from engine.text.markdown import render_markdown

CARD = "README.md"
DATA = "data/{split}.parquet"
TEMPLATE = Path(__file__).parent / "templates" / "hub_card.md.jinja"
# As many texts as tell their language.
DETECTED = 100


@dataclass(slots=True)
class _Facts:
    """What the card says of the samples, gathered while they are written."""

    counts: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    splits: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    shown: defaultdict[tuple[str, str], list[str]] = field(default_factory=lambda: defaultdict(list))
    synth_models: set[str] = field(default_factory=set)

    def add(self, split: str, table: pa.Table) -> None:
        self.synth_models.update(table["synth_model"].unique().to_pylist())
        rows = table.select(["trait", "pole", "text"]).to_pydict()
        self.texts += rows["text"][: DETECTED - len(self.texts)]
        for trait, pole, text in zip(*rows.values(), strict=True):
            self.counts[split, trait, pole] += 1
            if split == SPLITS["train"] and len(self.shown[trait, pole]) < SHOWN:
                self.shown[trait, pole].append(text)


def write_hub(samples: AttachedSamples, folder: Path) -> int:
    """Writes the splits ``train`` and ``test`` (the pool ``eval``) and the card, and returns how many samples.

    The folder loads with ``datasets.load_dataset`` and uploads as it is.
    """
    facts = _Facts()
    for pool in POOLS:
        own = samples.in_pool(pool)
        if own.sets:
            _write_split(own, pool, folder, facts)
    (folder / CARD).write_text(_render_card(samples, facts), encoding="utf-8")
    return facts.counts.total()


def _write_split(samples: AttachedSamples, pool: Pool, folder: Path, facts: _Facts) -> None:
    split = SPLITS[pool]
    file = folder / DATA.format(split=split)
    file.parent.mkdir(exist_ok=True)
    facts.splits.append(split)
    with file.open("wb") as stream, pq.ParquetWriter(stream, SAMPLE_SCHEMA, compression="zstd") as writer:
        for table in samples.walk_tables():
            writer.write_table(table)
            facts.add(split, table)


def _render_card(samples: AttachedSamples, facts: _Facts) -> str:
    outline = samples.outline
    name = f"{outline.handle}, synthesized samples"
    files = {split: DATA.format(split=split) for split in facts.splits}
    header = render_header(name, _find_language(outline, facts.texts), facts.counts.total(), files)
    body = render_markdown(
        TEMPLATE,
        model=outline,
        splits=facts.splits,
        held_out=SPLITS["eval"],
        counts=facts.counts,
        shown=facts.shown,
        poles=POLES,
        gone=sorted({trait for _, trait, _ in facts.counts} - {trait.key for trait in outline.traits}),
        runs=[_describe_run(stored) for stored in samples.sets],
        synth_models=sorted(facts.synth_models),
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
