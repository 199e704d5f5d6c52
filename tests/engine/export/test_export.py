"""What is exported is read back by those that it is for, is there whole or not at all, and is attached."""

import csv
import io
import itertools
import json
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from fakes.builders import make_exemplar, make_stamp, make_trait
from fakes.readers import stay_offline
from fakes.stored import HANDLE, attach_set, write_lines, write_model

from engine.definitions.loader import load_outline
from engine.definitions.sources.labelled_lines import gather_lines, walk_labelled
from engine.definitions.sources.tables import Table
from engine.domain.samples import SAMPLE_SCHEMA, make_row
from engine.errors import InputError, StoreError
from engine.export.formats import FORMATS, Export, export_samples
from engine.export.lines import BODY_BYTES, BODY_SAMPLES, join_body, pack_bodies
from engine.listing.samples import walk_seeds
from engine.settings import Settings
from engine.store.changes import detach_set
from engine.store.sample_set import SampleSet
from engine.store.store import write_set
from engine.text.formatting import unquote_formulas

# Each would be run by a spreadsheet, ends a line for some reader, or is what our own quoting writes.
HOSTILE = (
    '=HYPERLINK("http://x.test?"&A1)',
    "+1+1",
    "-2+3",
    "@SUM(1)",
    "\t=1+1",
    "\r=1+1",
    "＝1+1",
    "'=1+1",
    "''tis",
    'a "b", c;=1',
    'a;"=1+1"',
    "a\t =1|+1,@SUM(1)\n-2",
    "He said, 'no': run(['ls','-l'])",
    "two\nlines\r\nand\rmore",
    "one\u2028line\x85only",
    "Ärger ☃ 🦊 עברית",
)


@pytest.fixture
def models(tmp_path: Path) -> Path:
    write_model(tmp_path / "models", ("authored.jsonl", write_lines({"content": "By hand.", "clarity": 1.0})))
    return tmp_path / "models"


@pytest.fixture
def samples(tmp_path: Path) -> Path:
    """Two attached sets of both traits, one of an evaluation pool, and sets that are not exported."""
    store = tmp_path / "samples"
    attach_set(store, "one", 6, ("clarity", "safety"))
    attach_set(store, "two", 4)
    attach_set(store, "held", 2, pool="eval")
    attach_set(store, "failed", status="rejected", rejected=3)
    detach_set(attach_set(store, "off", 8))
    return store


def attach_hostile(store: Path) -> None:
    stamp = replace(make_stamp("hostile"), handle=HANDLE)
    poles: Any = itertools.cycle(("positive", "negative"))
    made = (make_exemplar(text, next(poles), number) for number, text in enumerate(HOSTILE))
    rows = [make_row(exemplar, stamp, None) for exemplar in made]
    write_set(str(store), SampleSet(stamp, "train", "attached", "plan", rows, [], {}, {}))


def make_settings(models: Path, samples: Path) -> Settings:
    return Settings(models_uri=str(models), samples_uri=str(samples))


def export(models: Path, samples: Path, to: Path, format_name: str, *rest: Any, **options: Any) -> Export:
    return export_samples(make_settings(models, samples), HANDLE, str(to), format_name, *rest, **options)


def list_texts(store: Path, pool: str = "train") -> list[str]:
    files = sorted((store / f"handle={HANDLE}/pool={pool}").glob("run=*/samples.parquet"))
    return sorted(text for file in files for text in pd.read_parquet(file, partitioning=None)["text"])


def list_left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_platform_lines_are_a_source_that_gives_the_same_samples(models: Path, samples: Path) -> None:
    attach_hostile(samples)
    wanted = sorted(text.strip() for text in list_texts(samples))
    attach_set(samples, "older", 2, ("tone",))
    done = export(models, samples, models / HANDLE / "handed.jsonl", "platform")
    definition = models / HANDLE / "model.yaml"
    written = yaml.safe_load(definition.read_text())
    written["sources"] += yaml.safe_load(done.source or "")["sources"]
    definition.write_text(yaml.safe_dump(written))
    # As they are read, before texts whose normal forms are the same count once.
    read = walk_seeds(str(models), load_outline(str(models), HANDLE))
    handed = [seed for _, source, seed in read if source.path == "handed.jsonl"]

    # What is labelled for no trait of the model is left out.
    assert (10 + len(HOSTILE), 2) == (done.samples, done.left_out)
    assert wanted == sorted(seed.text for seed in handed)
    assert {("clarity", 1.0), ("clarity", 0.0), ("safety", 0.0)} == {(seed.trait, seed.quality) for seed in handed}


def test_bodies_have_what_the_endpoint_takes_and_no_more_of_it(models: Path, samples: Path, tmp_path: Path) -> None:
    attach_set(samples, "many", 1_101)
    done = export(models, samples, tmp_path / "bodies", "api")
    bodies = [json.loads(path.read_text()) for path in sorted((tmp_path / "bodies").iterdir())]
    entries = [entry for body in bodies for entry in body["samples"]]

    assert [BODY_SAMPLES, BODY_SAMPLES, 111] == [len(body["samples"]) for body in bodies]
    assert 1_111 == done.samples == len(entries)
    assert list_texts(samples) == sorted(entry["text"] for entry in entries)
    assert {("trait", "text", "quality", "content_sha256")} == {tuple(entry) for entry in entries}


@pytest.mark.parametrize(("more", "packed"), [(0, [2, 1]), (1, [1, 2])])
def test_bodies_stay_below_what_the_door_takes(more: int, packed: list[int]) -> None:
    half = (BODY_BYTES - len(join_body([]))) // 2 - 2
    left = BODY_BYTES - len(join_body([])) - 2 * 2 - half
    bodies = list(pack_bodies([b"x" * half, b"x" * (left + more), b"x"]))

    assert packed == [len(body) for body in bodies]
    assert all(len(join_body(body)) <= BODY_BYTES for body in bodies)


def test_csv_and_jsonl_have_all_columns_and_read_back_with_pandas_and_our_own_reader(
    models: Path, samples: Path, tmp_path: Path
) -> None:
    attach_hostile(samples)
    export(models, samples, tmp_path / "a.csv", "csv", "all")
    frame = pd.read_csv(tmp_path / "a.csv", keep_default_na=False)
    export(models, samples, tmp_path / "b.csv", "csv", "train", "hostile")
    content = (tmp_path / "b.csv").read_bytes().replace(b",text,", b",content,", 1)
    export(models, samples, tmp_path / "a.jsonl", "jsonl", "train", "hostile")
    lines = pd.read_json(tmp_path / "a.jsonl", lines=True)
    [stored] = samples.rglob("run=hostile/samples.parquet")
    wanted = pd.read_parquet(stored, partitioning=None)
    foreign = b"content,quality\r\n\"run(['ls','-l'])\",1\r\n"

    assert ["handle", "pool", *SAMPLE_SCHEMA.names] == list(frame.columns) == list(lines.columns)
    for name in ("id", "text", "quality", "scenario", "created_at"):
        assert wanted[name].to_list() == lines[name].to_list()
    assert {"train": 10 + len(HOSTILE), "eval": 2} == frame["pool"].value_counts().to_dict()
    assert sorted(list_texts(samples) + list_texts(samples, "eval")) == sorted(map(unquote_formulas, frame["text"]))
    labels = {"quality": make_trait()}
    # A file that no export wrote is read as it stands.
    assert [[text.strip() for text in HOSTILE], ["run(['ls','-l'])"]] == [
        [seed.text for seed in gather_lines(walk_labelled(Table("a.csv", io.BytesIO(read), "csv"), labels))[0]]
        for read in (content, foreign)
    ]


def test_no_cell_of_the_csv_is_a_formula_by_any_separator(models: Path, samples: Path, tmp_path: Path) -> None:
    attach_hostile(samples)
    export(models, samples, tmp_path / "a.csv", "csv")
    content = (tmp_path / "a.csv").read_bytes().decode()
    ways: Any = itertools.product(",;\t|", (csv.QUOTE_MINIMAL, csv.QUOTE_NONE))
    for separator, quoting in ways:
        rows = csv.reader(io.StringIO(content, newline=""), delimiter=separator, quoting=quoting)
        cells = [cell for row in rows for cell in row]

        assert len(cells) > len(HOSTILE)
        assert [] == [cell for cell in cells if re.match(r'[\s"]*[=+\-@＝＋－＠]', cell)]


def test_hub_folder_loads_by_pool(models: Path, samples: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    stay_offline(monkeypatch, tmp_path)
    attach_hostile(samples)
    export(models, samples, tmp_path / "hub", "hub")
    found = datasets.load_dataset(str(tmp_path / "hub"))
    card = (tmp_path / "hub/README.md").read_text()
    export(models, samples, tmp_path / "train", "hub", "train")

    assert {"train": 10 + len(HOSTILE), "test": 2} == {name: split.num_rows for name, split in found.items()}
    assert SAMPLE_SCHEMA.names == found["train"].column_names
    assert list_texts(samples) == sorted(found["train"]["text"])
    assert "unknown" == yaml.safe_load(card.split("---\n")[1])["license"]
    assert "| `clarity` | positive | Clear | 13 | 1 |" in card
    assert "split `test` was set aside" in card
    assert ["train.parquet"] == list_left(tmp_path / "train/data")
    assert "set aside" not in (tmp_path / "train/README.md").read_text()


@pytest.mark.parametrize("format_name", FORMATS)
def test_export_is_the_same_bytes_and_replaced_by_force_alone(
    models: Path, samples: Path, tmp_path: Path, format_name: str
) -> None:
    read = []
    for name in ("a", "b"):
        done = export(models, samples, tmp_path / name, format_name, None, "two")
        assert (4, 1, ("train",)) == (done.samples, done.runs, done.pools)
        files = [tmp_path / name] if (tmp_path / name).is_file() else sorted((tmp_path / name).rglob("*.*"))
        read.append([path.read_bytes() for path in files])
    assert read[0] == read[1]

    before = list_left(tmp_path)
    with pytest.raises(InputError, match="replaced with --force"):
        export(models, samples, tmp_path / "a", format_name)
    assert export(models, samples, tmp_path / "a", format_name, force=True).samples > 6
    assert before == list_left(tmp_path)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("u22a8.tests", "a", "csv"), "No model 'u22a8.tests'"),
        ((HANDLE, "a", "json"), "'json' is not a format. The formats are: platform, api, csv, jsonl, hub"),
        ((HANDLE, "a", "csv", "test"), "'test' is not a pool. The pools are: train, eval, all"),
        ((HANDLE, "a", "api", "eval"), "samples of the pool eval. Leave --pool out"),
        ((HANDLE, "a", "csv", None, "none"), "has no set of run 'none'"),
        ((HANDLE, "a", "csv", None, "failed"), "is rejected, and only attached samples are exported"),
        ((HANDLE, "a", "csv", None, "held"), "train was requested: use --pool eval"),
        (("u22a8.bare", "a", "csv"), "no attached samples in the pool train, so there is nothing to export. `exemp"),
        ((HANDLE, "away/a", "csv"), "there is no folder"),
        ((HANDLE, "s3://bucket/a", "csv"), "there is no folder"),
        ((HANDLE, "", "csv"), "is no place for an export"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_left(
    models: Path, samples: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: Sequence[Any], said: str
) -> None:
    write_model(models, handle="u22a8.bare")
    monkeypatch.chdir(tmp_path)
    before = list_left(tmp_path)
    with pytest.raises(InputError, match=re.escape(said)):
        export_samples(make_settings(models, samples), *given)

    assert before == list_left(tmp_path)


def test_force_replaces_no_folder_with_anything_else_in_it(models: Path, samples: Path, tmp_path: Path) -> None:
    export(models, samples, tmp_path / "a", "hub")
    (tmp_path / "a/notes.txt").write_text("mine")
    for format_name, said in (("hub", r"holds notes\.txt, which no export"), ("csv", "a is no file, and")):
        with pytest.raises(InputError, match=said):
            export(models, samples, tmp_path / "a", format_name, force=True)

    assert "mine" == (tmp_path / "a/notes.txt").read_text()


@pytest.mark.parametrize("format_name", ["csv", "hub"])
def test_damaged_set_leaves_nothing(models: Path, samples: Path, tmp_path: Path, format_name: str) -> None:
    (tmp_path / "out").mkdir()
    [file] = samples.rglob("run=two/samples.parquet")
    content = file.read_bytes()
    file.write_bytes(content[:40] + bytes(360) + content[400:])
    with pytest.raises(StoreError, match=r"The samples of run two, attached to u22a8\.test, cannot be read"):
        export(models, samples, tmp_path / "out/a", format_name)

    assert [] == list_left(tmp_path / "out")
