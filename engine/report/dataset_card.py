"""Write the dataset card, a sample set's ``README.md``, with the YAML header that the Hugging Face hub reads."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml

from engine.asking.held_out import choose_pool
from engine.domain.model import Model, Pool
from engine.domain.samples import SAMPLE_SCHEMA, Row, RunStamp
from engine.store.layout import RUN_FOLDER, SAMPLES
from engine.store.store import locate_set
from engine.text.formatting import render_markdown
from engine.text.language import Language

TEMPLATE = Path(__file__).parent / "templates" / "card.md.jinja"
# The hub's buckets for the number of rows (huggingface.co/docs/hub/datasets-cards).
SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
SPLITS: Mapping[Pool, str] = {"train": "train", "eval": "test"}
SHOWN = 3
# The hub's value for an unspecified licence (huggingface.co/docs/hub/repositories-licenses).
NO_LICENCE = "unknown"


def render_card(
    model: Model,
    stamp: RunStamp,
    kept: Sequence[Row],
    synth_model: str,
    language: Language,
    verdict: str,
) -> str:
    """Render the card of a set.

    Args:
        kept: the rows of ``samples.parquet``.
        verdict: the gate's verdict in one sentence.
    """
    pool = choose_pool(stamp.synth_type)
    header = render_header(f"{model.handle}, synthesized samples", language, len(kept), {SPLITS[pool]: f"../{SAMPLES}"})
    shown = {
        (trait.key, pole): [row["text"] for row in kept if row["trait"] == trait.key and row["pole"] == pole][:SHOWN]
        for trait in model.traits
        for pole in ("positive", "negative")
    }
    body = render_markdown(
        TEMPLATE,
        model=model,
        stamp=stamp,
        folder=locate_set("", model.handle, pool, stamp.run_id).lstrip("/") if kept else None,
        split=SPLITS[pool],
        run_folder=RUN_FOLDER,
        samples=SAMPLES,
        held_out=pool == "eval",
        counts=Counter((row["trait"], row["pole"]) for row in kept),
        shown=shown,
        synth_model=synth_model,
        verdict=verdict,
        columns=[(field.name, field.type, field.nullable) for field in SAMPLE_SCHEMA],
    )
    return f"{header}\n{body}"


def render_header(name: str, language: Language | None, rows: int, files: Mapping[str, str]) -> str:
    """Render the YAML header of a card.

    Args:
        language: the language of the texts; None if it is not known.
        rows: the number of samples in all splits.
        files: the path of each split's file, relative to the card.
    """
    header = {
        "pretty_name": name,
        "license": NO_LICENCE,
        **({"language": [language.code]} if language else {}),
        **({"language_bcp47": [language.tag]} if language and language.tag != language.code else {}),
        "task_categories": ["text-classification"],
        "size_categories": [next((size for limit, size in SIZES if rows < limit), "n>1M")],
        "tags": ["synthetic", "exemplars"],
        "configs": [
            {
                "config_name": "default",
                "data_files": [{"split": split, "path": path} for split, path in files.items()],
            }
        ],
    }
    return f"---\n{yaml.safe_dump(header, sort_keys=False, allow_unicode=True)}---\n"
