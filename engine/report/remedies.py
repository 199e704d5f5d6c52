"""Explains a run that attached nothing in one sentence: what failed, and what to do about it."""

from collections import Counter
from collections.abc import Mapping

from engine.choosing.rounds import REPLY_REASONS, Rounds
from engine.domain.samples import Reason
from engine.domain.verdict import Verdict
from engine.domain.votes import count_votes
from engine.text.formatting import count_noun, name_reason, quote_reply

_FOR_REPETITION = "the synth model repeats itself, so take a stronger one or a higher temperature (data/effort.yaml)"
_FOR_STRAYING = "the synth model does not keep to what it is asked for, so take a stronger one (data/effort.yaml)"
_FOR_UNCLEAR_POLES = (
    "make the trait's description and its seeds tell the poles apart more clearly, or take a stronger synth model"
)
_FOR_MORE_ROUNDS = (
    "give the effort more top_up_rounds (data/effort.yaml): what was asked is kept and not paid for again"
)
_FOR_UNREAD_VOTES = "most of the judge's votes on them cannot be read, so take another judge (EXEMPLARS_JUDGE_MODEL)"

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
    "removed": "fill up what is lacking with `exemplars synthesize --only-lacking`",
    "left_out": _FOR_MORE_ROUNDS,
    "refused_before": _FOR_REPETITION,
}

QUOTED = 2


def explain_failure(rounds: Rounds, verdict: Verdict) -> str:
    """Explains a failed verdict: how many exemplars are lacking and the main reason, or what the gate found."""
    if rounds.is_hopeless:
        return _explain_hopeless(rounds)
    lacking = sum(rounds.choice.shortfall.values())
    if lacking:
        return _explain_shortfall(rounds, lacking)
    more = len(verdict.failed) - 1
    also = f" (and {count_noun(more, 'more finding')})" if more > 0 else ""
    return f"{verdict.failed[0].rstrip('.')}{also}; {_SEE_GATE}."


def _explain_hopeless(rounds: Rounds) -> str:
    """Explains a first round of which nothing can be used by its most frequent reason, with two of its replies."""
    rejected = rounds.exemplars
    counts = Counter(item.reason for item in rejected if item.reason)
    listed = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    reasons = ", ".join(f"{count:,} {name_reason(reason)}" for reason, count in listed)
    first = next(reason for reason, _ in listed if reason in REPLY_REASONS)
    told = (item.detail if item.text is None else item.text for item in rejected if item.reason == first)
    quoted = [quote_reply(said) for said in dict.fromkeys(told)][:QUOTED]
    return (
        f"none of the {len(rejected):,} replies of the first round can be used ({reasons}), such as "
        f"{' and '.join(quoted)}; no more was asked, since {REMEDIES[first]}. The replies are kept and not "
        f"paid for again; to ask the same model anew, type 'exemplars cache clear {rounds.plan.model.handle}' first."
    )


def _explain_shortfall(rounds: Rounds, lacking: int) -> str:
    """Explains a shortfall by its most frequent reason; what is to spare counts only if nothing was rejected."""
    shortfall = rounds.choice.shortfall
    wanted = sum(rounds.plan.quotas.values())
    after = count_noun(rounds.round_no, "round")
    said = f"{lacking:,} of {count_noun(wanted, 'exemplar')} {'is' if lacking == 1 else 'are'} lacking after {after}"
    others = [item for item in rounds.choice.rejected if shortfall[item.trait, item.pole]]
    counts = Counter(item.reason for item in others if item.reason)
    spare = counts.pop("surplus", 0)
    if not counts and spare:
        return f"{said}; {spare:,} to spare there, but not in pairs: {REMEDIES['surplus']}."
    if not counts:
        return f"{said}, since nothing came back; see the log for what the provider said, and start again."
    reason, count = min(counts.items(), key=lambda item: (-item[1], item[0]))
    unread = sum(count_votes([item.votes]).invalid > len(item.votes) / 2 for item in others if item.reason == reason)
    remedy = _FOR_UNREAD_VOTES if unread > count / 2 else REMEDIES[reason]
    return f"{said}; {counts.total():,} rejected there, {count:,} of them as {name_reason(reason)}: {remedy}."
