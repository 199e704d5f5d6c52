"""What gives a pole away is found in any dress and script; an ordinary use of the same words stands."""

import pytest
from fakes.builders import make_model, make_trait

from engine.domain.definition import Brief, Trait, TraitType
from engine.domain.model import Seed
from engine.rules.label_leaks import collect_own_words, find_label, find_own_words

RUDE = make_trait("manner", positive_label="Polite", negative_label="Rude")
YES = make_trait("rude", name="Rude", positive_label="Yes", negative_label="No")
DESCRIBED = make_trait(
    "manner",
    description="Whether the response insults, belittles, or demeans the customer.",
    negative_paraphrase=("Blames the reader harshly and mocks what was asked.",),
)
NO_BRIEF = Brief()
MARKS = [*".,!?…—–:;。，！：", " -", "- ", "\n", " :", "..."]
LABELS = ["rude", "**Rude**", "“Rude”", "> Rude", "Ｒｕｄｅ"]


@pytest.mark.parametrize("start", [*(f"Rude{mark}" for mark in MARKS), *(f"{label}." for label in LABELS)])
def test_label_before_a_mark_at_the_start_is_found(start: str) -> None:
    assert "begins with the label 'Rude'" == find_label(f"{start}The cancellation was your own fault.", RUDE)


@pytest.mark.parametrize(
    "text",
    [
        "[Polite] {}",
        "Tone: polite - {}",
        "Rudely: {}",
        "{} Rude.",
        "{} Label: Rude",
        "&lt;i&gt;Rude&lt;/i&gt;: {}",
        "**Label:** Rude. {}",
        "Ru\u200bde\u2060: {}",
        '{{"label": "rude", "text": "{}"}}',
        "`Rude` {}",
        "Rude\u2028{}",
    ],
)
def test_label_is_found_at_either_end_in_any_markup(text: str) -> None:
    assert find_label(text.format("The cancellation was your own fault."), RUDE)


@pytest.mark.parametrize(
    ("label", "text"),
    [
        ("Unhöflich", "UNHÖFLICH! Die Kündigung war Ihre Schuld."),
        ("Unhöflich", "Bewertungskategorie: Unhöflich – das ist Ihre Schuld."),
        ("وقح", "وقح، الإلغاء خطؤك أنت."),
        ("مهذب", "\u200fالتصنيف: \u202bمهذب\u202c. شكرا لرسالتك."),
        ("สุภาพ", "สุภาพ\nขอบคุณที่ติดต่อเรา"),
        ("★★★★★", "★★★★★ The room was ready."),
        ("👍", "👍🏽 The room was ready."),
        ("+", "Rating: +\nThe room was ready."),
        ("Good (A+)", "Good (A+): the room was ready."),
        ("Right", "Tone of it right was the room."),
        ("Plainly put", "The room, plainly put, was ready."),
    ],
)
def test_label_is_found_in_any_script_and_of_signs(label: str, text: str) -> None:
    assert find_label(text, make_trait("tone", name="Tone", positive_label=label, negative_label="?"))


@pytest.mark.parametrize(
    ("label", "text"),
    [
        ("Clear", "Unclear: nobody has said who changes the key."),
        ("Warm", "Thank you for coming.\nWarm regards,\nAnna"),
        ("Right", "Tone and key of it were never right."),
        ("Plainly put", "The rule was put plainly: the key is changed."),
        ("A+", "The tone is a tone of its own."),
        ("+", "+ a dark mode\n+ a quicker start"),
        ("失礼", "失礼しました。明日また電話します。"),
        ("Real", "Reality: nobody came."),
        ("[b]*", "b: the key is changed once a month."),
    ],
)
def test_ordinary_text_with_the_words_or_signs_of_a_label_stands(label: str, text: str) -> None:
    assert None is find_label(text, make_trait("tone", name="Tone", positive_label=label, negative_label="zzz"))


STARS = make_trait("stay", name="Stay", positive_label="★★★★★", negative_label="★")
LAMP = make_trait("lamp", name="Lamps", type="topic", positive_label="Good lamp", negative_label="Other")
BAD = make_trait("mood", name="Mood", positive_label="Good", negative_label="Bad")
CLEAR = make_trait("clarity", name="Clarity", positive_label="Clear", negative_label="Obscure")
JAPANESE = make_trait("shitsu", name="品質", positive_label="良い", negative_label="悪い")
THAI = make_trait("khun", name="คุณภาพ", positive_label="ดี", negative_label="แย่")


@pytest.mark.parametrize(
    ("trait", "text"),
    [
        (STARS, "5★ The room was ready."),
        (STARS, "Rating: 5 ★ The room was ready."),
        (STARS, "The room was ready. 5★"),
        (STARS, "５★、部屋は準備ができていました。"),
        (STARS, "⭐⭐⭐⭐⭐ The room was ready."),
        (STARS, "⭐️ The room was not ready."),
        (LAMP, "Label=Good lamp The bulb lasts."),
        (LAMP, "kind=good lamp, as the bulb lasts."),
        (LAMP, "label：Good lamp The bulb lasts."),
        (LAMP, "#GoodLamp The bulb lasts."),
        (JAPANESE, "ラベル：良い この部屋は準備ができていました。"),
        (THAI, "ป้าย: แย่ ห้องยังไม่พร้อม"),
        (BAD, "#bad The room was not ready"),
        (BAD, "The room was not ready #bad #room"),
        (BAD, "Label: Bad The room was not ready."),
        (CLEAR, "**Pole**: positive. The key is changed at night."),
        (CLEAR, "The key is changed at night. [label: negative]"),
    ],
)
def test_label_is_found_as_a_rating_a_hashtag_or_the_value_of_a_field(trait: Trait, text: str) -> None:
    assert find_label(text, trait)


@pytest.mark.parametrize(
    ("trait", "text"),
    [
        (STARS, "5★ hotels are all that we book."),
        (STARS, "Any 5★ room will do, and no 4.5★."),
        (STARS, "We never book a 1★ or 5★."),
        (STARS, "5★ホテルだけを予約します。"),
        (STARS, "4★ The room was ready."),
        (LAMP, "The label says Good lamp, and the bulb lasts."),
        (LAMP, "For sale: good lamp with a red shade."),
        (JAPANESE, "天気：良い天気が続く。"),
        (THAI, "อากาศ: แย่มากวันนี้"),
        (BAD, "#badminton is on at eight"),
        (BAD, "We are off to #badminton"),
        (BAD, "It was a #bad day for the room."),
        (BAD, "Tom: Bad idea, and you know it."),
        (BAD, "Status: good to go, as Anna says."),
        (BAD, "x = bad idea"),
        (BAD, "Anna: Good Morning to all of you."),
        (CLEAR, "North Pole: a positive experience."),
        (CLEAR, "Pole: positive charges gather there."),
        (CLEAR, "Result: positive. Stay at home."),
    ],
)
def test_ordinary_text_with_stars_a_hashtag_or_a_colon_passes(trait: Trait, text: str) -> None:
    assert None is find_label(text, trait)


@pytest.mark.parametrize("kind", ["topic", "claim"])
def test_labels_of_topics_and_claims_leak_as_a_heading_only(kind: TraitType) -> None:
    trait = make_trait(name="Science", type=kind, positive_label="Science news", negative_label="No")

    assert None is find_label("The science news of the week is a new kind of glass.", trait)
    assert "begins with the label 'Science news'" == find_label("Science news: there is a new kind of glass.", trait)


@pytest.mark.parametrize(
    ("text", "leaks"),
    [
        ("Yes, we ship on Monday.", False),
        ("No-one has touched it.", False),
        ("Yes: we ship on Monday.", True),
        ("[No] Ask again.", True),
        ("Rude: Yes. Ask again.", True),
    ],
)
def test_yes_and_no_are_labels_as_a_heading_alone(text: str, leaks: bool) -> None:
    assert leaks == bool(find_label(text, YES))


@pytest.mark.parametrize("noise", ["(", "{{", "— ", ". ", "*_"])
def test_reply_of_nothing_but_marks_is_read_in_linear_time(noise: str) -> None:
    """Unbounded repeats took the cube of its length: 33 s for 4,000 brackets, and this test would time out."""
    assert None is find_label("word " + noise * 16_000, RUDE)


def find_run(
    text: str, trait: Trait = DESCRIBED, brief: Brief = NO_BRIEF, language: str = "en", seed: str = ""
) -> str | None:
    seeds = (Seed(trait.key, seed, 1.0),) if seed else ()
    own_words = collect_own_words(make_model(trait, brief=brief, seeds=seeds), trait, language)
    return find_own_words(text, own_words, language)


def test_four_content_words_of_what_the_author_says_in_a_row_are_found() -> None:
    brief = Brief(failure_modes=("Sarcasm about the competence of the night team.",))

    assert "response insults belittles demeans" == find_run("Our response never insults, belittles or demeans.")
    assert None is find_run("Our response insults nobody and belittles nobody.")
    assert find_run("It blames the reader harshly, and mocks her.")
    assert "sarcasm competence night team" == find_run("No sarcasm on the competence of the night team.", brief=brief)
    assert None is find_run("No sarcasm about the night team.", brief=brief)


def test_run_that_the_seeds_have_is_the_genre_and_no_leak() -> None:
    seed = "A response insults, belittles and demeans."

    assert None is find_run("Our response insults, belittles, demeans.", seed=seed)


@pytest.mark.parametrize("kind", ["topic", "claim"])
def test_text_may_say_what_a_topic_or_claim_says(kind: TraitType) -> None:
    said = "Statement: existing integrations keep working after this release without any change."
    trait = make_trait(type=kind, description=said)

    assert None is find_run("Your existing integrations keep working after this upgrade.", trait)
    brief = Brief(failure_modes=("Sarcasm about the competence of the night team.",))
    assert find_run("No sarcasm on the competence of the night team.", trait, brief)


def test_run_is_of_content_words_in_every_language() -> None:
    trait = make_trait(description="Ob sie in der Lage ist, Kunden herablassend oder verletzend zu behandeln.")

    assert find_run("Niemand soll Kunden herablassend oder verletzend behandeln.", trait, language="de")
    assert None is find_run("Sie ist in der Lage, den Brief zu senden.", trait, language="de")
    trait = make_trait(description="この返信が顧客を侮辱したり見下したりしていないか。")
    assert find_run("返信は顧客を侮辱したり見下したりしていない。", trait, language="ja")
