"""The command ``suggest`` and its data frame: which texts are offered, what the axis says of them, and the way back."""

import csv
import json
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pytest
from fakes.commands import Command
from fakes.stored import HANDLE, MODEL, PLAIN_TEXTS, STIFF_TEXTS, read_files, write_lines, write_model
from fakes.workspace import ROOT

import exemplars

SEEDS = write_lines(
    *({"content": text, "clarity": 1} for text in PLAIN_TEXTS),
    *({"content": text, "clarity": 0} for text in STIFF_TEXTS),
)
# Labelled by hand.
WRITING = [
    json.loads(line)
    for line in (ROOT / "data/models/u22a8.technical-writing/samples.jsonl").read_text().splitlines()
    if "clarity" in json.loads(line)
]
TRUTH = {line["content"]: {1: "Clear", 0: "Obscure"}.get(line["clarity"], "") for line in WRITING}


def write_own(models: Path, texts: Sequence[str], seeds: str = SEEDS, model: str = MODEL) -> Path:
    """A model with own texts in a file of lines of JSON beside its samples."""
    folder = write_model(models, ("samples.jsonl", seeds))
    (folder / "own.jsonl").write_text(write_lines(*({"body": text} for text in texts)))
    sources = "sources:\n  - {type: texts, path: own.jsonl, field: body}\n  - {type: jsonl, path: samples.jsonl}\n"
    (folder / "model.yaml").write_text(model + sources)
    return folder


def test_table_is_written_filled_in_and_added_and_the_next_offers_others(
    models: Path, run_command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    odd = 'Press "Save";\nthen, „fertig“ 👍, reload.'
    formula = "=SUM(A1) is what the cell said."
    write_own(models, [*TRUTH, PLAIN_TEXTS[0].upper(), odd, odd + "!", formula])
    done = run_command("suggest", HANDLE, "--to", "t.csv", "--count", str(len(TRUTH) + 2))
    table = pd.read_csv("t.csv", dtype=str, keep_default_na=False)
    # What a spreadsheet would reckon is quoted, and read as it was.
    frame = table.replace(f"'{formula}", formula)
    assert not table.equals(frame)

    # A text of a sample is offered no second time, nor one whose form another has.
    assert sorted([*TRUTH, odd, formula]) == sorted(frame["text"])
    assert ["id", "text", "clarity", "clarity_suggested", "safety", "safety_suggested"] == list(frame)
    assert {""} == {*frame["clarity"], *frame["safety"], *frame["safety_suggested"]}
    told = frame[frame["clarity_suggested"] != ""]
    right = [
        label == TRUTH.get(text, label) for text, label in zip(told["text"], told["clarity_suggested"], strict=True)
    ]
    assert (True, True) == (len(told) >= len(TRUTH) / 4, sum(right) >= 0.9 * len(right)), told
    assert f"{HANDLE}: {len(frame)} texts to label in t.csv\n  clarity: Clear or Obscure, or a number" in done.out
    assert f"exemplars add {HANDLE} t.csv\n" in done.out
    assert exemplars.suggest(HANDLE, len(frame)).equals(frame)

    half = frame.index < len(frame) // 2
    table.loc[half, "clarity"] = [TRUTH.get(text, "poor") or "0,5" for text in frame.loc[half, "text"]]
    table.to_csv("filled.csv", index=False, sep=";", encoding="utf-8-sig", quoting=csv.QUOTE_ALL)
    assert 0 == run_command("add", HANDLE, "filled.csv").code
    left = exemplars.suggest(HANDLE, 1_000)
    assert sorted(frame.loc[~half, "text"]) == sorted(left["text"])


def test_half_are_in_the_middle_and_the_same_are_suggested_again(models: Path, run_command: Command) -> None:
    write_own(models, list(TRUTH))
    frame = exemplars.suggest(HANDLE, 16)
    told = exemplars.suggest(HANDLE, len(TRUTH))["clarity_suggested"]

    assert frame.equals(exemplars.suggest(HANDLE, 16))
    assert (16, 16) == (len(frame), frame["text"].nunique())
    # The axis says nothing of more of them than of all texts.
    assert {"Clear", ""} <= {*frame["clarity_suggested"]}
    assert (frame["clarity_suggested"] == "").mean() >= (told == "").mean()


@pytest.mark.parametrize(
    ("seeds", "model", "columns"),
    [
        (write_lines(*({"content": text, "clarity": 1} for text in PLAIN_TEXTS)), MODEL, ["id", "text"]),
        # Columns that a trait's labels take.
        ("", "traits: [{type: spectrum, key: id}, {type: spectrum, key: text}]\n", ["text_id", "content"]),
        ("", f"language: hi\n{MODEL}", ["id", "text"]),
    ],
)
def test_without_an_axis_texts_are_spread_and_nothing_is_said_of_them(
    models: Path, run_command: Command, tmp_path: Path, seeds: str, model: str, columns: list[str]
) -> None:
    write_own(models, [*PLAIN_TEXTS, *TRUTH], seeds, model)
    frame = exemplars.suggest(HANDLE, 6)
    keys = [name for name in frame if f"{name}_suggested" in frame]

    assert (6, columns) == (len(frame), list(frame.columns[:2]))
    assert {""} == {label for key in keys for name in (key, f"{key}_suggested") for label in frame[name]}
    frame[keys[-1]] = "good"
    frame.to_csv(tmp_path / "t.csv", index=False)
    assert 6 == run_command("add", HANDLE, str(tmp_path / "t.csv"), "--json").facts["added"][keys[-1]].popitem()[1]


@pytest.mark.parametrize(
    ("texts", "arguments", "said"),
    [
        (
            ["A text."],
            ("--to", "t.csv", "--count", "0"),
            "0 texts cannot be suggested. Ask for 1 to 1,000 with --count",
        ),
        (["A text."], ("--to", "t.csv", "--count", "1001"), "1,001 texts cannot be suggested"),
        (["A text."], ("--to", "t.xlsx"), "t.xlsx is no name of a CSV file. Give one that ends in .csv as --to"),
        (["A text."], ("--to", "there.csv"), "there.csv exists, and may have labels of yours. Give a new file as --to"),
        (["A text."], ("--to", "no/t.csv"), "there is no folder to write to"),
        (
            [PLAIN_TEXTS[0]],
            ("--to", "t.csv"),
            "all its texts have a label. Name some in the `sources` of its model.yaml",
        ),
        ([], ("--to", "t.csv"), "found no text; allowed: at least one"),
    ],
)
def test_what_cannot_be_suggested_is_said_and_nothing_is_written(
    models: Path,
    run_command: Command,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    texts: list[str],
    arguments: Sequence[str],
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("there.csv").write_bytes(b"mine")
    write_own(models, texts)
    before = read_files(tmp_path)
    done = run_command("suggest", HANDLE, *arguments)

    assert (2, before) == (done.code, read_files(tmp_path))
    assert said in done.err


def test_model_without_own_texts_is_told_where_to_name_them(models: Path, run_command: Command) -> None:
    write_model(models, ("samples.jsonl", SEEDS))
    done = run_command("suggest", HANDLE, "--to", "/tmp/t.csv")
    assert 2 == done.code
    assert (
        "it has no texts without labels. Name some in the `sources` of its model.yaml: {type: texts, path" in done.err
    )
