"""The commands ``test`` and ``score``: what they say of texts, and one message for whatever is wrong."""

import csv
import io
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from fakes.commands import Command
from fakes.stored import HANDLE, PLAIN_TEXTS, POLE_TEXTS, STIFF_TEXTS, attach_poles, write_lines, write_model

from engine.axis.breaks import measure_breaks
from engine.axis.separation import score_others
from engine.evaluation.real_texts import MAX_CHARACTERS, measure_reach
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
FILE = ("--real", "real.csv")
REAL = ("test", HANDLE, *FILE)
CLARITY = (*FILE, "--trait", "clarity")
Spoil = Callable[[Path], object]
PLAIN = "Press Save and wait for the green tick."
STIFF = "Modification persistence is contingent upon invocation of the commitment control."
HINDI = "यह एक सरल वाक्य है जिसे हर कोई आसानी से समझता है।"


@pytest.fixture(autouse=True)
def folder(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: a model with a seed a pole, attached samples of one of its two traits, and labelled texts."""
    seeds = write_lines({"content": OWN_PLAIN, "clarity": 1}, {"content": OWN_STIFF, "clarity": 0})
    write_model(models, ("seeds.jsonl", seeds))
    attach_poles(tmp_path / "samples", POLE_TEXTS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EXEMPLARS_SAMPLES_URI", str(tmp_path / "samples"))
    write_real(*LABELLED)
    return tmp_path


def write_real(*rows: tuple[str, object], field: str = "clarity") -> None:
    with Path("real.csv").open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([("content", field), *rows])


def reach(samples: tuple[Sequence[str], Sequence[str]], real: tuple[Sequence[str], Sequence[str]]) -> float:
    encoder = SentenceEncoder()
    known, unseen = (
        (encoder.embed([*plain, *stiff]), [True] * len(plain) + [False] * len(stiff))
        for plain, stiff in (samples, real)
    )
    measured = measure_reach(score_others(*known, unseen[0]), unseen[1])
    assert measured is not None
    return measured.auc


def test_it_says_what_the_axes_of_samples_and_seeds_reach_and_which_texts_they_get_most_wrong(
    run_command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = "Press the red button and the door shuts,\nand do " + "so again " * 20
    copies = [(PLAIN_TEXTS[0].upper(), "Obscure"), ("open the page and press save", 1)]
    write_real(*LABELLED, (wrong, "Obscure"), ("So-so.", 0.5), *copies)
    told = run_command(*REAL)
    found = run_command(*REAL, "--json").facts
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(Path("real.csv").read_bytes())))
    piped = run_command("test", HANDLE, "--real", "-", "--json").facts
    clarity, safety = found["traits"]
    real = (REAL_PLAIN, (*REAL_STIFF, wrong))

    assert (HANDLE, "real.csv", piped["traits"]) == (found["handle"], found["file"], found["traits"])
    assert {"positive": 5, "negative": 5} == clarity["samples"]
    assert {"positive": 1, "negative": 1} == clarity["seeds"]
    assert {"positive": 3, "negative": 4} == clarity["texts"]
    assert {"attached": 1, "authored": 1, "between": 1} == clarity["left_out"]
    assert reach((PLAIN_TEXTS, STIFF_TEXTS), real) == clarity["attached"]["auc"]
    assert reach(([OWN_PLAIN], [OWN_STIFF]), real) == clarity["authored"]["auc"]
    assert reach(((*PLAIN_TEXTS, OWN_PLAIN), (*STIFF_TEXTS, OWN_STIFF)), real) == clarity["together"]["auc"]
    assert clarity["attached"]["low"] < clarity["attached"]["auc"] <= clarity["attached"]["high"]
    assert (8, "negative", wrong.strip()) == tuple(clarity["worst"][0][name] for name in ("line", "pole", "text"))
    assert (None, True) == (safety["attached"], "no attached samples at both poles of safety" in safety["why"])
    assert "7 real texts (3 Clear, 4 Obscure) on the other pole's" in told.text


def test_samples_that_make_the_seeds_worse_are_told(folder: Path, run_command: Command) -> None:
    said = (
        "clarity: the attached samples make the authored ones worse here: look at them before you train clarity: more "
    )
    # A trait that is named needs no field of its own.
    write_real(*LABELLED, field="label")
    good = run_command(*REAL, "--trait", "Clarity").text
    seeds = [{"content": f"{text} So.", "clarity": 1} for text in REAL_PLAIN]
    seeds += [{"content": f"{text} So.", "clarity": 0} for text in REAL_STIFF]
    write_model(folder / "models", ("seeds.jsonl", write_lines(*seeds)))
    same = run_command(*REAL, "--trait", "clarity").text
    (folder / "samples").rename(folder / "away")
    attach_poles(folder / "samples", {"clarity": {"positive": STIFF_TEXTS, "negative": PLAIN_TEXTS}})

    assert said not in good
    told = run_command(*REAL, "--trait", "clarity").text
    assert f"{said}labels would bring more than another run" in told
    assert "clarity: the attached samples alone may be no better than chance here: the interval begins at" in told
    assert "clarity: the attached samples add nothing to the authored ones here clarity:" in same


def test_score_gives_no_breaks_where_the_poles_overlap(folder: Path, run_command: Command) -> None:
    apart = run_command("score", HANDLE, "Press Save.").text
    (folder / "samples").rename(folder / "away")
    mixed = [text for pair in zip(PLAIN_TEXTS, STIFF_TEXTS, strict=True) for text in pair]
    attach_poles(folder / "samples", {"clarity": {"positive": mixed[:5], "negative": mixed[5:]}})
    overlapping = run_command("score", HANDLE, "Press Save.").text

    assert (True, False) == tuple("clarity: developing from" in said for said in (apart, overlapping))
    assert "clarity: no grade, since the attached samples of the two poles overlap" in overlapping


def forget_samples(folder: Path) -> None:
    (folder / "samples").rename(folder / "away")


def forget_seeds(folder: Path) -> None:
    forget_samples(folder)
    write_model(folder / "models", ("seeds.jsonl", write_lines({"content": OWN_PLAIN, "clarity": 1})))


def test_before_there_is_a_set_the_authored_samples_are_the_baseline(folder: Path, run_command: Command) -> None:
    forget_samples(folder)
    clarity, _ = run_command(*REAL, "--json").facts["traits"]

    assert (None, None) == (clarity["attached"], clarity["together"])
    assert reach(([OWN_PLAIN], [OWN_STIFF]), (REAL_PLAIN, REAL_STIFF)) == clarity["authored"]["auc"]
    assert "nothing attached as yet: a run is worth it if it reaches more than the authored" in run_command(*REAL).text


def set_hindi(folder: Path) -> None:
    (folder / "models" / HANDLE / "model.yaml").open("a").write("language: hi\n")


@pytest.mark.parametrize(
    ("spoil", "arguments", "code", "said"),
    [
        (print, ("--real", "nowhere.csv"), 2, "No such file or directory. Give a CSV, JSONL or Parquet file"),
        (lambda _: write_real(*LABELLED[:3]), CLARITY, 2, "texts of one pole only for clarity. Add some that are Obsc"),
        (lambda _: write_real(), FILE, 2, "real.csv has no labelled texts: no line has a label in clarity. Write"),
        (lambda _: write_real((PLAIN_TEXTS[0], 1)), CLARITY, 2, "no texts for clarity to evaluate its samples on"),
        (print, (*FILE, "--trait", "claritty"), 2, "It has: clarity, safety"),
        (print, (*FILE, "--trait", "safety"), 2, "allowed: labels for u22a8.test, in safety"),
        (forget_seeds, FILE, 2, "has no attached samples at both poles of clarity"),
        (lambda _: write_real((HINDI, 1), (f"{HINDI} {HINDI}", 0)), FILE, 2, "real.csv: the texts are in Hindi. The"),
        (set_hindi, FILE, 2, "The texts of u22a8.test are in Hindi (model.yaml says so). The offline encoder"),
        (lambda folder: next(folder.rglob(SAMPLES)).write_bytes(b"no parquet"), FILE, 3, "cannot be read"),
    ],
)
def test_what_is_wrong_is_one_message(
    folder: Path, run_command: Command, spoil: Spoil, arguments: tuple[str, ...], code: int, said: str
) -> None:
    spoil(folder)
    ended = run_command("test", HANDLE, *arguments)

    assert code == ended.code
    assert said in ended.message


def test_each_trait_with_samples_has_score_pole_grade_and_breaks_as_json_and_on_a_line(
    run_command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = run_command("score", HANDLE, PLAIN, "--json").facts
    told = run_command("score", HANDLE, STIFF, "--trait", "Clarity").out
    [found] = facts["traits"]
    vectors = SentenceEncoder().embed([*PLAIN_TEXTS, *STIFF_TEXTS, PLAIN])
    positive = [True] * 5 + [False] * 5
    breaks = measure_breaks(vectors[:-1], positive, [*"abcde", *"abcde"])
    [score] = score_others(vectors[:-1], positive, vectors[-1:])

    assert breaks is not None
    assert ("clarity", score, "positive") == (found["trait"], found["score"], found["leans_to"])
    assert [breaks.developing, breaks.solid, breaks.strong] == [
        found["breaks"][name] for name in ("developing", "solid", "strong")
    ]
    assert {"band": breaks.grade(score).band, "confidence": "high"} == found["grade"]
    assert ["clarity", "Obscure", "below", "developing", "high"] == [
        word for word in told.splitlines()[1].split() if not word.startswith("-0.")
    ]
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"\xef\xbb\xbf\n" + PLAIN.encode() + b"\r\n")))
    assert facts == run_command("score", HANDLE, "-", "--json").facts
    # The longest that is placed.
    assert 0 == run_command("score", HANDLE, "a " * (MAX_CHARACTERS // 2 - 1) + "bc").code


@pytest.mark.parametrize(
    ("text", "piped", "said"),
    [
        (" \n", b"", "The text is empty. Give at least a sentence"),
        ("a " * (MAX_CHARACTERS // 2 - 1) + "bcd", b"", "The text is longer than 20,000 characters. Give a"),
        (HINDI, b"", "The text is in Hindi. The offline encoder does not know"),
        ("-", b"\xff\xfe", "is not UTF-8"),
    ],
    ids=["blank", "long", "of another language", "no UTF-8"],
)
def test_text_that_cannot_be_placed_is_one_message(
    run_command: Command, monkeypatch: pytest.MonkeyPatch, text: str, piped: bytes, said: str
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(piped)))
    ended = run_command("score", HANDLE, text)

    assert 2 == ended.code
    assert said in ended.message
