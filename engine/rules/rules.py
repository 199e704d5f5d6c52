"""The reasons for which a text is rejected, in one list.

The order of ``RULES`` is the order in which they count: the first rule that a text breaks is its reason.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from engine.domain.samples import Exemplar, Reason
from engine.rules import faults
from engine.rules.faults import Context

_FOR_REPETITION = "the synth model repeats itself, so take a stronger one or a higher temperature (data/effort.yaml)"
_FOR_STRAYING = "the synth model does not follow its instructions, so take a stronger one (data/effort.yaml)"
_FOR_UNCLEAR_POLES = "make description and seeds separate the poles more clearly, or take a stronger synth model"
_FOR_MORE_ROUNDS = "give the effort more top_up_rounds (data/effort.yaml): kept replies are not paid for again"
_FOR_OWN = "say it in the brief of model.yaml (failure_modes), or change the {}: no reply is asked for twice"


@dataclass(frozen=True, slots=True)
class RejectionRule:
    """A reason for which a text is rejected.

    ``explanation`` says what is wrong with the text, ``remedy`` what to do if many texts are rejected for it. ``find``
    returns the detail of the fault in a text by itself; it is None if the fault is found by comparing texts
    (``engine/screening/screener.py``), by a judge, by the author's own rules, by the provider or by a person.
    ``is_optional`` is true if a model can switch the rule off, with ``allow`` in its ``model.yaml``.
    """

    code: Reason
    explanation: str
    remedy: str
    find: Callable[[str, Context], str | None] | None = None
    is_optional: bool = False


RULES = (
    RejectionRule(
        "unreadable",
        "The reply could not be read as an exemplar: it was empty, or not in the requested form.",
        "they are not readable text or, from a chat model, not JSON. Take a stronger model, or one with structured "
        "outputs (EXEMPLARS_SYNTH_MODEL), or check whether its server changes replies",
        faults.find_unreadable,
    ),
    RejectionRule(
        "refused",
        "The provider refused to write it.",
        "the provider refused to write it, so reword the model's brief or take another synth model",
        faults.find_refusal,
        is_optional=True,
    ),
    RejectionRule(
        "prompt_echo", "It repeats the instructions that the model was given.", _FOR_STRAYING, faults.find_echo
    ),
    RejectionRule(
        "meta_talk",
        "It talks about the task (“Here is an example …”), or begins as many others do (“Sure, here is …”).",
        _FOR_STRAYING,
        faults.find_meta_talk,
        is_optional=True,
    ),
    RejectionRule(
        "placeholder",
        "It leaves a gap to be filled in, such as [name] or [TBD].",
        _FOR_STRAYING,
        faults.find_placeholder,
        is_optional=True,
    ),
    RejectionRule(
        "label_leak",
        "It names the trait or the pole, or repeats the definition, so that a classifier learns those words.",
        "remove words that such texts need anyway from the trait's labels and description, or take a stronger synth "
        "model",
        faults.find_leak,
    ),
    RejectionRule(
        "truncated",
        "It breaks off before its end.",
        "they end before their texts do. Give the model's server a larger context and more output tokens, let it think "
        "less, or take another model (EXEMPLARS_SYNTH_MODEL)",
        faults.find_missing_end,
        is_optional=True,
    ),
    RejectionRule(
        "too_short",
        "It has less than half of the fewest words of its length, or too few for any text.",
        _FOR_STRAYING,
        faults.find_too_few_words,
    ),
    RejectionRule(
        "too_long",
        "It has more than one and a half times the most words of its length.",
        _FOR_STRAYING,
        faults.find_too_many_words,
    ),
    RejectionRule(
        "wrong_language",
        "It is not in the model's language.",
        "name the language in the field 'language' of model.yaml, or take a synth model that writes it",
        faults.find_wrong_language,
        is_optional=True,
    ),
    RejectionRule("seed_copy", "It copies one of the authored samples.", _FOR_REPETITION),
    RejectionRule("refused_before", "It is similar to a text that a person has refused.", _FOR_REPETITION),
    RejectionRule(
        "held_out_overlap",
        "It is too similar to a text of the other pool, or of the source `texts`: they are kept apart.",
        _FOR_MORE_ROUNDS,
    ),
    RejectionRule(
        "voice_drift",
        "It no longer sounds like the seed that it is a variation of.",
        "add seeds in the intended voice, or take a stronger synth model",
    ),
    RejectionRule("duplicate", "It repeats another sample word for word.", _FOR_REPETITION),
    RejectionRule("near_duplicate", "It differs from another sample in a few words only.", _FOR_REPETITION),
    RejectionRule("own_rule", "It breaks a rule of the author's, which `detail` names.", _FOR_OWN.format("rule")),
    RejectionRule(
        "own_question",
        "The judge answers a question of the author's, which `detail` names, not as expected, or not at all.",
        _FOR_OWN.format("question"),
    ),
    RejectionRule(
        "no_sense",
        "The judge says that no person would have written it and meant it.",
        "they read as nonsense to the judge, so take a stronger synth model or a lower temperature",
    ),
    RejectionRule(
        "wrong_label",
        "It was requested at one pole and reads like the other, so it was not kept.",
        _FOR_UNCLEAR_POLES,
    ),
    RejectionRule("off_pole", "It reads as neither pole: it is too near the middle.", _FOR_UNCLEAR_POLES),
    RejectionRule(
        "cell_failed",
        "A call for it, or for its judgment, failed for good.",
        "see the provider's message in the log, and start again: received replies are kept",
    ),
    RejectionRule(
        "surplus",
        "It is surplus: nothing is wrong with it by itself, but it was not needed, the other half of its pair is "
        "missing, or the set as a whole failed.",
        _FOR_MORE_ROUNDS,
    ),
    RejectionRule("left_out", "A person who reviewed the set left it out.", _FOR_MORE_ROUNDS),
    RejectionRule(
        "removed",
        "A person removed it from the set after the set was attached.",
        "replace it: a run with `--only-lacking` fills up the set",
    ),
)
RULES_BY_CODE: Mapping[Reason, RejectionRule] = {rule.code: rule for rule in RULES}
OPTIONAL_RULES = tuple(rule.code for rule in RULES if rule.is_optional)


def find_fault(text: str, context: Context) -> tuple[Reason, str] | None:
    """Return the code of the first rule that a text breaks by itself, with the detail; None if it breaks none."""
    for rule in RULES:
        if rule.find and rule.code not in context.allowed and (detail := rule.find(text, context)):
            return rule.code, detail
    return None


def apply_rules(contexts: Mapping[str, Context], exemplars: Sequence[Exemplar]) -> list[Exemplar]:
    """Return the exemplars in order; exemplars that break a rule are rejected.

    Args:
        contexts: by trait key.
    """
    applied = []
    for item in exemplars:
        is_candidate = item.text is not None and item.is_accepted
        fault = find_fault(item.text or "", contexts[item.trait].narrow(item)) if is_candidate else None
        applied.append(replace(item, reason=fault[0], detail=fault[1]) if fault else item)
    return applied
