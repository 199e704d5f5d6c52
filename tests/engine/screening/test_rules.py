"""Every rule rejects what it is for, by its reason, and lets pass what only comes near it."""

from dataclasses import replace
from pathlib import Path

import pytest
from fakes.builders import NEGATIVE_SEEDS, POSITIVE_SEEDS, make_model, make_trait

from engine.definitions.loader import load_model
from engine.domain.model import Length, TraitType
from engine.screening.label_leaks import collect_own_words
from engine.screening.rules import RULES, Context, Finding, check_readable, find_fault
from engine.text.language import decide_language

INSTRUCTIONS = "You never explain, label, number or comment on a text, and never mention the trait or its poles."
CONTEXT = Context(
    trait=make_trait(),
    pole="positive",
    length=None,
    subject="rotating the key of a server",
    instructions=INSTRUCTIONS,
    language="en",
    ends_marked=False,
)
PLAIN = "The key of the server is changed once a month, and the old one is kept for a day."
MODELS = Path(__file__).parents[3] / "data" / "models"


def name_reason(text: str, context: Context = CONTEXT) -> str | None:
    finding = find_fault(text, context)
    return finding.reason if finding else None


def test_plain_text_breaks_no_rule() -> None:
    assert None is find_fault(PLAIN, replace(CONTEXT, length=Length(name="two", min_words=14, max_words=40)))


@pytest.mark.parametrize("handle", sorted(path.name for path in MODELS.iterdir()))
def test_authored_samples_of_the_catalogue_break_no_rule(handle: str) -> None:
    model = load_model(str(MODELS), handle)
    language = decide_language(model).tag
    found = [
        (seed.text, find_fault(seed.text, replace(CONTEXT, trait=model.trait(seed.trait), language=language)))
        for seed in model.seeds
    ]

    assert [] == [item for item in found if item[1]]
    assert found or not model.seeds


@pytest.mark.parametrize(
    ("text", "detail"),
    [
        ("", "an empty text"),
        (" \n\t ", "an empty text"),
        ("... !!! ___ ???", "no words"),
        ("The key is\x00 changed once a month.", "control characters or broken Unicode"),
        ("The key is\x1b[31m changed once a month.", "control characters or broken Unicode"),
        ("The k\ufffdy is changed once a month.", "control characters or broken Unicode"),
        (f"The k{chr(0xD83D)}y is changed once a month.", "control characters or broken Unicode"),
        ("Click, click, click on the button.", "'click' 3 times in 6 words"),
        (
            "Restart the server now, then restart the server now, and then restart the server now again.",
            "'restart the' makes up 41% of the text",
        ),
        (
            "We keep the seven backups of the week here. We keep the seven backups of the week here.",
            "'keep the seven backups' makes up 56% of the text",
        ),
    ],
)
def test_unreadable_text_is_rejected(text: str, detail: str) -> None:
    assert Finding("unreadable", detail) == find_fault(text, CONTEXT)


@pytest.mark.parametrize(
    "text",
    [
        "Déjà vu: the naïve café's key\twas changed — “once” a month.\nThe old one is kept.",
        "The key 🔑 of the server is changed once a month.",
        "Open the file, save the file, and then close the window that it is in before you go home today.",
        "The more you read, the more you see, and the less you need to ask of anybody else.",
    ],
)
def test_unusual_or_rhetorical_text_is_readable(text: str) -> None:
    assert None is find_fault(text, CONTEXT)


@pytest.mark.parametrize(
    "text",
    [
        "I'm sorry, but I can't assist with that request.",
        "I’m sorry, but I can’t help with that.",
        "I am sorry, I cannot write this.",
        "Sorry, but I can't provide content of this kind.",
        "I cannot create a text that is meant to confuse people.",
        "I am unable to fulfill this request as it stands.",
        "Unfortunately, I am not able to generate such examples.",
        "I won't write texts that could be used in this way.",
    ],
)
def test_refusal_in_words_is_rejected(text: str) -> None:
    assert Finding("refused", text) == find_fault(text, CONTEXT)


@pytest.mark.parametrize(
    "text",
    [
        "I'm sorry to hear that your kettle broke; let me help you find another.",
        "I'm sorry, but I can't find your order under the number that you sent.",
        "I'm sorry about the delay. We can't say yet when the parcel comes.",
        "I cannot help but notice that the server is slow today.",
        "Sorry, I can't come on Friday, since the train is late.",
        "I won't write to the disk until you tell me to.",
        "The clerk said that she could not help with that request.",
    ],
)
def test_apology_or_inability_within_the_matter_is_no_refusal(text: str) -> None:
    assert None is find_fault(text, CONTEXT)


@pytest.mark.parametrize(
    ("text", "detail"),
    [
        ("Text: the key is changed once a month.", "begins with 'Text:'"),
        ("topic : keys and how they are changed", "begins with 'topic :'"),
        ("Verdict: the key is good enough for us.", "begins with 'Verdict:'"),
        ("Rotating the KEY of a server.", "the subject and nothing else"),
        ("I never explain, label, number or comment on a text for you.", "explain label number or comment on a text"),
    ],
)
def test_echo_of_the_prompt_is_rejected(text: str, detail: str) -> None:
    assert Finding("prompt_echo", detail) == find_fault(text, CONTEXT)


@pytest.mark.parametrize(
    "text",
    [
        "Text the number on the gate when you arrive.",
        "The topic: keys, and how often they are changed.",
        "Rotating the key of a server takes five minutes and no downtime.",
        "You never explain, label, number or comment the lines of a log.",
    ],
)
def test_words_of_the_prompt_in_another_use_are_no_echo(text: str) -> None:
    assert None is find_fault(text, CONTEXT)


@pytest.mark.parametrize(
    ("text", "detail"),
    [
        ("As an AI, I find that the key is changed once a month.", "As an AI"),
        ("Here's an example: the key is changed once a month.", "Here's an example:"),
        ("Output: the key is changed once a month.", "Output:"),
    ],
)
def test_talk_about_the_text_is_rejected(text: str, detail: str) -> None:
    assert Finding("meta_talk", detail) == find_fault(text, CONTEXT)


@pytest.mark.parametrize(
    "text",
    [
        "Make sure, before you leave, that the key is changed.",
        "Here is the key to the door of the cellar.",
        "Send the text to the office; this text message costs nothing.",
        "The test was positive, for example in the second week.",
        "The assistant of the board changes the key once a month.",
        "Your notes: keep them beside the machine, where all can read them.",
    ],
)
def test_same_words_within_the_matter_are_no_meta_talk(text: str) -> None:
    assert None is find_fault(text, CONTEXT)


@pytest.mark.parametrize(
    ("text", "detail"),
    [
        ("Dear [Your Name], the key was changed last night.", "[Your Name]"),
        ("Write to [email] once the key is changed.", "[email]"),
    ],
)
def test_gap_to_be_filled_in_is_rejected(text: str, detail: str) -> None:
    assert Finding("placeholder", detail) == find_fault(text, CONTEXT)


def test_lifted_pattern_does_not_hold() -> None:
    lifted = replace(CONTEXT, lifted=frozenset({"a gap in brackets", "'output' before a text"}))

    assert None is find_fault("Write to [email] once the key is changed.", lifted)
    assert None is find_fault("Output: the key is changed once a month.", lifted)
    assert "placeholder" == name_reason("Dear [Your Name], the key was changed last night.", lifted)


def test_words_of_the_definition_are_a_leak() -> None:
    own_words = collect_own_words(make_model(), make_trait(description="Keys are changed and stored by night."), "en")
    found = find_fault("All of the keys are changed, and stored at night.", replace(CONTEXT, own_words=own_words))

    assert Finding("label_leak", "words of the definition: keys changed stored night") == found


@pytest.mark.parametrize(
    ("text", "detail"),
    [
        ("Clear: stop the server before you copy the file.", "begins with the label 'Clear'"),
        ("**Obscure**: the tier is governed by a window.", "begins with the label 'Obscure'"),
        ("clear - stop the server before you copy the file.", "begins with the label 'Clear'"),
        ("OBSCURE — the tier is governed by a window.", "begins with the label 'Obscure'"),
        ("Its clarity is rather obscure to most of us.", "names the label 'Obscure'"),
        ("It has clear clarity, and the server is fast.", "names the label 'Clear'"),
    ],
)
def test_label_in_the_text_is_rejected(text: str, detail: str) -> None:
    assert Finding("label_leak", detail) == find_fault(text, CONTEXT)


@pytest.mark.parametrize(
    "text",
    [
        "Clear the cache before you start the server again.",
        "Clear-cut rules keep the team calm on a bad day.",
        "The sky is clear, and obscure corners are lit by noon.",
        "Unclear: nobody has said who changes the key.",
        "Clarity comes first, and so the key has a clear name.",
    ],
)
def test_word_that_happens_to_be_a_label_is_no_leak(text: str) -> None:
    assert None is find_fault(text, CONTEXT)


def test_label_of_several_words_leaks_anywhere() -> None:
    context = replace(CONTEXT, trait=make_trait(positive_label="Plainly put", negative_label="Legalese"))

    assert "label_leak" == name_reason("The rule is, plainly put, that the key is changed.", context)
    assert None is name_reason("The rule was put plainly: the key is changed.", context)


@pytest.mark.parametrize("kind", ["topic", "claim"])
def test_labels_of_topics_and_claims_leak_as_a_heading_only(kind: TraitType) -> None:
    trait = make_trait(name="Science", type=kind, positive_label="Science news", negative_label="No")
    context = replace(CONTEXT, trait=trait)

    assert None is name_reason("The science news of the week is a new kind of glass.", context)
    assert None is name_reason("No-one has touched the server since Monday.", context)
    assert None is name_reason("No server was touched by anyone: it was Monday.", context)
    assert "label_leak" == name_reason("Science news: there is a new kind of glass.", context)
    assert "label_leak" == name_reason("No: nobody has touched the server since Monday.", context)


def test_label_without_a_word_leaks_nowhere() -> None:
    context = replace(CONTEXT, trait=make_trait(negative_label=""))

    assert None is name_reason("- the key is changed once a month", context)
    assert None is name_reason(": the key is changed once a month", context)


def test_label_may_have_the_marks_of_a_pattern() -> None:
    context = replace(CONTEXT, trait=make_trait(positive_label="Good (A+)", negative_label="[b]*"))

    assert "label_leak" == name_reason("Good (A+): the key is changed once a month.", context)
    assert None is name_reason("b: the key is changed once a month.", context)


@pytest.mark.parametrize("end", ["", ",", " and", ";", "-"])
def test_text_that_breaks_off_is_truncated_where_seeds_end_marked(end: str) -> None:
    text = f"The key of the server is changed once a month{end}"
    marked = find_fault(text, replace(CONTEXT, ends_marked=True))

    assert Finding("truncated", f"ends in {text[-20:]!r}") == marked
    assert None is find_fault(text, CONTEXT)


@pytest.mark.parametrize("end", [".", "!", "?", "…", '."', ".”", ".)", ".  \n", "`"])
def test_terminal_mark_ends_a_text(end: str) -> None:
    text = f"The key of the server is changed once a month{end}"

    assert None is find_fault(text, replace(CONTEXT, ends_marked=True))


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (6, Finding("too_short", "6 words, at least 7 wanted")),
        (7, None),
        (60, None),
        (61, Finding("too_long", "61 words, at most 60 wanted")),
    ],
)
def test_length_may_miss_its_scenario_by_half(words: int, expected: Finding | None) -> None:
    context = replace(CONTEXT, length=Length(name="two", min_words=14, max_words=40))
    text = " ".join(f"word{chr(97 + number // 26)}{chr(97 + number % 26)}" for number in range(words))

    assert expected == find_fault(text, context)


@pytest.mark.parametrize("length", [None, Length(name="a word", min_words=1, max_words=9)])
def test_fewer_words_than_a_sentence_are_too_short_in_any_scenario(length: Length | None) -> None:
    context = replace(CONTEXT, length=length)

    assert Finding("too_short", "4 words, at least 5 wanted") == find_fault("Change the key now.", context)
    assert None is find_fault("Change the key right now.", context)


@pytest.mark.parametrize(
    ("text", "expected", "seen"),
    [
        ("Der Schlüssel wird einmal im Monat gewechselt und danach sicher abgelegt.", "en", "de"),
        ("La clé du serveur est changée une fois par mois, puis rangée avec soin.", "en", "fr"),
        (PLAIN, "de", "en"),
        ("Ключ сервера меняется один раз в месяц и хранится в сейфе.", "en", "ru"),
    ],
)
def test_other_language_is_rejected(text: str, expected: str, seen: str) -> None:
    context = replace(CONTEXT, language=expected)

    assert Finding("wrong_language", f"{seen}, expected {expected}") == find_fault(text, context)


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Der Schlüssel wird einmal im Monat gewechselt und danach sicher abgelegt.", "de"),
        ("Der Schlüssel wird heute gewechselt.", "en"),
        ("git rebase --onto main feature~3 feature && git push --force-with-lease", "en"),
        ("Her Weltanschauung was that of a flâneur, with a certain je ne sais quoi.", "en"),
    ],
)
def test_doubtful_language_is_let_pass(text: str, language: str) -> None:
    assert None is find_fault(text, replace(CONTEXT, language=language))


def test_first_broken_rule_gives_the_reason() -> None:
    context = replace(CONTEXT, ends_marked=True)

    assert "unreadable" == name_reason("Text: \x00 [Your Name]", context)
    assert "prompt_echo" == name_reason("Text: [Your Name]", context)
    assert "placeholder" == name_reason("Clear: dear [Your Name]", context)
    assert "truncated" == name_reason("Too short", context)


def test_rules_hold_each_text_alone() -> None:
    texts = [*POSITIVE_SEEDS, *NEGATIVE_SEEDS]

    assert [None] * len(RULES) * len(texts) == [rule(text, CONTEXT) for text in texts for rule in RULES]


def test_endings_of_polite_verbs_are_no_repetition() -> None:
    text = "次の際は、静かなお席をご用意してお待ちしております。雨の中をお越しいただき、本当に感謝しております。"

    assert None is check_readable(text, replace(CONTEXT, language="ja"))
    assert None is not check_readable(f"{'本当に嬉しい席です。' * 3}", replace(CONTEXT, language="ja"))
