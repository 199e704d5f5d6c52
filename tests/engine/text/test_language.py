"""The language of a model is decided by what says most of it, and a text in another one is found in every script."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from fakes.builders import make_model, make_seeds, make_trait

from engine.domain.definition import Brief
from engine.domain.model import Model, Seed
from engine.domain.unlabelled_texts import OwnTexts
from engine.text.language import Language, decide_language, detect_language, find_other_language

GERMAN = ("Der Ton der Antwort ist höflich.", "Danke, das hilft mir sehr weiter.", "Wir melden uns morgen bei Ihnen.")
ENGLISH_BRIEF = Brief(
    intent=("Replies of a help desk are scored for how friendly they are, and the worst are written again.",),
    domain=("Letters to customers who wait for an answer, a parcel or their money.",),
)
JAPANESE = "お問い合わせいただきありがとうございます。すぐに確認してご連絡いたします。"
CHINESE = "感谢您的来信，我们会尽快核实情况并在明天上午之前给您答复。"
HINDI = "आपके संदेश के लिए धन्यवाद, हम कल सुबह तक आपको उत्तर देंगे।"
NORWEGIAN = "Dette er en ganske alminnelig norsk setning om været i dag."
SERBIAN = "Ovo je sasvim obična rečenica o današnjem vremenu."
ENGLISH = "Thank you for your letter, we look into it and answer before tomorrow morning."


def make_seeded(*texts: str) -> Model:
    return make_model(seeds=tuple(Seed("clarity", text, 1.0) for text in texts))


def test_field_of_the_model_comes_first_and_then_its_seeds() -> None:
    seeded = make_seeded(*GERMAN)
    english = make_model(seeds=make_seeds(), brief=Brief(intent=GERMAN))

    assert Language("pt-BR", "model.yaml says so") == decide_language(replace(seeded, language="pt-BR"))
    texts = OwnTexts(drawn=("Le train de nuit arrive à Lyon avant le petit déjeuner.",))
    assert Language("fr", "the texts without labels are") == decide_language(make_model(texts=texts))
    assert Language("de", "the seeds are") == decide_language(replace(seeded, texts=texts))
    assert Language("de", "the seeds are") == decide_language(replace(seeded, brief=ENGLISH_BRIEF))
    assert Language("en", "the seeds are") == decide_language(english)


@pytest.mark.parametrize(
    ("text", "tag"),
    [
        (JAPANESE, "ja"),
        (CHINESE, "zh"),
        ("ขอบคุณมากครับ", "th"),
    ],
)
def test_one_short_seed_is_enough(text: str, tag: str) -> None:
    assert tag == decide_language(make_seeded(text)).tag


def test_labels_and_then_the_brief_decide_where_there_are_no_seeds() -> None:
    japanese = make_trait(name="丁寧さ", description="", positive_label="丁寧な返信", negative_label="失礼な返信")
    silent = make_trait(name="X", description="", positive_label="A", negative_label="B")
    found = [
        decide_language(replace(make_model(trait, brief=brief), description=""))
        for trait, brief in ((japanese, ENGLISH_BRIEF), (silent, Brief(intent=GERMAN)), (silent, Brief()))
    ]

    assert [
        Language("ja", "labels and descriptions are"),
        Language("de", "the brief is"),
        Language("en", "nothing in the model indicates another language"),
    ] == found


@pytest.mark.parametrize(
    ("texts", "code"),
    [((), None), (("12:30 €",), None), ((CHINESE, JAPANESE), "ja"), (("東京",), None), (GERMAN * 40_000, "de")],
    ids=["nothing", "numbers", "Chinese and Japanese", "a word", "very many"],
)
def test_language_is_detected_only_where_it_is_sure(texts: Sequence[str], code: str | None) -> None:
    assert code == detect_language(texts)


@pytest.mark.parametrize(
    ("text", "expected", "found"),
    [
        (ENGLISH, "de", "en"),
        (JAPANESE, "zh-Hant", "ja"),
        (HINDI, "en", "hi"),
        ("This is Hindi: नमस्ते", "hi", "Latin script"),
        ("kubectl get pods -n kube-system を実行してください。", "ja", None),
        (NORWEGIAN, "nn", None),
        (SERBIAN, "sr-Latn", None),
        # Too short to tell languages of one script apart, long enough to tell scripts.
        (GERMAN[0], "en", "de"),
        ("OK", "ja", None),
        # Whose language has no detector.
        ("Nagtutubo ang mga halaman sa hardin sa likod-bahay namin.", "ceb", None),
        ("गोष्ट चांगली आहे", "ceb", "Devanagari script"),
    ],
)
def test_text_in_another_language_is_found(text: str, expected: str, found: str | None) -> None:
    assert found == find_other_language(text, expected)


def test_the_encoder_knows_fifteen_languages() -> None:
    assert [True, True, False] == [Language(tag).encoder_supports_language for tag in ("pt-BR", "zh-Hant", "hi")]
