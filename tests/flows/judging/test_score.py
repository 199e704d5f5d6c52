"""The command ``score``: where one text lies on each trait's axis, and one message for whatever is wrong."""

import io
import sys

import pytest
from fakes.commands import Command
from fakes.stored import HANDLE, PLAIN_TEXTS, STIFF_TEXTS

from engine.axis.breaks import measure_breaks
from engine.axis.separation import score_others
from engine.judging.real_texts import MAX_CHARACTERS
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
        ("यह एक सरल वाक्य है जिसे हर कोई समझता है।", b"", "The text is in Hindi. The offline encoder does not know"),
        ("-", b"\xff\xfe", "is not UTF-8"),
    ],
    ids=["blank", "long", "of another language", "no UTF-8"],
)
@pytest.mark.usefixtures("folder")
def test_text_that_cannot_be_placed_is_one_message(
    run_command: Command, monkeypatch: pytest.MonkeyPatch, text: str, piped: bytes, said: str
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(piped)))
    ended = run_command("score", HANDLE, text)

    assert 2 == ended.code
    assert said in ended.message
