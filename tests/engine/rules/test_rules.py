"""Every rule rejects what it is for, by its reason, and lets pass what only comes near it."""

from dataclasses import replace
from typing import get_args

import pytest
from fakes.builders import make_model, make_trait

from engine.domain.definition import Length
from engine.domain.samples import Reason
from engine.rules.faults import Context
from engine.rules.label_leaks import collect_own_words
from engine.rules.rules import OPTIONAL_RULES, RULES, find_fault

ECHO = "explain, label, number or comment on a text"
CONTEXT = Context(
    trait=make_trait(),
    length=None,
    subject="rotating the key of a server",
    instructions=f"You never {ECHO}, and never mention the trait or its poles.",
    language="en",
    ends_marked=False,
)
PLAIN = "The key of the server is changed once a month, and the old one is kept for a day."
GERMAN = "Der Schlüssel wird einmal im Monat gewechselt und danach sicher abgelegt."
BROKEN = "control characters or broken Unicode"
RESTART = "Restart the server now, then restart the server now, and then restart the server now again."
BACKUPS = "We keep the seven backups of the week here. We keep the seven backups of the week here."


@pytest.mark.parametrize(
    ("reason", "text", "detail"),
    [
        ("unreadable", "", "an empty text"),
        ("unreadable", "... !!! ___ ???", "no words"),
        ("unreadable", "The key is\x00 changed once a month.", BROKEN),
        ("unreadable", "The k\ufffdy is changed once a month.", BROKEN),
        ("unreadable", f"The k{chr(0xD83D)}y is changed once a month.", BROKEN),
        ("unreadable", "Click, click, click on the button.", "'click' makes up 58% of the text"),
        ("unreadable", RESTART, "'restart' makes up 29% of the text"),
        ("unreadable", BACKUPS, "'keep the seven backups' makes up 56% of the text"),
        ("prompt_echo", "topic : keys and how they are changed", "topic :"),
        ("prompt_echo", "Rotating the KEY of a server.", "the subject and nothing else"),
        ("prompt_echo", f"I never {ECHO}, sir.", "explain label number or comment on a text"),
        ("refused", "I’m sorry, but I can’t help with that.", "I’m sorry, but I can’t help with that"),
        ("refused", "I won't write texts of the kind.", "I won't write texts"),
        ("meta_talk", "Here's an example: the key is changed once a month.", "Here's an example:"),
        ("placeholder", "Dear [Your Name], the key was changed last night.", "[Your Name]"),
        ("label_leak", "**Obscure**: the tier is governed by a window.", "begins with the label 'Obscure'"),
        ("label_leak", "It has clear clarity, and the server is fast.", "names the label 'Clear'"),
    ],
)
def test_fault_is_found_by_its_reason(reason: Reason, text: str, detail: str) -> None:
    assert (reason, detail) == find_fault(text, CONTEXT)


@pytest.mark.parametrize(
    "text",
    [
        "Déjà vu: the naïve café's key\twas changed — “once” a month.\nThe old one is kept.",
        "Open the file, save the file, and then close the window that it is in before you go home today.",
        "I'm sorry, but I can't find your order under the number that you sent.",
        "I won't write to the disk until you tell me to.",
        "The topic: keys, and how often they are changed.",
        "Rotating the key of a server takes five minutes and no downtime.",
        "You never explain, label, number or comment the lines of a log.",
        "The sky is clear, and obscure corners are lit by noon.",
        "Clarity comes first, and so the key has a clear name.",
    ],
)
def test_what_only_comes_near_a_fault_stands(text: str) -> None:
    assert None is find_fault(text, CONTEXT)


def test_every_reason_is_one_rule() -> None:
    assert sorted(get_args(Reason)) == sorted(rule.code for rule in RULES)


OPTIONAL_FAULTS: dict[Reason, str] = {
    "refused": "I’m sorry, but I can’t help with that.",
    "meta_talk": "Here's an example: the key is changed once a month.",
    "placeholder": "Dear [Your Name], the key was changed last night.",
    "truncated": "The key of the server is changed once a month and",
    "wrong_language": GERMAN,
}


def test_rules_that_a_model_can_switch_off() -> None:
    assert set(OPTIONAL_FAULTS) == set(OPTIONAL_RULES)


@pytest.mark.parametrize("code", OPTIONAL_FAULTS)
def test_model_can_allow_a_fault(code: Reason) -> None:
    text, context = OPTIONAL_FAULTS[code], replace(CONTEXT, ends_marked=code == "truncated")

    assert code == (find_fault(text, context) or ("", ""))[0]
    assert None is find_fault(text, replace(context, allowed=(code,)))


def test_waived_pattern_does_not_hold() -> None:
    text = "Output: the key is changed."

    assert find_fault(text, CONTEXT)
    assert None is find_fault(text, replace(CONTEXT, waived=frozenset({"'output' before a text"})))


def test_words_of_the_definition_are_a_leak() -> None:
    own_words = collect_own_words(make_model(), make_trait(description="Keys are changed and stored by night."), "en")
    found = find_fault("All of the keys are changed, and stored at night.", replace(CONTEXT, own_words=own_words))

    assert ("label_leak", "words of the definition: keys changed stored night") == found


@pytest.mark.parametrize(
    ("end", "is_whole"), [("", False), (",", False), (" and", False), (".", True), ('."', True), (".  \n", True)]
)
def test_text_that_breaks_off_is_truncated_where_seeds_end_marked(end: str, is_whole: bool) -> None:
    text = f"The key of the server is changed once a month{end}"
    marked = find_fault(text, replace(CONTEXT, ends_marked=True))

    assert (None if is_whole else ("truncated", f"ends in {text[-20:]!r}")) == marked
    assert None is find_fault(text, CONTEXT)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (6, ("too_short", "6 words, at least 7 wanted")),
        (7, None),
        (60, None),
        (61, ("too_long", "61 words, at most 60 wanted")),
    ],
)
def test_length_may_miss_its_scenario_by_half(words: int, expected: tuple[Reason, str] | None) -> None:
    context = replace(CONTEXT, length=Length(name="two", min_words=14, max_words=40))
    text = " ".join(f"word{chr(97 + number // 26)}{chr(97 + number % 26)}" for number in range(words))

    assert expected == find_fault(text, context)


@pytest.mark.parametrize("length", [None, Length(name="a word", min_words=1, max_words=9)])
def test_fewer_words_than_a_sentence_are_too_short_in_any_scenario(length: Length | None) -> None:
    context = replace(CONTEXT, length=length)

    assert ("too_short", "4 words, at least 5 wanted") == find_fault("Change the key now.", context)
    assert None is find_fault("Change the key right now.", context)


@pytest.mark.parametrize(
    ("text", "expected", "seen"),
    [
        (GERMAN, "en", "de"),
        (GERMAN, "de", None),
        ("Der Schlüssel wird heute gewechselt.", "en", None),
        (PLAIN, "de", "en"),
        ("git rebase --onto main feature~3 feature && git push --force-with-lease", "en", None),
        ("Her Weltanschauung was that of a flâneur, with a certain je ne sais quoi.", "en", None),
    ],
)
def test_other_language_is_rejected_where_it_is_sure(text: str, expected: str, seen: str | None) -> None:
    finding = ("wrong_language", f"{seen}, expected {expected}") if seen else None

    assert finding == find_fault(text, replace(CONTEXT, language=expected))


def test_first_broken_rule_gives_the_reason() -> None:
    texts = ("Text: \x00 [Your Name]", "Text: [Your Name]", "Clear: dear [Your Name]", "Too short")
    found = [find_fault(text, replace(CONTEXT, ends_marked=True)) for text in texts]

    assert ["unreadable", "prompt_echo", "placeholder", "truncated"] == [item[0] for item in found if item]


def test_endings_of_polite_verbs_are_no_repetition() -> None:
    text = "次の際は、静かなお席をご用意してお待ちしております。雨の中をお越しいただき、本当に感謝しております。"
    repeated = find_fault("本当に嬉しい席です。" * 3, replace(CONTEXT, language="ja"))

    assert None is find_fault(text, replace(CONTEXT, language="ja"))
    assert repeated
    assert "unreadable" == repeated[0]
