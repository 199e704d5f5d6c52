"""Words what came of a run, the same wherever it stands: the headline, the warnings, the reason codes, what to do."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from engine.choosing.choice import Choice
from engine.choosing.diversity import MIN_TEXTS as VARIETY_FROM
from engine.choosing.probe import MIN_TEXTS as TOLD_FROM
from engine.choosing.rounds import INSEPARABLE, REPLY_REASONS, Rounds
from engine.domain.model import POLES, Pole
from engine.domain.samples import Reason, Row, count_reasons
from engine.domain.verdict import Verdict
from engine.domain.votes import VoteCounts, count_votes
from engine.screening.sense import UNANSWERED
from engine.text.formatting import capitalise, count_noun, describe_others, join_words, name_reason, quote_reply

NOTHING_ATTACHED = "nothing attached"
# Pairs of texts of a trait that are shown before all figures.
SHOWN_PAIRS = 3
EXPLANATIONS: Mapping[Reason, str] = {
    "unreadable": "The reply could not be read as an exemplar: it was empty, or not in the form that was asked for.",
    "wrong_label": "It was asked for at one pole and found at the other, so it was not kept.",
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
    "held_out_overlap": "It is too similar to a text of the other pool, or of the source `texts`: they are kept apart.",
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
    "own_rule": "It breaks a rule of the author's, which `detail` names.",
    "own_question": (
        "The judge answers a question of the author's, which `detail` has, otherwise than expected, or not at all."
    ),
    "no_sense": "The judge says that no person would have written it and meant it.",
}

_FOR_REPETITION = "the synth model repeats itself, so take a stronger one or a higher temperature (data/effort.yaml)"
_FOR_STRAYING = "the synth model does not keep to what it is asked for, so take a stronger one (data/effort.yaml)"
_FOR_UNCLEAR_POLES = "make description and seeds tell the poles apart more clearly, or take a stronger synth model"
_FOR_MORE_ROUNDS = "give the effort more top_up_rounds (data/effort.yaml): kept replies are not paid for again"
_FOR_UNREAD_VOTES = "most of the judge's votes on them cannot be read, so take another judge (EXEMPLARS_JUDGE_MODEL)"

_FOR_OWN = "say it in the brief of model.yaml (failure_modes), or change the {}: no reply is asked for twice"
_FOR_OWN_PLAIN = "change the {}, or take a chat model: this one is not shown the brief. No reply is asked for twice"
_FOR_UNANSWERED = "take a judge that answers it (EXEMPLARS_JUDGE_MODEL)"

_SEE_GATE = "see the gate's results in the report, and fix the samples or the suite that they name"

REMEDIES: Mapping[Reason, str] = {
    "unreadable": (
        "they are not what was asked for: text that can be read and, from a chat model, in JSON. Take a stronger "
        "model, or one with structured outputs (EXEMPLARS_SYNTH_MODEL), or see what its server makes of replies"
    ),
    "wrong_label": _FOR_UNCLEAR_POLES,
    "too_short": _FOR_STRAYING,
    "too_long": _FOR_STRAYING,
    "truncated": (
        "they end before their texts do. Give the model's server a larger context and more output tokens, let it think "
        "less, or take another model (EXEMPLARS_SYNTH_MODEL)"
    ),
    "meta_talk": _FOR_STRAYING,
    "placeholder": _FOR_STRAYING,
    "label_leak": (
        "take words that such texts need anyway out of the trait's labels and description, or take a stronger synth "
        "model"
    ),
    "prompt_echo": _FOR_STRAYING,
    "wrong_language": "say which is wanted in the field 'language' of model.yaml, or take a synth model that writes it",
    "duplicate": _FOR_REPETITION,
    "near_duplicate": _FOR_REPETITION,
    "seed_copy": _FOR_REPETITION,
    "held_out_overlap": _FOR_MORE_ROUNDS,
    "refused": "the provider refused to write it, so reword the model's brief or take another synth model",
    "cell_failed": "see the log for what the provider said, and start again: what was answered is kept",
    "voice_drift": "add seeds in the voice that is wanted, or take a stronger synth model",
    "off_pole": _FOR_UNCLEAR_POLES,
    "surplus": _FOR_MORE_ROUNDS,
    "removed": "fill up what is lacking: a run with `--only-lacking` does",
    "left_out": _FOR_MORE_ROUNDS,
    "refused_before": _FOR_REPETITION,
    "own_rule": _FOR_OWN.format("rule"),
    "own_question": _FOR_OWN.format("question"),
    "no_sense": "they read as nonsense to the judge, so take a stronger synth model or a lower temperature",
}

QUOTED = 2
OWN_WORDS: Mapping[Reason, str] = {"own_rule": "rule", "own_question": "question"}

_SUITES: Mapping[str, str] = {
    "run": "This run",
    "whole": "All that is attached",
    "held_out": "Held-out texts",
}


def state_headline(attached: int, warnings: Sequence[str], synth_type: str, proposed: bool = False) -> str:
    """States what came of a run: “32 attached, with 2 warnings: look before you train”.

    Where nothing tells the poles of a trait apart, that stands in the place of the advice.

    Args:
        synth_type: what ``enrich`` makes is never attached, but set aside (the platform's contract, section 4).
        proposed: whether the exemplars wait for a person's decision.
    """
    if proposed:
        found = f", with {count_noun(len(warnings), 'warning')}" if warnings else ""
        return f"{attached:,} proposed{found}: nothing is attached until they are reviewed"
    held_out = synth_type == "enrich"
    headline = f"{f'{attached:,}' if attached else 'nothing'} {'set aside for evaluation' if held_out else 'attached'}"
    if not attached or not warnings:
        return headline
    inseparable = next((item.partition(": ")[2] for item in warnings if f": {INSEPARABLE} " in item), "")
    advice = inseparable.partition(" (")[0] or f"look before you {'evaluate' if held_out else 'train'}"
    return f"{headline}, with {count_noun(len(warnings), 'warning')}: {advice}"


def describe_verdict(rounds: Rounds, verdict: Verdict) -> tuple[str, str]:
    """Describes a verdict in a headline and a sentence: what was made, or what failed and what to do."""
    attached = len(rounds.choice.chosen) if verdict.success else 0
    headline = state_headline(attached, verdict.warnings, rounds.plan.synth_type, verdict.proposed)
    return headline, describe_counts(rounds) if verdict.success else explain_failure(rounds, verdict)


def explain_failure(rounds: Rounds, verdict: Verdict) -> str:
    """Explains a failed verdict: how many exemplars are lacking and the main reason, or what the gate found."""
    if hopeless := rounds.hopeless_rule:
        what, quoted = OWN_WORDS[hopeless.reason], join_words([quote_reply(text) for text in hopeless.texts])
        remedy = (_FOR_OWN_PLAIN if rounds.plan.level.completes else _FOR_OWN).format(what)
        if hopeless.rule.endswith(UNANSWERED):
            remedy = _FOR_UNANSWERED
        return (
            f"the {what} “{hopeless.rule}” rejected {hopeless.rejected:,} of {hopeless.candidates:,} texts that came "
            f"to it, such as {quoted}; no more was asked. {capitalise(remedy)}."
        )
    if rounds.is_hopeless:
        return _explain_hopeless(rounds)
    lacking = sum(rounds.choice.shortfall.values())
    if lacking:
        return _explain_shortfall(rounds, lacking)
    more = len(verdict.failed) - 1
    also = f" (and {count_noun(more, 'more finding')})" if more > 0 else ""
    return f"{verdict.failed[0].rstrip('.')}{also}; {_SEE_GATE}."


def describe_counts(rounds: Rounds) -> str:
    """Describes in a sentence how many exemplars were made for each pole, and how many others there are."""
    plan = rounds.plan
    if plan.missing is None:
        made = f"{plan.max_quota} for each pole of {count_noun(len(plan.model.traits), 'trait')}"
    else:
        made = f"{sum(plan.quotas.values()):,} that had been lacking"
    return f"{made}; {count_others(rounds.choice)}.{_name_unmade(min(filter(None, plan.quotas.values()), default=0))}"


def count_others(choice: Choice) -> str:
    """Counts what was not chosen: “9 rejected, 87 surplus”."""
    counts = count_reasons(choice.rejected)
    spare = counts.pop("surplus", 0)
    return describe_others(sum(counts.values()), spare)


def pick_pairs(rows: Iterable[Mapping[str, Any]], trait: str) -> list[Mapping[Pole, str]]:
    """Pick the first texts of a trait, one of each pole side by side."""
    own = [row for row in rows if row["trait"] == trait]
    texts = ([row["text"] for row in own if row["pole"] == pole] for pole in POLES)
    pairs: list[Mapping[Pole, str]] = [dict(zip(POLES, pair, strict=True)) for pair in zip(*texts, strict=False)]
    return pairs[:SHOWN_PAIRS]


def mark_rejected(row: Row) -> Row:
    """Return the row with its reason below its text."""
    return row | {"text": f"{row['text']}\n[{name_reason(row['reason'] or '')}]"}


def name_suite(suite: str) -> str:
    """Names a suite of the gate in plain words; an author's has the name that the author gave it."""
    return _SUITES.get(suite, suite)


def describe_votes(votes: VoteCounts) -> str:
    """Describes the judge's votes in one line: “openai/gpt-4.1-mini: 60 votes on 40 texts; 3 texts divided, …”."""
    return (
        f"{votes.judge}: {count_noun(votes.votes, 'vote')} on {count_noun(votes.texts, 'text')}; "
        f"{count_noun(votes.disagreements, 'text')} divided, {count_noun(votes.ties, 'vote')} for neither pole, "
        f"{votes.invalid:,} unreadable"
    )


def _name_unmade(fewest: int) -> str:
    """Names the checks that so few texts at a pole are too few for; empty where all are made."""
    unmade = [
        *(["how well the poles are told apart"] if fewest < TOLD_FROM else []),
        *(["variety, word order, likeness to the seeds"] if fewest < VARIETY_FROM else []),
    ]
    return f" Not checked, for want of texts ({fewest} a pole): {', '.join(unmade)}." if unmade else ""


def _explain_hopeless(rounds: Rounds) -> str:
    """Explains a first round of which nothing can be used by its most frequent reason, with two of its replies."""
    rejected = rounds.exemplars
    counts = count_reasons(rejected)
    reasons = ", ".join(f"{count:,} {name_reason(reason)}" for reason, count in counts.items())
    first = next(reason for reason in counts if reason in REPLY_REASONS)
    told = (item.detail if item.text is None else item.text for item in rejected if item.reason == first)
    quoted = [quote_reply(said) for said in dict.fromkeys(told)][:QUOTED]
    return (
        f"none of the {len(rejected):,} replies of the first round can be used ({reasons}), such as "
        f"{' and '.join(quoted)}; no more was asked, since {REMEDIES[first]}. The replies are kept and not paid for "
        f"again; to ask the same model anew, type 'exemplars prune --replies {rounds.plan.model.handle}' first."
    )


def _explain_shortfall(rounds: Rounds, lacking: int) -> str:
    shortfall = rounds.choice.shortfall
    wanted = sum(rounds.plan.quotas.values())
    after = count_noun(rounds.round_no, "round")
    said = f"{lacking:,} of {count_noun(wanted, 'exemplar')} {'is' if lacking == 1 else 'are'} lacking after {after}"
    others = [item for item in rounds.choice.rejected if shortfall[item.trait, item.pole]]
    counts = count_reasons(others)
    spare = counts.pop("surplus", 0)
    if not counts and spare:
        return f"{said}; {spare:,} to spare there, but not in pairs: {REMEDIES['surplus']}."
    if not counts:
        return f"{said}, since nothing came back; see the log for what the provider said, and start again."
    reason, count = next(iter(counts.items()))
    unread = sum(count_votes([item.votes]).invalid > len(item.votes) / 2 for item in others if item.reason == reason)
    remedy = _FOR_UNREAD_VOTES if unread > count / 2 else REMEDIES[reason]
    return f"{said}; {sum(counts.values()):,} rejected there, {count:,} of them as {name_reason(reason)}: {remedy}."
