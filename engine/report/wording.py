"""Describe the outcome of a run, in the same words everywhere: the headline, the warnings, reason codes, remedies."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from engine.choosing.choice import Choice
from engine.choosing.diversity import MIN_TEXTS as MIN_DIVERSITY_TEXTS
from engine.choosing.probe import MIN_TEXTS as MIN_PROBE_TEXTS
from engine.choosing.run_state import REPLY_REASONS, RunState
from engine.domain.definition import Pole
from engine.domain.finding import Finding
from engine.domain.model import POLES
from engine.domain.samples import Reason, Row, count_reasons
from engine.domain.verdict import Verdict
from engine.domain.votes import VoteCounts, count_votes
from engine.rules.rules import RULES_BY_CODE
from engine.screening.sense import UNANSWERED
from engine.text.formatting import capitalise, count_noun, describe_others, join_words, name_reason, quote_reply

NOTHING_ATTACHED = "nothing attached"
# The number of a trait's pairs of texts that are shown above all figures.
SHOWN_PAIRS = 3
_FOR_UNREAD_VOTES = "most of the judge's votes on them cannot be read, so take another judge (EXEMPLARS_JUDGE_MODEL)"
_FOR_OWN_PLAIN = "change the {}, or take a chat model: this one is not shown the brief. No reply is asked for twice"
_FOR_UNANSWERED = "take a judge that answers it (EXEMPLARS_JUDGE_MODEL)"
_SEE_GATE = "see the gate's results in the report, and fix the samples or the suite that they name"
QUOTED = 2
OWN_WORDS: Mapping[Reason, str] = {"own_rule": "rule", "own_question": "question"}

_SUITES: Mapping[str, str] = {
    "run": "This run",
    "whole": "All that is attached",
    "held_out": "Held-out texts",
}


def state_headline(attached: int, findings: Sequence[Finding], synth_type: str, proposed: bool = False) -> str:
    """State the outcome of a run: “32 attached, with 2 warnings: look before you train”.

    The headline of a finding, such as that a trait's poles are inseparable, replaces the advice.

    Args:
        synth_type: a set of ``enrich`` is never attached, but set aside (the platform's contract, section 4).
        proposed: whether the exemplars wait for a person's decision.
    """
    if proposed:
        warned = f", with {count_noun(len(findings), 'warning')}" if findings else ""
        return f"{attached:,} proposed{warned}: nothing is attached until they are reviewed"
    held_out = synth_type == "enrich"
    headline = f"{f'{attached:,}' if attached else 'nothing'} {'set aside for evaluation' if held_out else 'attached'}"
    if not attached or not findings:
        return headline
    advice = next((item.headline for item in findings if item.headline), "")
    advice = advice or f"look before you {'evaluate' if held_out else 'train'}"
    return f"{headline}, with {count_noun(len(findings), 'warning')}: {advice}"


def describe_verdict(state: RunState, verdict: Verdict) -> tuple[str, str]:
    """Describe a verdict in a headline and a sentence: the generated exemplars, or the failure and its remedy."""
    attached = len(state.choice.chosen) if verdict.success else 0
    headline = state_headline(attached, verdict.findings, state.plan.synth_type, verdict.proposed)
    return headline, describe_counts(state) if verdict.success else explain_failure(state, verdict)


def explain_failure(state: RunState, verdict: Verdict) -> str:
    """Explain a failed verdict: the number of missing exemplars and the main reason, or the gate's findings."""
    if hopeless := state.hopeless_rule:
        kind, quoted = OWN_WORDS[hopeless.reason], join_words([quote_reply(text) for text in hopeless.texts])
        remedy = RULES_BY_CODE[hopeless.reason].remedy
        if state.plan.level.completes:
            remedy = _FOR_OWN_PLAIN.format(kind)
        if hopeless.rule.endswith(UNANSWERED):
            remedy = _FOR_UNANSWERED
        return (
            f"the {kind} “{hopeless.rule}” rejected {hopeless.rejected:,} of {hopeless.candidates:,} texts that it "
            f"checked, such as {quoted}; no more were requested. {capitalise(remedy)}."
        )
    if state.is_hopeless:
        return _explain_hopeless(state)
    missing = sum(state.choice.shortfall.values())
    if missing:
        return _explain_shortfall(state, missing)
    more = len(verdict.failed) - 1
    also = f" (and {count_noun(more, 'more finding')})" if more > 0 else ""
    return f"{verdict.failed[0].rstrip('.')}{also}; {_SEE_GATE}."


def describe_counts(state: RunState) -> str:
    """Describe in a sentence the number of exemplars for each pole, and the number of rejected and surplus ones."""
    plan = state.plan
    if plan.missing is None:
        chosen = f"{plan.max_quota} for each pole of {count_noun(len(plan.model.traits), 'trait')}"
    else:
        chosen = f"{sum(plan.quotas.values()):,} that were missing"
    return f"{chosen}; {count_others(state.choice)}.{_name_skipped(min(filter(None, plan.quotas.values()), default=0))}"


def count_others(choice: Choice) -> str:
    """Count the exemplars that were not chosen: “9 rejected, 87 surplus”."""
    counts = count_reasons(choice.rejected)
    spare = counts.pop("surplus", 0)
    return describe_others(sum(counts.values()), spare)


def pick_pairs(rows: Iterable[Mapping[str, Any]], trait: str) -> list[Mapping[Pole, str]]:
    """Pick the first texts of a trait, one of each pole side by side."""
    trait_rows = [row for row in rows if row["trait"] == trait]
    texts = ([row["text"] for row in trait_rows if row["pole"] == pole] for pole in POLES)
    pairs: list[Mapping[Pole, str]] = [dict(zip(POLES, pair, strict=True)) for pair in zip(*texts, strict=False)]
    return pairs[:SHOWN_PAIRS]


def mark_rejected(row: Row) -> Row:
    """Return the row with its reason below its text."""
    return row | {"text": f"{row['text']}\n[{name_reason(row['reason'] or '')}]"}


def name_suite(suite: str) -> str:
    """Return the readable name of a suite of the gate; an author's suite keeps its name."""
    return _SUITES.get(suite, suite)


def describe_votes(votes: VoteCounts) -> str:
    """Describe the judge's votes in one line: “openai/gpt-4.1-mini: 60 votes on 40 texts; 3 texts divided, …”."""
    return (
        f"{votes.judge}: {count_noun(votes.votes, 'vote')} on {count_noun(votes.texts, 'text')}; "
        f"{count_noun(votes.disagreements, 'text')} divided, {count_noun(votes.ties, 'vote')} for neither pole, "
        f"{votes.invalid:,} unreadable"
    )


def _name_skipped(fewest: int) -> str:
    """Name the checks that need more texts at a pole; empty if all are made."""
    skipped = [
        *(["how well the poles are separated"] if fewest < MIN_PROBE_TEXTS else []),
        *(["diversity, word order, likeness to the seeds"] if fewest < MIN_DIVERSITY_TEXTS else []),
    ]
    return f" Not checked, because there are too few texts ({fewest} a pole): {', '.join(skipped)}." if skipped else ""


def _explain_hopeless(state: RunState) -> str:
    """Explain a first round without a usable reply, by its most frequent reason, with two of the replies."""
    rejected = state.exemplars
    counts = count_reasons(rejected)
    reasons = ", ".join(f"{count:,} {name_reason(reason)}" for reason, count in counts.items())
    first = next(reason for reason in counts if reason in REPLY_REASONS)
    replies = (item.detail if item.text is None else item.text for item in rejected if item.reason == first)
    quoted = [quote_reply(reply) for reply in dict.fromkeys(replies)][:QUOTED]
    return (
        f"none of the {len(rejected):,} replies of the first round can be used ({reasons}), such as "
        f"{' and '.join(quoted)}; no more were requested, since {RULES_BY_CODE[first].remedy}. The replies are "
        "kept and not paid for again; to retry the same model, type "
        f"'exemplars prune --replies {state.plan.model.handle}' first."
    )


def _explain_shortfall(state: RunState, missing: int) -> str:
    shortfall = state.choice.shortfall
    quota = sum(state.plan.quotas.values())
    after = count_noun(state.round_no, "round")
    finding = f"{missing:,} of {count_noun(quota, 'exemplar')} {'is' if missing == 1 else 'are'} lacking after {after}"
    others = [item for item in state.choice.rejected if shortfall[item.trait, item.pole]]
    counts = count_reasons(others)
    spare = counts.pop("surplus", 0)
    if not counts and spare:
        return f"{finding}; {spare:,} surplus there, but not in pairs: {RULES_BY_CODE['surplus'].remedy}."
    if not counts:
        return f"{finding}, since nothing came back; see the provider's message in the log, and start again."
    reason, count = next(iter(counts.items()))
    unread = sum(count_votes([item.votes]).invalid > len(item.votes) / 2 for item in others if item.reason == reason)
    remedy = _FOR_UNREAD_VOTES if unread > count / 2 else RULES_BY_CODE[reason].remedy
    return f"{finding}; {sum(counts.values()):,} rejected there, {count:,} of them as {name_reason(reason)}: {remedy}."
