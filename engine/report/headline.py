"""States what came of a run in one line, the same wherever a result stands, and lists the run's warnings."""

from engine.quality.verdict import Verdict
from engine.selection.choice import Choice
from engine.selection.rounds import Rounds
from engine.text.formatting import count_noun

NOTHING_ATTACHED = "nothing attached"


def state_headline(attached: int, warnings: int, synth_type: str, proposed: bool = False) -> str:
    """States what came of a run: “32 attached, with 2 warnings: look before you train”.

    Args:
        attached: how many exemplars are attached; 0 for a run that attached nothing.
        warnings: how many warnings there are on them.
        proposed: whether they wait for a person's word, and are not attached as yet.
        synth_type: what ``enrich`` makes is never attached (the platform's contract, section 4), so it is called
            otherwise.
    """
    if proposed:
        found = f", with {count_noun(warnings, 'warning')}" if warnings else ""
        return f"{attached:,} proposed{found}: nothing is attached until they are reviewed"
    held_out = synth_type == "enrich"
    headline = f"{f'{attached:,}' if attached else 'nothing'} {'set aside for evaluation' if held_out else 'attached'}"
    if not attached or not warnings:
        return headline
    return f"{headline}, with {count_noun(warnings, 'warning')}: look before you {'evaluate' if held_out else 'train'}"


def state_outcome(rounds: Rounds, verdict: Verdict) -> str:
    """States what came of a run that has a verdict."""
    attached = len(rounds.choice.chosen) if verdict.success else 0
    return state_headline(attached, len(list_warnings(rounds, verdict)), rounds.plan.synth_type, verdict.proposed)


def list_warnings(rounds: Rounds, verdict: Verdict) -> tuple[str, ...]:
    """Lists the gate's warnings and those of the review, a sentence or two each: what was found and what to do."""
    return (*verdict.warnings, *rounds.explain_review())


def count_others(choice: Choice) -> str:
    """Counts what was not chosen: “9 rejected, 87 to spare”."""
    return describe_others(choice.count_rejected(), choice.count_spare())


def describe_others(rejected: int, spare: int) -> str:
    """Describes what was not chosen; what is to spare was not rejected, since nothing is wrong with it."""
    return f"{rejected:,} rejected, {spare:,} to spare" if spare else f"{rejected:,} rejected"
