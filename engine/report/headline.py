"""States what came of a run in one line, the same wherever a result stands, and lists the run's warnings."""

from collections.abc import Sequence

from engine.choosing.choice import Choice
from engine.choosing.rounds import NOTHING_TELLS, Rounds
from engine.domain.verdict import Verdict
from engine.text.formatting import count_noun

NOTHING_ATTACHED = "nothing attached"


def state_headline(attached: int, warnings: Sequence[str], synth_type: str, proposed: bool = False) -> str:
    """States what came of a run: “32 attached, with 2 warnings: look before you train”.

    Where nothing tells the poles of a trait apart, that stands in the place of the advice.

    Args:
        attached: how many exemplars are attached; 0 for a run that attached nothing.
        warnings: those on them.
        proposed: whether they wait for a person's word, and are not attached as yet.
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
