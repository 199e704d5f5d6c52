"""Talk about the task and gaps are found in many languages; what only comes near, or is a model's own, stands."""

import pytest
from fakes.builders import make_model, make_trait

from engine.domain.definition import Brief
from engine.domain.model import Model, Seed
from engine.domain.samples import Reason
from engine.rules.patterns import find_pattern, list_waived_patterns

NONE: frozenset[str] = frozenset()

TALK = [
    "Here is an example of a rude text: You people never answer.",
    "Sure, here it is for you.",
    "The key is changed. This exemplar illustrates clarity.",
    "The key is changed. Let me know if you would like more examples.",
    "**Answer:** the key is changed once a month.",
    "Bien sûr ! Voici un exemple de texte impoli : Laissez-moi tranquille.",
    "はい、以下にメッセージの例を示します。",
    "作为一个人工智能，我不能无礼。",
]

MATTER = [
    "Note: the cable must be unplugged before the cover is taken off.",
    "Here is an example of a configuration file that works on all servers.",
    "Sure, the key is changed once a month, but nobody checks.",
    "As an AI researcher, Ana reads forty papers a month.",
    "次は東京です。お出口は左側です。",
    "这是我昨天说的那家书店，周末也开门。",
]

GAPS = [
    ("Dear [Your Name], the key was changed last night.", "[Your Name]"),
    ("Write to [email] once the key is changed.", "[email]"),
    ("Dear {{ customer }}, the key was changed last night.", "{{ customer }}"),
    ("Dear <your name>, the key was changed last night.", "<your name>"),
    ("Lorem ipsum is what the page has in it so far.", "Lorem ipsum"),
    ("Call 555-XXXX when the key has been changed.", "5-XXXX"),
    ("Hello XXX, the key was changed last night.", "Hello XXX"),
    ("The day on which the key is changed: [TBD].", "[TBD]"),
    ("The day of the change (to be filled in) is a Monday.", "(to be filled in)"),
    ("The key was changed by ________ last night.", "________"),
]

NO_GAPS = [
    "Super Bowl XXX was played in Arizona, and chapter XXX tells of it.",
    "The form is to be filled in by both parents.",
    "See the [company handbook](https://example.com/handbook) for the rules.",
    "Wrap it in <div> and </div>, or the page will not show it.",
]


@pytest.mark.parametrize("text", TALK)
def test_talk_about_the_task_is_found(text: str) -> None:
    assert find_pattern(text, "meta_talk", NONE)


@pytest.mark.parametrize(("text", "gap"), GAPS)
def test_gap_to_be_filled_in_is_found(text: str, gap: str) -> None:
    assert gap == find_pattern(text, "placeholder", NONE)


@pytest.mark.parametrize("text", [*MATTER, *NO_GAPS])
def test_text_about_its_matter_is_no_talk_and_has_no_gap(text: str) -> None:
    assert [None, None] == [find_pattern(text, reason, NONE) for reason in ("meta_talk", "placeholder")]


@pytest.mark.parametrize(
    ("seed", "quality", "text"),
    [
        ("Answer: yes, two of them fit on the shelf.", 1.0, "Answer: no, the lid is too wide."),
        ("The tenant, [name], pays on the first.", 0.0, "The landlord, [company], keeps the key."),
        ("Subject: the lift is out of order", 1.0, "Subject: water is off on Monday"),
    ],
)
def test_pattern_that_a_seed_of_either_pole_has_does_not_hold_and_others_do(
    seed: str, quality: float, text: str
) -> None:
    own = make_model(seeds=(Seed("clarity", seed, quality),))
    reasons: tuple[Reason, ...] = ("meta_talk", "placeholder", "prompt_echo")

    assert any(find_pattern(text, reason, list_waived_patterns(make_model())) for reason in reasons)
    assert [None] * 3 == [find_pattern(text, reason, list_waived_patterns(own)) for reason in reasons]
    assert find_pattern("Output: the lid is too wide.", "meta_talk", list_waived_patterns(own))


def test_pattern_that_the_brief_quotes_does_not_hold() -> None:
    brief = Brief(failure_modes=('A letter sent with a gap such as "[Your Name]" in it.',))

    assert find_pattern("Dear [Your Name], hello.", "placeholder", list_waived_patterns(make_model()))
    assert None is find_pattern(
        "Dear [Your Name], hello.", "placeholder", list_waived_patterns(make_model(brief=brief))
    )


@pytest.mark.parametrize(
    "model",
    [
        make_model(description="Whether a reply of the support team is kind."),
        make_model(make_trait(description="Whether an email comes to the point.")),
    ],
)
def test_what_people_write_to_one_another_may_assent_and_hope_to_help(model: Model) -> None:
    for text in ("Sure! I have put it on your desk.", "The key is under the mat. I hope this helps!"):
        assert find_pattern(text, "meta_talk", list_waived_patterns(make_model()))
        assert None is find_pattern(text, "meta_talk", list_waived_patterns(model))
        assert None is find_pattern(text, "meta_talk", list_waived_patterns(make_model(), ["an answer in a forum"]))


# Of each, a pattern that tries again at every character makes hours or years, which the limit of a test ends.
@pytest.mark.parametrize(
    "text",
    [f"voici {'a' * 1000}", f"ecco {'a' * 1000}", f"sure{' ' * 300_000}x", "{{" * 200_000],
    ids=lambda text: text[:6],
)
def test_long_text_is_searched_in_one_pass(text: str) -> None:
    assert [None, None] == [find_pattern(text, reason, NONE) for reason in ("meta_talk", "placeholder")]
