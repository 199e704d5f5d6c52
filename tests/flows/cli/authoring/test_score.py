"""The command ``score``: where one text lies on each trait's axis, and one message for whatever is wrong."""

import io
import json
import sys
from dataclasses import asdict
from pathlib import Path

import pytest
from fakes.builders import make_exemplar, make_level, make_model, make_stamp, make_test_plan
from fakes.commands import Command
from fakes.stored import HANDLE, PLAIN_TEXTS, POLE_TEXTS, STIFF_TEXTS, attach_poles, write_model

from engine.quality.breaks import measure_breaks
from engine.quality.real_texts import MAX_CHARACTERS
from engine.quality.separation import score_others
from engine.report.summary import list_review, make_kept_rows
from engine.screening.screener import Screener
from engine.selection.rounds import Rounds
from engine.store.sample_set import SampleSet
from engine.store.store import write_set
from engine.text.embedding import SentenceEncoder

PLAIN = "Press Save and wait for the green tick."
OTHER_WORDS = (
    "It takes about as long as a walk round the lake.",
    "Nobody has asked for it since the summer, and the shop sold out.",
    "Mind the dog, the wet paint and the loose third step.",
)
STIFF = "Modification persistence is contingent upon invocation of the commitment control."


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model with attached samples of one of its two traits."""
    write_model(tmp_path / "models")
    attach_poles(tmp_path / "samples", POLE_TEXTS)
    monkeypatch.setenv("EXEMPLARS_MODELS_URI", str(tmp_path / "models"))
    monkeypatch.setenv("EXEMPLARS_SAMPLES_URI", str(tmp_path / "samples"))
    return tmp_path


@pytest.mark.usefixtures("folder")
def test_json_has_score_pole_grade_and_breaks_of_each_trait_with_samples(run_command: Command) -> None:
    [found] = run_command("score", HANDLE, PLAIN, "--json").facts["traits"]
    vectors = SentenceEncoder().embed([*PLAIN_TEXTS, *STIFF_TEXTS, PLAIN])
    positive = [True] * 5 + [False] * 5
    breaks = measure_breaks(vectors[:-1], positive, [*"abcde", *"abcde"])
    [score] = score_others(vectors[:-1], positive, vectors[-1:])

    assert breaks is not None
    assert ("clarity", score, "positive") == (found["trait"], found["score"], found["leans_to"])
    assert [breaks.developing, breaks.solid, breaks.strong] == [
        found["breaks"][name] for name in ("developing", "solid", "strong")
    ]
    assert (breaks.grade(score).band, "high") == (found["grade"], found["confidence"])
    assert "negative" == run_command("score", HANDLE, STIFF, "--json").facts["traits"][0]["leans_to"]


def test_breaks_are_those_of_the_report(folder: Path, run_command: Command) -> None:
    """Of a run's set with pairs and single texts, read from the store again."""
    made = [
        make_exemplar(f"{text} {OTHER_WORDS[number]}", pole, 10 * number + index)
        for number in range(3)
        for pole, texts in POLE_TEXTS["clarity"].items()
        for index, text in enumerate(texts)
        if (number, index, pole) not in ((0, 1, "positive"), (1, 3, "negative"), (2, 0, "negative"))
    ]
    made.sort(key=lambda exemplar: exemplar.order)
    plan = make_test_plan(make_model(), make_level(15))
    rounds = Rounds(plan, Screener(plan, use_lengths=False), 1, SentenceEncoder(), strict=False)
    rounds.take(made)
    [separation] = list_review(rounds)
    (folder / "samples").rename(folder / "away")
    stamp = make_stamp()
    write_set(
        str(folder / "samples"),
        SampleSet(stamp, "train", "attached", "plan", make_kept_rows(rounds, stamp), [], {}, {}),
    )
    [found] = run_command("score", HANDLE, PLAIN, "--trait", "clarity", "--json").facts["traits"]

    assert separation.outlook is not None
    assert separation.outlook.breaks is not None
    assert len(made) == len(separation.outlook.scores)
    assert json.loads(json.dumps(asdict(separation.outlook.breaks))) == found["breaks"]


@pytest.mark.usefixtures("folder")
def test_terminal_has_a_line_for_each_trait(run_command: Command) -> None:
    code, out, _ = run_command("score", HANDLE, STIFF, "--trait", "Clarity")
    lines = out.splitlines()

    assert 0 == code
    assert ["clarity", "Obscure", "below", "developing", "high"] == [
        word for word in lines[1].split() if not word.startswith("-0.")
    ]
    assert "developing from -0." in out
    assert "with 5 attached samples a pole the breaks are not sure" in out
    assert [] == [line for line in lines if len(line) > 80]


@pytest.mark.parametrize(
    ("plain", "stiff", "said"),
    [
        (PLAIN_TEXTS[:3], STIFF_TEXTS[:3], "no grade, since a pole has fewer than 4 attached samples"),
        (PLAIN_TEXTS[:2] + STIFF_TEXTS[:3], STIFF_TEXTS[3:] + PLAIN_TEXTS[2:], "samples of the two poles overlap"),
    ],
)
def test_without_a_grade_it_says_why(
    folder: Path, run_command: Command, plain: tuple[str, ...], stiff: tuple[str, ...], said: str
) -> None:
    attach_poles(folder / "own", {"clarity": {"positive": plain, "negative": stiff}})
    (folder / "samples").rename(folder / "away")
    (folder / "own").rename(folder / "samples")
    _, out, _ = run_command("score", HANDLE, PLAIN)

    assert said in out
    assert None is run_command("score", HANDLE, PLAIN, "--json").facts["traits"][0]["grade"]


@pytest.mark.usefixtures("folder")
def test_text_may_come_through_standard_input(run_command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    given = run_command("score", HANDLE, PLAIN, "--json").facts
    for content in (f"\n{PLAIN}\r\n".encode(), b"\xef\xbb\xbf" + PLAIN.encode()):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))

        assert given == run_command("score", HANDLE, "-", "--json").facts


@pytest.mark.parametrize(
    ("text", "piped", "said"),
    [
        (" \n", None, "The text is empty. Give at least a sentence"),
        ("a " * (MAX_CHARACTERS // 2 - 1) + "bcd", None, "The text is longer than 20,000 characters. Give a"),
        ("यह एक सरल वाक्य है जिसे हर कोई समझता है।", None, "The text is in Hindi. The offline encoder does not know"),
        ("-", b"", "The text is empty. Give at least a sentence"),
        ("-", b"\xff\xfe", "is not UTF-8"),
        ("-", b"\xff " * 10**6, "longer than 20,000"),
    ],
    ids=["blank", "long", "of another language", "empty input", "no UTF-8", "long input"],
)
@pytest.mark.usefixtures("folder")
def test_text_that_cannot_be_placed_is_one_message(
    run_command: Command, monkeypatch: pytest.MonkeyPatch, text: str, piped: bytes | None, said: str
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(piped or b"")))
    ended = run_command("score", HANDLE, text)

    assert 2 == ended.code
    assert said in ended.message


@pytest.mark.usefixtures("folder")
def test_text_of_the_greatest_length_is_placed(run_command: Command) -> None:
    assert 0 == run_command("score", HANDLE, "a " * (MAX_CHARACTERS // 2 - 1) + "bc").code


def test_model_without_samples_of_both_poles_is_told_how_to_get_some(folder: Path, run_command: Command) -> None:
    (folder / "samples").rename(folder / "away")
    none = run_command("score", HANDLE, PLAIN)
    attach_poles(folder / "samples", {"clarity": {"positive": PLAIN_TEXTS, "negative": ()}})
    one = run_command("score", HANDLE, PLAIN, "--trait", "clarity")

    assert (2, 2) == (none.code, one.code)
    assert f"{HANDLE} has no attached samples in" in none.message
    assert f"'exemplars synthesize {HANDLE}'" in none.message
    assert "has no attached samples at both poles of clarity" in one.message
