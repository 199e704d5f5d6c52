"""Words what came of a run, the same wherever it stands: the headline, the warnings, the reason codes and the votes."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from engine.choosing.choice import Choice
from engine.choosing.rounds import NOTHING_TELLS, Rounds
from engine.domain.model import POLES, Pole
from engine.domain.samples import Reason
from engine.domain.verdict import Verdict
from engine.domain.votes import VoteCounts
from engine.text.formatting import count_noun, name_plainly

NOTHING_ATTACHED = "nothing attached"
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


def state_headline(attached: int, warnings: Sequence[str], synth_type: str, proposed: bool = False) -> str:
    """States what came of a run: “32 attached, with 2 warnings: look before you train”.

    Where nothing tells the poles of a trait apart, that stands in the place of the advice.

    Args:
        attached: how many exemplars are attached; 0 for a run that attached nothing.
        warnings: those on them.
        proposed: whether they wait for a person's decision, and are not attached as yet.
        synth_type: what ``enrich`` makes is never attached (the platform's contract, section 4), so it is called
            otherwise.
    """
    if proposed:
        found = f", with {count_noun(len(warnings), 'warning')}" if warnings else ""
        return f"{attached:,} proposed{found}: nothing is attached until they are reviewed"
    held_out = synth_type == "enrich"
    headline = f"{f'{attached:,}' if attached else 'nothing'} {'set aside for evaluation' if held_out else 'attached'}"
    if not attached or not warnings:
        return headline
    untold = next((item.partition(": ")[2] for item in warnings if f": {NOTHING_TELLS} " in item), "")
    advice = untold.partition(" (")[0] or f"look before you {'evaluate' if held_out else 'train'}"
    return f"{headline}, with {count_noun(len(warnings), 'warning')}: {advice}"


def state_outcome(rounds: Rounds, verdict: Verdict) -> str:
    """States what came of a run that has a verdict."""
    attached = len(rounds.choice.chosen) if verdict.success else 0
    return state_headline(attached, list_warnings(rounds, verdict), rounds.plan.synth_type, verdict.proposed)


def describe_made(rounds: Rounds) -> str:
    """Describes in a sentence how many exemplars were made for each pole, and how many others there are."""
    plan = rounds.plan
    if plan.lacking is None:
        made = f"{plan.wanted} for each pole of {count_noun(len(plan.model.traits), 'trait')}"
    else:
        made = f"{sum(plan.quotas.values()):,} that had been lacking"
    return f"{made}; {count_others(rounds.choice)}."


def list_warnings(rounds: Rounds, verdict: Verdict) -> tuple[str, ...]:
    """Lists the gate's warnings and those of the review, a sentence or two each: what was found and what to do."""
    return (*verdict.warnings, *rounds.explain_recheck())


def count_others(choice: Choice) -> str:
    """Counts what was not chosen: “9 rejected, 87 to spare”."""
    return describe_others(choice.count_rejected(), choice.count_spare())


def describe_others(rejected: int, spare: int) -> str:
    """Describes what was not chosen; what is to spare was not rejected, since nothing is wrong with it."""
    return f"{rejected:,} rejected, {spare:,} to spare" if spare else f"{rejected:,} rejected"


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
