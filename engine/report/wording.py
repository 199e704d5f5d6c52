"""Explains reason codes, names suites, and describes votes, for the report and the run page."""

from collections.abc import Iterable, Mapping
from typing import Any

from engine.domain.model import POLES, Pole
from engine.domain.samples import Reason
from engine.domain.votes import VoteCounts
from engine.text.formatting import count_noun, name_plainly

# Pairs of texts of a trait that are shown before all figures.
SHOWN_PAIRS = 3
EXPLANATIONS: Mapping[Reason, str] = {
    "unreadable": "The reply could not be read as an exemplar: it was empty, or not in the form that was asked for.",
    "wrong_label": "It was asked for at one pole and reads as the other.",
    "too_short": "It has less than half of the fewest words of its length, or too few for any text.",
    "too_long": "It has more than one and a half times the most words of its length.",
    "truncated": "It breaks off before its end.",
    "meta_talk": "It talks about the task (“Here is an example …”), or begins as many others do (“Sure, here is …”).",
    "placeholder": "It leaves a gap to be filled in, such as [name] or [TBD].",
    "label_leak": "It names the trait or the pole, or repeats the definition, so that a scorer learns those words.",
    "prompt_echo": "It repeats the instructions that the model was given.",
    "wrong_language": "It is not in the model's language.",
    "duplicate": "It says word for word what another sample says.",
    "near_duplicate": "It differs from another sample in a few words only.",
    "seed_copy": "It copies one of the authored samples.",
    "held_out_overlap": "It is too similar to a text of the other pool; training and evaluation texts are kept apart.",
    "refused": "The provider refused to write it.",
    "cell_failed": "A call for it, or for its judgment, failed for good.",
    "voice_drift": "It no longer sounds like the seed that it is a variation of.",
    "off_pole": "It reads as neither pole: it is too near the middle.",
    "surplus": (
        "It is to spare: nothing is wrong with it by itself, but it was not needed, its pair lacks the other half, or "
        "the set as a whole failed."
    ),
    "removed": "A person took it off the set after it was attached.",
    "left_out": "A person who reviewed the set left it out.",
    "refused_before": "It is like a text that a person has refused.",
}

_SUITES: Mapping[str, str] = {
    "run": "This run",
    "whole": "All that is attached",
    "held_out": "Held-out texts",
}


def pick_pairs(rows: Iterable[Mapping[str, Any]], trait: str) -> list[Mapping[Pole, str]]:
    """Picks the first texts of a trait, one of each pole side by side.

    Args:
        rows: with ``trait``, ``pole`` and ``text``.
    """
    texts: dict[Pole, list[str]] = {pole: [] for pole in POLES}
    for row in rows:
        if row["trait"] == trait:
            texts[row["pole"]].append(row["text"])
    pairs: list[Mapping[Pole, str]] = [
        {"positive": positive, "negative": negative}
        for positive, negative in zip(texts["positive"], texts["negative"], strict=False)
    ]
    return pairs[:SHOWN_PAIRS]


def name_suite(suite: str) -> str:
    """Names a suite in plain words."""
    return _SUITES.get(suite, name_plainly(suite))


def describe_votes(votes: VoteCounts) -> str:
    """Describes the judge's votes in one line: “openai/gpt-4.1-mini: 60 votes on 40 texts; 3 texts divided, …”."""
    return (
        f"{votes.judge}: {count_noun(votes.votes, 'vote')} on {count_noun(votes.texts, 'text')}; "
        f"{count_noun(votes.disagreements, 'text')} divided, {count_noun(votes.ties, 'vote')} for neither pole, "
        f"{votes.invalid:,} unreadable"
    )
