"""The command ``test``: what a model's samples reach on labelled texts, and one message for whatever is wrong."""

import csv
import io
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from fakes.commands import Command
from fakes.stored import HANDLE, PLAIN_TEXTS, STIFF_TEXTS, attach_poles, write_lines, write_model

from engine.quality.real_texts import Labelled, hold_against
from engine.store.layout import SAMPLES
from engine.text.embedding import SentenceEncoder

REAL_PLAIN = (
    "Save the file, then reload the page.",
    "The printer stops when the tray is empty.",
    "Each user has one mailbox of five gigabytes.",
)
REAL_STIFF = (
    "Cessation of print operations obtains upon exhaustion of the media receptacle.",
    "Mailbox allocation is subject to a quota governance regime.",
    "Remediation of connectivity degradation may be realised by power-state cycling.",
)
OWN_PLAIN, OWN_STIFF = "Open the page and press Save.", "Persistence is effected via the interface."
LABELLED: list[tuple[str, object]] = [
    *((text, "Clear") for text in REAL_PLAIN),
    *((text, "Obscure") for text in REAL_STIFF),
]
REAL = ("test", HANDLE, "--real", "real.csv")


@pytest.fixture(autouse=True)
def _real(folder: Path) -> None:
    """Labelled texts in the current folder."""
    write_real(*LABELLED)


def write_real(*rows: tuple[str, object], field: str = "clarity") -> None:
    with Path("real.csv").open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([("content", field), *rows])


def reach(plain: tuple[str, ...], stiff: tuple[str, ...]) -> float:
    encoder = SentenceEncoder()
    samples, real = (
        Labelled(encoder.embed([*one, *other]), [True] * len(one) + [False] * len(other))
        for one, other in ((plain, stiff), (REAL_PLAIN, REAL_STIFF))
    )
    held = hold_against(samples, real)
    assert held is not None
    return held.reach.auc


def test_json_has_what_the_axis_of_the_samples_and_of_the_seeds_reaches(folder: Path, run_command: Command) -> None:
    write_real(*LABELLED, (PLAIN_TEXTS[0].upper(), "Obscure"), ("open the page and press save", 1), ("So-so.", 0.5))
    found = run_command(*REAL, "--json").facts
    clarity, safety = found["traits"]

    assert (HANDLE, "real.csv") == (found["handle"], found["file"])
    assert {"positive": 5, "negative": 5} == clarity["samples"]
    assert {"positive": 1, "negative": 1} == clarity["seeds"]
    assert {"positive": 3, "negative": 3} == clarity["texts"]
    assert {"attached": 1, "authored": 1, "between": 1} == clarity["left_out"]
    assert reach(PLAIN_TEXTS, STIFF_TEXTS) == clarity["attached"]["auc"]
    assert reach((OWN_PLAIN,), (OWN_STIFF,)) == clarity["authored"]["auc"]
    assert reach((*PLAIN_TEXTS, OWN_PLAIN), (*STIFF_TEXTS, OWN_STIFF)) == clarity["together"]["auc"]
    assert clarity["attached"]["low"] < clarity["attached"]["auc"] <= clarity["attached"]["high"]
    assert (None, f"{HANDLE} has no attached samples at both poles of safety") == (
        safety["attached"],
        safety["why"].partition(". ")[0],
    )


def test_texts_that_are_got_most_wrong_are_shown_on_one_line_each(folder: Path, run_command: Command) -> None:
    long = "Press the red button and the door shuts,\nand do " + "so again " * 20
    write_real(*LABELLED, (long, "Obscure"), ("So-so.", 0.5))
    code, out, _ = run_command(*REAL)
    lines = out.splitlines()
    [wrong] = [line for line in lines if "the red button" in line]
    [worst] = run_command(*REAL, "--json").facts["traits"][0]["worst"]

    assert 0 == code
    assert wrong.startswith("  line 8     Obscure +0.")
    assert " the door shuts, and do" in wrong
    assert wrong.endswith("…")
    assert [] == [line for line in lines if len(line) > 80]
    assert any("7 real texts (3 Clear, 4 Obscure) on the other pole's" in line for line in lines)
    assert "clarity: left out: 1 between the poles" in lines
    assert (8, "negative", long.strip()) == (worst["line"], worst["pole"], worst["text"])


def test_samples_that_make_the_seeds_worse_are_told(folder: Path, run_command: Command) -> None:
    said = "clarity: the attached samples make the authored ones worse here: look at them before you train"
    good = run_command(*REAL, "--trait", "clarity").text
    seeds = [{"content": f"{text} So.", "clarity": 1} for text in REAL_PLAIN]
    seeds += [{"content": f"{text} So.", "clarity": 0} for text in REAL_STIFF]
    write_model(folder / "models", ("seeds.jsonl", write_lines(*seeds)))
    (folder / "samples").rename(folder / "away")
    attach_poles(folder / "samples", {"clarity": {"positive": STIFF_TEXTS, "negative": PLAIN_TEXTS}})

    assert said not in good
    assert said in run_command(*REAL, "--trait", "clarity").text


def test_seeds_that_lack_a_pole_are_a_dash_and_a_trait_that_is_named_needs_no_field_of_its_own(
    folder: Path, run_command: Command
) -> None:
    write_model(folder / "models", ("seeds.jsonl", write_lines({"content": OWN_PLAIN, "clarity": 1})))
    write_real(*LABELLED, field="label")
    told = run_command(*REAL, "--trait", "Clarity")
    [found] = run_command(*REAL, "--trait", "clarity", "--json").facts["traits"]

    assert ("clarity", None) == (found["trait"], found["authored"])
    assert any(line.split()[:1] == ["clarity"] and line.split()[5:6] == ["–"] for line in told.out.splitlines())
    assert "real texts (3 Clear, 3 Obscure) on the other pole's side" in told.text


def test_file_may_come_through_standard_input(
    folder: Path, run_command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(Path("real.csv").read_bytes())))
    piped = run_command("test", HANDLE, "--real", "-", "--json").facts["traits"]

    assert run_command(*REAL, "--json").facts["traits"] == piped


HINDI = "यह एक सरल वाक्य है जिसे हर कोई आसानी से समझता है।"
CLARITY = ("--real", "real.csv", "--trait", "clarity")
WRONG: dict[str, tuple[Callable[[Path], object], tuple[str, ...], str]] = {
    "no file": (lambda _: None, ("--real", "nowhere.csv"), "nowhere.csv is not there. Give --real a CSV or JSONL file"),
    "a folder": (lambda _: None, ("--real", "models"), "models cannot be read: Is a directory"),
    "no file is named": (lambda _: None, (), "Missing option '--real'"),
    "one label only": (
        lambda _: write_real(*LABELLED[:3]),
        CLARITY,
        "real.csv has texts of one pole only for clarity. Add some that are Obscure",
    ),
    "no text": (lambda _: write_real(), ("--real", "real.csv"), "real.csv has no labelled texts. Write one a line"),
    "nothing but samples": (
        lambda _: write_real(*((text, 1) for text in PLAIN_TEXTS), *((text, 0) for text in STIFF_TEXTS)),
        CLARITY,
        "no texts for clarity to hold its samples against (10 an attached sample itself left out). Label some",
    ),
    "a trait that is none": (
        lambda _: None,
        ("--real", "real.csv", "--trait", "claritty"),
        "u22a8.test has no trait 'claritty'. It has: clarity, safety. Did you mean 'clarity'?",
    ),
    "a trait without samples": (
        lambda _: write_real(*LABELLED, field="safety"),
        ("--real", "real.csv", "--trait", "safety"),
        "u22a8.test has no attached samples for safety in",
    ),
    "nothing attached": (
        lambda folder: (folder / "samples").rename(folder / "away"),
        ("--real", "real.csv"),
        "u22a8.test has no attached samples in",
    ),
    "a language of texts that the encoder does not know": (
        lambda _: write_real((HINDI, "Clear"), (f"{HINDI} {HINDI}", "Obscure")),
        ("--real", "real.csv"),
        "real.csv: the texts are in Hindi. The offline encoder does not know that language",
    ),
    "a language of the model that the encoder does not know": (
        lambda folder: (folder / "models" / HANDLE / "model.yaml").open("a").write("language: hi\n"),
        ("--real", "real.csv"),
        "The texts of u22a8.test are in Hindi (model.yaml says so). The offline encoder does not know",
    ),
}


@pytest.mark.parametrize("case", list(WRONG))
def test_what_is_wrong_is_one_message(folder: Path, run_command: Command, case: str) -> None:
    spoil, arguments, expected = WRONG[case]
    spoil(folder)
    ended = run_command("test", HANDLE, *arguments)

    assert 2 == ended.code
    assert expected in ended.message


def test_samples_that_cannot_be_read_are_the_stores_fault(folder: Path, run_command: Command) -> None:
    [file] = folder.rglob(SAMPLES)
    file.write_bytes(b"no parquet")
    ended = run_command(*REAL)

    assert 3 == ended.code
    assert "cannot be read" in ended.message
