"""The command ``score``: where one text lies on each trait's axis, and one message for whatever is wrong."""

import io
import shutil
import sys
from pathlib import Path

import pytest
from fakes.commands import Command, Said
from fakes.stored import HANDLE, PLAIN_TEXTS, STIFF_TEXTS, attach_poles

from engine.quality.breaks import measure_breaks
from engine.quality.real_texts import MAX_CHARACTERS
from engine.quality.separation import score_others
from engine.text.embedding import SentenceEncoder

PLAIN = "Press Save and wait for the green tick."
STIFF = "Modification persistence is contingent upon invocation of the commitment control."


@pytest.mark.usefixtures("folder")
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
    assert (breaks.grade(score).band, "high") == (found["grade"], found["confidence"])
    assert ["clarity", "Obscure", "below", "developing", "high"] == [
        word for word in told.splitlines()[1].split() if not word.startswith("-0.")
    ]
    assert "with 5 attached samples a pole the breaks are not sure" in told
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"\xef\xbb\xbf\n" + PLAIN.encode() + b"\r\n")))
    assert facts == run_command("score", HANDLE, "-", "--json").facts
    # The longest that is placed.
    assert 0 == run_command("score", HANDLE, "a " * (MAX_CHARACTERS // 2 - 1) + "bc").code


@pytest.mark.parametrize(
    ("text", "piped", "said"),
    [
        (" \n", b"", "The text is empty. Give at least a sentence"),
        ("a " * (MAX_CHARACTERS // 2 - 1) + "bcd", b"", "The text is longer than 20,000 characters. Give a"),
        ("यह एक सरल वाक्य है जिसे हर कोई समझता है।", b"", "The text is in Hindi. The offline encoder does not know"),
        ("-", b"\xff\xfe", "is not UTF-8"),
        ("-", b"\xff " * 10**6, "longer than 20,000"),
    ],
    ids=["blank", "long", "of another language", "no UTF-8", "long input"],
)
@pytest.mark.usefixtures("folder")
def test_text_that_cannot_be_placed_is_one_message(
    run_command: Command, monkeypatch: pytest.MonkeyPatch, text: str, piped: bytes, said: str
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(piped)))
    ended = run_command("score", HANDLE, text)

    assert 2 == ended.code
    assert said in ended.message


def test_without_a_grade_it_says_why_and_without_samples_how_to_get_some(folder: Path, run_command: Command) -> None:
    def score(plain: tuple[str, ...], stiff: tuple[str, ...], *options: str) -> Said:
        shutil.rmtree(folder / "samples", ignore_errors=True)
        attach_poles(folder / "samples", {"clarity": {"positive": plain, "negative": stiff}})
        return run_command("score", HANDLE, PLAIN, *options)

    few = score(PLAIN_TEXTS[:3], STIFF_TEXTS[:3])
    mixed = score(PLAIN_TEXTS[:2] + STIFF_TEXTS[:3], STIFF_TEXTS[3:] + PLAIN_TEXTS[2:])
    one = score(PLAIN_TEXTS, (), "--trait", "clarity")

    assert "no grade, since a pole has fewer than 4 attached samples" in few.out
    assert "samples of the two poles overlap" in mixed.out
    assert (2, True) == (one.code, "has no attached samples at both poles of clarity" in one.message)
