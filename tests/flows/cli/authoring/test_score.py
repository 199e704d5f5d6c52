"""The command ``score``: where one text lies on each trait's axis, and one message for whatever is wrong."""

import io
import sys
from pathlib import Path

import pytest
from fakes.commands import Command
from fakes.stored import HANDLE, PLAIN_TEXTS, STIFF_TEXTS, attach_poles

from engine.quality.breaks import measure_breaks
from engine.quality.real_texts import MAX_CHARACTERS
from engine.quality.separation import score_others
from engine.text.embedding import SentenceEncoder

PLAIN = "Press Save and wait for the green tick."
STIFF = "Modification persistence is contingent upon invocation of the commitment control."


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
    # The longest that is placed.
    assert 0 == run_command("score", HANDLE, "a " * (MAX_CHARACTERS // 2 - 1) + "bc").code


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


def test_model_without_samples_of_both_poles_is_told_how_to_get_some(folder: Path, run_command: Command) -> None:
    (folder / "samples").rename(folder / "away")
    none = run_command("score", HANDLE, PLAIN)
    attach_poles(folder / "samples", {"clarity": {"positive": PLAIN_TEXTS, "negative": ()}})
    one = run_command("score", HANDLE, PLAIN, "--trait", "clarity")

    assert (2, 2) == (none.code, one.code)
    assert f"{HANDLE} has no attached samples in" in none.message
    assert f"'exemplars synthesize {HANDLE}'" in none.message
    assert "has no attached samples at both poles of clarity" in one.message
