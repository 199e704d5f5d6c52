"""The command ``add``: what it says of a table, what it writes, and one message for whatever is wrong."""

import io
import json
import sys
from pathlib import Path

import pytest
from fakes.commands import Command
from fakes.stored import HANDLE, read_files, write_lines, write_model

# As LibreOffice writes it on a German machine, with the column of a label that was only suggested.
TABLE = (
    '\ufeff"id";"text";"clarity";"clarity_suggested";"safety"\r\n'
    '"1";"Drücken Sie „Sichern“;\r\nfertig.";"Clear";;"0,5"\r\n'
    '"2";"Noch offen.";;"Obscure";\r\n'
    '"3";"Die Persistierung obliegt dem Modul.";"poor";"Clear";\r\n'
)
LINES = [
    {"content": "Drücken Sie „Sichern“;\r\nfertig.", "clarity": 1.0, "safety": 0.5},
    {"content": "Die Persistierung obliegt dem Modul.", "clarity": 0.0},
]


@pytest.fixture
def folder(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a model with one sample; the current folder has a table."""
    monkeypatch.chdir(tmp_path)
    Path("t.csv").write_bytes(TABLE.encode())
    return write_model(models, ("samples.jsonl", write_lines({"content": "Press Save.", "clarity": 1})))


def test_table_is_planned_added_and_added_no_second_time(
    folder: Path, run_command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = read_files(folder)
    planned = run_command("add", HANDLE, "t.csv", "--dry-run")
    assert before == read_files(folder)
    added = run_command("add", HANDLE, "t.csv")
    after = read_files(folder)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(TABLE.encode())))
    again = run_command("add", HANDLE, "-", "--json").facts

    labels = "  clarity: 1 × Clear, 1 × Obscure\n  safety: 1 × 0.5\n  1 text without a label\n"
    assert f"{HANDLE}: 3 labels would be added to {HANDLE}/samples.jsonl\n{labels}" == planned.out
    assert (0, f"{HANDLE}: 3 labels added to {HANDLE}/samples.jsonl\n{labels}") == (added.code, added.out)
    assert LINES == [json.loads(line) for line in (folder / "samples.jsonl").read_text().splitlines()[1:]]
    assert ({}, 3, 1, after) == (again["added"], again["known"], again["unlabelled"], read_files(folder))
    assert f"{HANDLE}: no mistakes, 4 samples" in run_command("validate", HANDLE, "--no-hints").out


@pytest.mark.parametrize(
    ("name", "content", "code", "said"),
    [
        ("none.csv", None, 2, "none.csv cannot be read: No such file or directory. Give a CSV, JSONL or Parquet file"),
        ("t.xlsx", "PK", 2, "labelled texts are read from CSV (.csv, UTF-8, with a header row), JSONL"),
        ("t.csv", "text;tone\r\nOne.;1\r\n", 2, "t.csv:1: fields: found text, tone; allowed: labels for u22a8.test"),
        (
            "t.csv",
            "text;clarity\r\nOne.;\r\n",
            2,
            "t.csv has no labelled texts: no line has a label in clarity. Write one a line",
        ),
        ("t.csv", "text;clarity\r\nOne.;1\r\n;1\r\n", 2, "t.csv:3: text: found nothing; allowed: a text that is not"),
        ("t.csv", "text;clarity\r\nOne.;1\r\nTwo.;Cler\r\n", 2, "t.csv:3: clarity: found 'Cler'; allowed: 'Clear', 'O"),
        (
            "t.csv",
            "text;clarity\r\nPress Save.;0\r\n",
            2,
            "t.csv:2: clarity: found 'Obscure', where u22a8.test/samples",
        ),
        ("t.jsonl", "garbage\n" * 1_000_000, 2, "t.jsonl, up to line 20: 20 mistakes."),
        ("t.csv", "text;clarity\n\x00\udcff;1\n", 2, "bytes that are not UTF-8"),
        ("t.csv", "sep=;\r\ntext;clarity\r\nOne\0.;1\r\n", 2, "t.csv:3: text: found a NUL character"),
    ],
)
def test_what_is_wrong_is_one_message_and_nothing_is_written(
    folder: Path, run_command: Command, name: str, content: str | None, code: int, said: str
) -> None:
    if content is not None:
        Path(name).write_bytes(content.encode("utf-8", "surrogateescape"))
    before = read_files(folder)
    ended = run_command("add", HANDLE, name)

    assert (code, True) == (ended.code, said in ended.message), ended
    assert before == read_files(folder)


def test_model_without_traits_is_told_what_it_lacks(folder: Path, run_command: Command) -> None:
    (folder / "model.yaml").write_text("traits: discover\n")

    assert "traits is 'discover', so there are no trait definitions" in run_command("add", HANDLE, "t.csv").message
    assert "No model 'u22a8.tset'" in run_command("add", "u22a8.tset", "t.csv").message


@pytest.mark.slow
def test_catalogue_of_an_object_store_takes_them_too(
    s3_uri: str, folder: Path, run_command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    from engine.definitions.loader import load_model
    from engine.system.filesystem import replace_file

    (folder / "samples.jsonl").unlink()
    replace_file(f"{s3_uri}/{HANDLE}/model.yaml", (folder / "model.yaml").read_bytes().partition(b"sources")[0])
    monkeypatch.setenv("EXEMPLARS_MODELS_URI", s3_uri)
    for _ in range(2):
        assert 0 == run_command("add", HANDLE, "t.csv").code

    assert [(line["content"], line["clarity"]) for line in LINES] == [
        (seed.text, seed.quality) for seed in load_model(s3_uri, HANDLE).seeds if seed.trait == "clarity"
    ]
