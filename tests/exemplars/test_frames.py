"""Data frames in, data frames and short results out: the commands for labelled texts, from Python."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from fakes.stored import (
    HANDLE,
    PLAIN_TEXTS,
    POLE_TEXTS,
    STIFF_TEXTS,
    attach_poles,
    read_files,
    write_lines,
    write_model,
)
from fakes.workspace import ROOT

import exemplars
from engine.domain.samples import SAMPLE_SCHEMA
from engine.errors import DefinitionError, InputError, UnknownModelError

WRITING = "u22a8.technical-writing"
PLAIN, STIFF = "Save the file, then reload the page.", "Cessation of print operations obtains upon exhaustion."
REAL = pd.DataFrame(
    {
        "text": [PLAIN, STIFF, "Each user has one mailbox.", "Allocation is subject to a governance regime."],
        "clarity": pd.Categorical(["Clear", "Obscure", "Clear", "Obscure"]),
    }
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a model with a seed a pole and attached samples of one of its two traits."""
    monkeypatch.setenv("EXEMPLARS_MODELS_URI", str(tmp_path / "models"))
    monkeypatch.setenv("EXEMPLARS_SAMPLES_URI", str(tmp_path / "samples"))
    attach_poles(tmp_path / "samples", POLE_TEXTS)
    seeds = write_lines(
        {"content": "Press Save.", "clarity": 1},
        {"content": "Persistence is effected.", "clarity": 0, "safety": 0.5},
    )
    return write_model(tmp_path / "models", ("own.jsonl", seeds))


def test_only_public_names_are_offered() -> None:
    assert sorted(exemplars.__all__) == dir(exemplars)
    assert {"add_samples", "load_samples", "score", "test", "validate"} <= set(dir(exemplars))


def test_labels_of_a_frame_are_planned_and_added_to_a_committed_model(folder: Path) -> None:
    own = Path(shutil.copytree(ROOT / "data" / "models" / WRITING, folder.parent / WRITING))
    frame = pd.DataFrame(
        {
            "id": [7, 8, 9],
            "content": ["Größe: „neu“; 👍\nfertig.", "Noch offen.", "設定を保存します。"],
            "clarity": pd.array([1, pd.NA, 0], dtype="Int64"),
            "actionability": ["good", None, ""],
            "clarity_suggested": [np.nan, 0.2, 0.4],
        },
        index=[3, 3, 3],
    )
    before = read_files(own)
    planned = exemplars.add_samples(WRITING, frame, dry_run=True)
    assert before == read_files(own)
    added = exemplars.add_samples(WRITING, frame)

    assert repr(planned) == repr(added).replace(" added to", " would be added to")
    assert [
        f"{WRITING}: 3 labels added to {WRITING}/samples.jsonl",
        "  clarity: 1 × Clear, 1 × Obscure",
        "  actionability: 1 × Actionable",
        "  1 text without a label",
    ] == repr(added).splitlines()
    assert 3 == exemplars.add_samples(WRITING, frame).known


def test_wrong_row_is_named_by_its_number_and_what_is_no_frame_refused(folder: Path) -> None:
    before = read_files(folder)
    with pytest.raises(DefinitionError, match=r"frame:3: clarity: found 'Cler'.* Did you mean 'Clear'"):
        exemplars.add_samples(HANDLE, pd.DataFrame({"text": ["a", "b", "c"], "clarity": ["Clear", None, "Cler"]}))
    twice = pd.DataFrame([["a", 1, 0]], columns=["text", "clarity", "clarity"])
    for frame in (REAL.to_dict(), REAL.head(0), pd.DataFrame(), twice):
        with pytest.raises(InputError, match="labelled texts must be a pandas data frame with rows, and with each"):
            exemplars.add_samples(HANDLE, frame)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="frame has no labelled texts"):
        exemplars.add_samples(HANDLE, pd.DataFrame({"text": ["a"], "clarity": [None]}))
    with pytest.raises(UnknownModelError):
        exemplars.add_samples("u22a8.tset", REAL)
    assert before == read_files(folder)


def test_samples_are_evaluated_on_a_frame_as_by_the_command(folder: Path) -> None:
    found = exemplars.test(HANDLE, REAL)
    only = exemplars.test(HANDLE, REAL.rename(columns={"clarity": "label"}), "clarity")
    [clarity, safety] = found.traits

    assert (HANDLE, "frame", {"positive": 2, "negative": 2}) == (found.handle, found.file, clarity.texts)
    assert clarity.attached is not None
    assert (clarity,) == only.traits
    first, line, lack = repr(found).splitlines()
    assert f"{HANDLE}: samples evaluated on frame" == first
    assert line.startswith(f"  clarity: attached samples {clarity.attached.auc:.2f} (")
    assert line.endswith(f"; {clarity.wrong_side} of 4 real texts on the wrong side")
    assert f"  safety: {safety.why}" == lack


def test_texts_are_scored_in_a_frame(folder: Path) -> None:
    found = exemplars.score(HANDLE, REAL["text"])
    single = exemplars.score(HANDLE, PLAIN, "clarity")

    assert ["text", "trait", "score", "leans_to", "grade", "confidence"] == list(found.columns)
    assert ([PLAIN, STIFF], {"clarity"}) == (list(found["text"][:2]), set(found["trait"]))
    assert ["positive", "negative"] == list(found["leans_to"][:2])
    pd.testing.assert_frame_equal(found.head(1), single, rtol=1e-5)
    for texts, said in (([], "nothing to score"), ([PLAIN, None], "not a text"), ([PLAIN, " "], "^Text 2 is empty")):
        with pytest.raises(InputError, match=said):
            exemplars.score(HANDLE, texts)  # type: ignore[arg-type]


def test_model_is_validated(folder: Path) -> None:
    right = exemplars.validate(HANDLE, hints=False)
    (folder / "own.jsonl").open("a").write('{"content": "One.", "clarity": "Cler"}\n')
    wrong = exemplars.validate(HANDLE)

    assert (True, f"{HANDLE}: no mistakes, 3 samples") == (right.is_valid, repr(right))
    assert [f"{HANDLE}: 1 mistake", f"  {HANDLE}/own.jsonl:3: clarity: found 'Cler'"] == [
        line.split(";")[0] for line in repr(wrong).splitlines()
    ]


def test_authored_samples_come_before_attached_ones_with_the_columns_of_the_store(folder: Path) -> None:
    attached, found = exemplars.load_samples(HANDLE), exemplars.load_samples(HANDLE, authored=True)
    own = found.head(3)

    assert SAMPLE_SCHEMA.names == list(found.columns) == list(attached.columns)
    assert [*PLAIN_TEXTS, *STIFF_TEXTS] == list(found["text"][3:])
    assert [("clarity", 1.0, "positive"), ("clarity", 0.0, "negative"), ("safety", 0.5, None)] == [
        (trait, quality, pole if isinstance(pole, str) else None)
        for trait, quality, pole in zip(own["trait"], own["quality"], own["pole"], strict=True)
    ]
    assert (["authored"] * 3, 3) == (list(own["provenance"]), own["run_id"].isna().sum())
    assert 13 == found["id"].nunique()
    with pytest.raises(InputError, match=r"Load them separately"):
        exemplars.load_samples(HANDLE, "eval", authored=True)
