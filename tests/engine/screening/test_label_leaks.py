"""What gives a pole away is found in any dress and script; an ordinary use of the same words stands."""

from pathlib import Path

import pytest
from fakes.builders import make_model, make_trait

from engine.definitions.loader import list_handles, load_model
from engine.domain.model import Brief, Seed, Trait, TraitType
from engine.screening.label_leaks import collect_own_words, find_label
from engine.screening.patterns import find_pattern

RUDE = make_trait("manner", positive_label="Polite", negative_label="Rude")
YES = make_trait("rude", name="Rude", positive_label="Yes", negative_label="No")
GERMAN = make_trait("ton", name="Ton", positive_label="Höflich", negative_label="Unhöflich")
JAPANESE = make_trait("tone", name="口調", positive_label="丁寧", negative_label="失礼")
CHINESE = make_trait("tone", name="语气", positive_label="礼貌", negative_label="粗鲁")
ARABIC = make_trait("tone", name="النبرة", positive_label="مهذب", negative_label="وقح")
HINDI = make_trait("tone", name="लहजा", positive_label="विनम्र", negative_label="अशिष्ट")
DESCRIBED = make_trait(
    "manner",
    positive_label="Polite",
    negative_label="Rude",
    description="Whether the response insults, belittles, or demeans the customer.",
    negative_paraphrase=("Blames the reader harshly and mocks what was asked.",),
)
MODELS = Path(__file__).parents[3] / "data" / "models"
MOST_REJECTED = 0.01
NO_BRIEF = Brief()


@pytest.mark.parametrize(
    "mark", [*".,!?…—–:;", " -", "- ", "\n", " :", "...", "!!", "。", "，", "！", "？", "：", "；"]
)
@pytest.mark.parametrize(
    "label", ["Rude", "RUDE", "rude", "**Rude**", '"Rude"', "“Rude”", "_Rude_", "> Rude", "Ｒｕｄｅ"]
)
def test_label_before_a_mark_at_the_start_is_found(label: str, mark: str) -> None:
    assert "begins with the label 'Rude'" == find_label(f"{label}{mark}The cancellation was your own fault.", RUDE)


@pytest.mark.parametrize(
    "text",
    [
        "(Rude) The cancellation was your own fault.",
        "[Polite] Thank you for writing to us.",
        "【Rude】The cancellation was your own fault.",
        "# Rude\nThe cancellation was your own fault.",
        "Label: Rude. The cancellation was your own fault.",
        "Tone: polite - Thank you for writing to us.",
        "Manner: **Rude**, the cancellation was your own fault.",
        "Not rude: thank you for writing to us.",
        "Rudely: the cancellation was your own fault.",
        "Politeness: thank you for writing to us.",
        "The cancellation was your own fault. (Rude)",
        "The cancellation was your own fault [label: rude].",
        "The cancellation was your own fault. Rude.",
        "The cancellation was your own fault.\nRude",
        "The cancellation was your own fault. Label: Rude",
        "The cancellation was your own fault — rude",
    ],
)
def test_label_at_either_end_is_found(text: str) -> None:
    assert find_label(text, RUDE)


@pytest.mark.parametrize(
    ("text", "trait"),
    [
        ("Unhöflich. Die Kündigung war Ihre Schuld.", GERMAN),
        ("Unhöfliche: Die Kündigung war Ihre Schuld.", GERMAN),
        ("UNHÖFLICH! Die Kündigung war Ihre Schuld.", GERMAN),
        ("Nicht höflich: Die Kündigung war Ihre Schuld.", GERMAN),
        ("Die Kündigung war Ihre Schuld. (unhöflich)", GERMAN),
        ("失礼。キャンセルはあなたのせいです。", JAPANESE),
        ("失礼：キャンセルはあなたのせいです。", JAPANESE),
        ("「失礼」、キャンセルはあなたのせいです。", JAPANESE),
        ("【失礼】キャンセルはあなたのせいです。", JAPANESE),
        ("キャンセルはあなたのせいです。（失礼）", JAPANESE),
        ("粗鲁！取消是你自己的错。", CHINESE),
        ("粗鲁，取消是你自己的错。", CHINESE),
        ("不礼貌：取消是你自己的错。", CHINESE),
        ("وقح، الإلغاء خطؤك أنت.", ARABIC),
        ("अशिष्ट। रद्द करना आपकी गलती थी।", HINDI),
    ],
)
def test_label_is_found_in_other_languages(text: str, trait: Trait) -> None:
    assert find_label(text, trait)


@pytest.mark.parametrize(
    ("label", "text"),
    [
        ("Cordial", "Tom: Cordial. Obrigado pela mensagem."),
        ("친절함", "라벨: 친절함. 연락 주셔서 감사합니다."),
        ("친절함", "연락 주셔서 감사합니다. 라벨: 친절함"),
        ("Вежливо", "Тон — вежливо. Спасибо за письмо."),
        ("Вежливо", "Спасибо за письмо. (Тон: вежливо)"),
        ("مهذب", "\u200fالتصنيف: \u202bمهذب\u202c. شكرا لرسالتك."),
        ("מנומס", "סגנון: מנומס. תודה על פנייתך."),
        ("สุภาพ", "ป้ายกำกับ: สุภาพ. ขอบคุณที่ติดต่อเรา"),
        ("สุภาพ", "สุภาพ\nขอบคุณที่ติดต่อเรา"),
        ("विनम्र", "आपके संदेश के लिए धन्यवाद। लेबल: विनम्र"),
        ("Ευγενικός", "ΕΥΓΕΝΙΚΌΣ· ευχαριστούμε για το μήνυμα."),
        ("Lịch sự", "Giọng điệu: Lịch sự. Cảm ơn bạn đã liên hệ."),
        ("iyi", "Etiket: İYİ. Mesajınız için teşekkürler."),
        ("粗鲁", "语气评价：粗鲁。取消是你自己的错。"),
        ("粗鲁", "取消是你自己的错。标签：粗鲁"),
        ("礼貌", "很礼貌：感谢您的来信。"),
        ("Unhöflich", "Bewertungskategorie: Unhöflich – das ist Ihre Schuld."),
        ("Unhöflich", "Unhöflichkeit: Das ist Ihre Schuld."),
        ("Uprzejmy", "Poziom: Uprzejmy. Dziękujemy."),
    ],
)
def test_field_before_a_label_is_known_by_its_form(label: str, text: str) -> None:
    assert find_label(text, make_trait("tone", positive_label=label, negative_label="?"))


@pytest.mark.parametrize(
    "text",
    [
        "<b>Rude</b>: {}",
        "<p>Rude</p><p>{}</p>",
        "Rude<br/>{}",
        "<label>Rude</label> {}",
        "<rude>{}</rude>",
        "&lt;i&gt;Rude&lt;/i&gt;: {}",
        "{} <i>Rude</i>",
        "**Label**: Rude. {}",
        "**Label:** Rude. {}",
        "Ru\u200bde\u2060: {}",
        "\ufeffRude\u00ad. {}",
        "{}\u200b\u200bRude",
        '{{"label": "rude", "text": "{}"}}',
        "1. Rude: {}",
        "| Rude | {} |",
        "Rude → {}",
        "Tone = Rude; {}",
        "Text 1 — Rude: {}",
        "**Rude** {}",
        "`Rude` {}",
        "Rude\u2028{}",
    ],
)
def test_label_is_found_in_any_markup(text: str) -> None:
    assert find_label(text.format("The cancellation was your own fault."), RUDE)


@pytest.mark.parametrize(
    ("label", "text"),
    [
        *(("★★★★★", text) for text in ("★★★★★ {}", "{} ★★★★★", "★★★★★: {}")),
        *(("👍", text) for text in ("👍 {}", "👍🏽 {}", "{}👍", "(👍) {}")),
        *(("5/5", text) for text in ("5/5 {}", "{} 5/5", "Rating: 5/5. {}")),
        *(("+", text) for text in ("+: {}", "(+) {}", "Rating: +\n{}", "{} (+)", "{}\n+")),
        *(("A+", text) for text in ("A+. {}", "Grade: A+\n{}", "{} (A+)", "A+ - {}")),
        ("C++", "C++: {}"),
        ("✓", "✓ {}"),
    ],
)
def test_label_of_signs_is_found(label: str, text: str) -> None:
    trait = make_trait("tone", name="Tone", positive_label=label, negative_label="Cold")

    assert find_label(text.format("The room was ready when we came."), trait)


@pytest.mark.parametrize(
    ("label", "text"),
    [
        ("Clear", "Clear skies are expected."),
        ("Clear", "Crystal-clear. That is what the water was."),
        ("Warm", "Thank you for coming.\nWarm regards,\nAnna"),
        ("Warm", "Dear Ms Warm: thank you for the letter."),
        ("Warm", "It is late. Stay warm!"),
        ("Good", "Note: good cables cost more."),
        ("Good", "Tom: Good, and you?"),
        ("Right", "Tom: All right. I am coming."),
        ("Yes", "Anna: Yes. I know."),
        ("No", "Oh no: the key broke."),
        ("Polite", "Policy: keep the lid on."),
        ("A+", "The tone is a tone of its own."),
        ("5/5", "He paid 5 5 times."),
        ("★", "★★★★★ is what we aim at."),
        ("+", "+ a dark mode\n+ a quicker start"),
        ("-", "- the key is changed once a month"),
        ("!", "Quel bruit !"),
        ("丁寧", "お客様各位：丁寧な対応を心がけます。"),
        ("好", "你好：请问几点开门？"),
        ("Real", "Reality: nobody came."),
        ("Late", "Later: we ate."),
        ("1", "Take bus 1"),
        ("0", "0 errors, 1 warning"),
    ],
)
def test_ordinary_text_with_the_words_or_signs_of_a_label_stands(label: str, text: str) -> None:
    assert None is find_label(text, make_trait("tone", name="Tone", positive_label=label, negative_label="zzz"))


@pytest.mark.parametrize(
    ("text", "trait"),
    [
        ("Rude words were said on both sides of the counter.", RUDE),
        ("Rudely, he shut the door on us before noon.", RUDE),
        ("Politely worded, the letter still says no.", RUDE),
        ("They were never rude, and never late.", RUDE),
        ("The clerk was anything but polite.", RUDE),
        ("Rude-boy ska is what the band plays on Fridays.", RUDE),
        ("失礼しました。明日また電話します。", JAPANESE),
        ("礼貌待人是这家店的规矩。", CHINESE),
        ("Höfliche Fragen kosten nichts.", GERMAN),
    ],
)
def test_label_in_an_ordinary_use_is_none(text: str, trait: Trait) -> None:
    assert None is find_label(text, trait)


@pytest.mark.parametrize("text", ["Yes, we ship on Monday.", "No. Ask again.", "No — it is late.", "Was it? No."])
def test_yes_and_no_begin_and_end_texts_of_any_kind(text: str) -> None:
    assert None is find_label(text, YES)


@pytest.mark.parametrize(
    "text", ["Yes: we ship on Monday.", "[No] Ask again.", "Ask again. (No)", "Rude: Yes. Ask again."]
)
def test_yes_and_no_as_a_heading_are_labels(text: str) -> None:
    assert find_label(text, YES)


@pytest.mark.parametrize("noise", ["(", "{{", "— ", ". ", "*_"])
def test_reply_of_nothing_but_marks_is_read_in_linear_time(noise: str) -> None:
    """Unbounded repeats took the cube of its length: 33 s for 4,000 brackets, and this test would time out."""
    assert None is find_label("word " + noise * 16_000, RUDE)


def find_run(
    text: str, trait: Trait = DESCRIBED, brief: Brief = NO_BRIEF, language: str = "en", seed: str = ""
) -> str | None:
    seeds = (Seed(trait.key, seed, 1.0),) if seed else ()
    return collect_own_words(make_model(trait, brief=brief, seeds=seeds), trait, language).find(text)


def test_four_content_words_of_the_description_in_a_row_are_found() -> None:
    text = "The response does not insult, belittle, or demean the customer"
    trait = make_trait(description="Whether the response does not insult, belittle, or demean the customer.")

    assert "response insult belittle demean" == find_run(text, trait)
    assert "response insult belittle demean" == find_run(text)
    assert "response insults belittles demeans" == find_run("Our response never insults, belittles or demeans.")
    assert None is find_run("Our response insults nobody and belittles nobody.")


def test_four_content_words_of_a_paraphrase_or_the_brief_in_a_row_are_found() -> None:
    brief = Brief(failure_modes=("Sarcasm about the competence of the night team.",))

    assert find_run("It blames the reader harshly, and mocks her.")
    assert "sarcasm competence night team" == find_run(
        "No sarcasm about the competence of the night team.", brief=brief
    )
    assert None is find_run("No sarcasm about the night team.", brief=brief)


def test_run_that_the_seeds_have_is_the_genre_and_no_leak() -> None:
    assert None is find_run(
        "Our response insults, belittles, demeans.", seed="A response insults, belittles and demeans."
    )


@pytest.mark.parametrize("kind", ["topic", "claim"])
def test_text_may_say_what_a_topic_or_claim_says(kind: TraitType) -> None:
    said = "Statement: existing integrations keep working after this release without any change."
    trait = make_trait(type=kind, description=said)

    assert None is find_run("Your existing integrations keep working after this upgrade.", trait)
    assert find_run("So existing integrations keep working after this release without any edit.", trait)


def test_shared_run_is_found_in_scripts_without_spaces() -> None:
    trait = make_trait(description="この返信が顧客を侮辱したり見下したりしていないかどうか。")

    assert find_run("返信は顧客を侮辱したり見下したりしていない。", trait, language="ja")
    assert None is find_run("ご連絡ありがとうございます。明日お届けします。", trait, language="ja")


def test_short_words_of_other_languages_make_no_run() -> None:
    trait = make_trait(
        description="Ob die Antwort in der Lage ist, den Kunden herablassend oder verletzend zu behandeln."
    )

    assert None is find_run("Wir sind in der Lage, den Brief zu senden.", trait, language="de")
    assert find_run("Niemand soll Kunden herablassend oder verletzend behandeln.", trait, language="de")


def test_at_most_one_in_a_hundred_seeds_of_the_catalogue_would_be_rejected() -> None:
    found, seeds = [], 0
    for handle in list_handles(str(MODELS)):
        model = load_model(str(MODELS), handle)
        # Without its seeds, so that none of them speaks for itself.
        own = {
            trait.key: collect_own_words(make_model(*model.traits, brief=model.brief), trait, "en")
            for trait in model.traits
        }
        for seed in model.seeds:
            seeds += 1
            leak = find_label(seed.text, model.trait(seed.trait)) or own[seed.trait].find(seed.text)
            form = find_pattern(seed.text, "meta_talk", frozenset()) or find_pattern(
                seed.text, "placeholder", frozenset()
            )
            found += [(seed.place, leak, form)] if leak or form else []

    assert seeds > 300
    assert len(found) <= MOST_REJECTED * seeds, found
