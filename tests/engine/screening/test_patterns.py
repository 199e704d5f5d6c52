"""Talk about the task and gaps are found in many languages; what only comes near, or is a model's own, stands."""

import pytest
from fakes.builders import make_model, make_trait

from engine.domain.model import Brief, Model, Seed
from engine.domain.samples import Reason
from engine.screening.patterns import PATTERNS, find_pattern, list_lifted

NONE: frozenset[str] = frozenset()

TALK = [
    "Here is an example of a rude text: You people never answer.",
    "Here is an example of a rude reply: You people never answer.",
    "Here's an example. You people never answer.",
    "Here are three examples:\n1. You people never answer.",
    "Here is a polite text about the cancellation of an order.",
    "Here are some short texts about keys.",
    "Here's a clear version of what you sent me.",
    "Here's the revised message: You people never answer.",
    "Here is the text you asked for. The key is changed once a month.",
    "Sure! Here's a rude text: You people never answer.",
    "Sure, here is an example: You people never answer.",
    "Certainly! Here are two examples of polite messages:",
    "Of course! I have written a polite text for you.",
    "Sure! The key is changed once a month.",
    "Sure, here it is for you.",
    "**Here is an example of a rude text:** You people never answer.",
    "I can write a text about that for you.",
    "As an AI, I have no orders to cancel.",
    "As an AI language model, I cannot be rude.",
    "Well, as a language model I would change the key.",
    "This text shows how an impolite answer reads.",
    "The key is changed. This exemplar illustrates clarity.",
    "The above text stands at the negative pole of the scale.",
    "This message follows your instructions to the letter.",
    "It is a positive example of what was asked.",
    "A positive exemplar would name the day.",
    "The key is changed once a month. I hope this helps!",
    "The key is changed. Let me know if you would like more examples.",
    "Let me know if you'd like me to rewrite it in another tone.",
    "Output: the key is changed once a month.",
    "Example 1: the key is changed once a month.",
    "**Answer:** the key is changed once a month.",
    "Hier ist ein Beispiel: Der Schlüssel wird gewechselt.",
    "Hier ist ein Beispiel für eine unhöfliche Antwort: Lassen Sie mich in Ruhe.",
    "Gerne! Hier ist ein höflicher Text: Vielen Dank für Ihre Nachricht.",
    "Als KI-Sprachmodell kann ich nicht unhöflich sein.",
    "Beispiel 1: Der Schlüssel wird gewechselt.",
    "Dieser Text zeigt, wie eine unhöfliche Antwort klingt.",
    "Voici un exemple : La clé est changée chaque mois.",
    "Bien sûr ! Voici un exemple de texte impoli : Laissez-moi tranquille.",
    "En tant que modèle de langage, je ne peux pas être impoli.",
    "Aquí tienes un ejemplo de texto grosero: Déjeme en paz.",
    "Como modelo de lenguaje, no puedo ser grosero.",
    "Ecco un esempio di testo scortese: Lasciatemi in pace.",
    "Aqui está um exemplo: A chave é trocada todo mês.",
    "Hier is een voorbeeld van een onbeleefde tekst: Laat me met rust.",
    "Oto przykład: Klucz jest wymieniany co miesiąc.",
    "Вот пример грубого текста: Оставьте меня в покое.",
    "İşte bir örnek: Anahtar her ay değiştirilir.",
    "以下は例です。鍵は毎月交換されます。",
    "以下は失礼な文章の例です。もう連絡しないでください。",
    "はい、以下にメッセージの例を示します。",
    "例1：鍵は毎月交換されます。",
    "以下是一个不礼貌的文本示例：别再来烦我。",
    "作为一个人工智能，我不能无礼。",
    "다음은 무례한 글의 예시입니다: 연락하지 마세요.",
    "यहाँ एक अशिष्ट पाठ का उदाहरण है: मुझे अकेला छोड़ दो।",
    "إليك مثال على نص فظ: اتركني وشأني.",
]

MATTER = [
    "Note: the cable must be unplugged before the cover is taken off.",
    "The following example shows how to rotate a key.",
    "The following text is quoted from the manual of 1964.",
    "This example is from the second chapter of the guide.",
    "Here is an example of how to change the key.",
    "Here is an example of a configuration file that works on all servers.",
    "Here is the key to the door of the cellar.",
    "Here's a sample of the fabric; the blue one comes next week.",
    "Here is the latest version, with the two new figures.",
    "Here is the text of the treaty, as it was signed in May.",
    "Sure, the key is changed once a month, but nobody checks.",
    "Sure thing, see you at eight in front of the cinema.",
    "Of course, we refund the whole amount within five days.",
    "Okay, so the train is late again and I am still in Leeds.",
    "Certainly the older of the two, the house has no cellar.",
    "As an assistant manager she opens the shop on Saturdays.",
    "As an AI researcher, Ana reads forty papers a month.",
    "The positive pole of the battery is marked in red.",
    "She sets a positive example for the younger players.",
    "Turn the negative pole of the magnet towards the coil.",
    "TODO: remove the flag when the old clients are gone.",
    "Send the text to the office; this text message costs nothing.",
    "Let me know if you need more time for the report.",
    "Hier ist ein Beispiel für eine Konfiguration, die überall läuft.",
    "Hinweis: Das Kabel muss gezogen sein.",
    "Voici la clé de la cave, avec une copie pour ta sœur.",
    "Voici un exemple de configuration qui marche partout.",
    "Aquí está la llave del sótano que me pediste ayer.",
    "次は東京です。お出口は左側です。",
    "以下の手順で鍵を交換します。",
    "这是我昨天说的那家书店，周末也开门。",
    "I just got a text from Anna: the train is late.",
    "Me mandó este texto: llego tarde.",
    "वह यहाँ हर सुबह अखबार पढ़ता है।",
]

GAPS = [
    ("Dear [Your Name], the key was changed last night.", "[Your Name]"),
    ("The key was changed by [insert name here] last night.", "[insert name here]"),
    ("The note said that [redacted] was changed last night.", "[redacted]"),
    ("Write to [email] once the key is changed.", "[email]"),
    ("Dear {{ customer }}, the key was changed last night.", "{{ customer }}"),
    ("Dear <your name>, the key was changed last night.", "<your name>"),
    ("Lorem ipsum is what the page has in it so far.", "Lorem ipsum"),
    ("Call 555-XXXX when the key has been changed.", "5-XXXX"),
    ("Your order XXX-XXX has left the house.", "XXX-XXX"),
    ("Hello XXX, the key was changed last night.", "Hello XXX"),
    ("The fee is $XX a month from May on.", "$XX"),
    ("The day on which the key is changed: [TBD].", "[TBD]"),
    ("The day of the change (to be filled in) is a Monday.", "(to be filled in)"),
    ("The key was changed by ________ last night.", "________"),
    ("John Doe changed the key of the server last night.", "John Doe"),
    ("The function foobar changes the key of the server.", "foobar"),
]

NO_GAPS = [
    "Film ratings from X to XXX are given by the board.",
    "Super Bowl XXX was played in Arizona, and chapter XXX tells of it.",
    "See you on Sunday, and give my love to your mum xxx",
    "So proud of you all, what a night! xxxx",
    "The owner of the stall and the day are TBD.",
    "The form is to be filled in by both parents.",
    "See the [company handbook](https://example.com/handbook) for the rules.",
    "The list [1, 2, 3] has three entries, and row[date] is the first.",
    "Wrap it in <div> and </div>, or the page will not show it.",
    "The element <name>Ana</name> comes before the address.",
    "The clause binds [Party A] and [Party B] alike.",
    "The map is a dict like {1: 2}, and nothing more than that.",
    "John did what Jane does each month with the key.",
    "The snake_case name __init__ is called first of all.",
]


def lift(model: Model, *forms: str) -> frozenset[str]:
    return frozenset(item.name for item in list_lifted(model, forms))


@pytest.mark.parametrize("text", TALK)
def test_talk_about_the_task_is_found(text: str) -> None:
    assert find_pattern(text, "meta_talk", NONE)


@pytest.mark.parametrize("text", [*MATTER, *NO_GAPS])
def test_text_about_its_matter_is_no_talk_about_the_task(text: str) -> None:
    assert None is find_pattern(text, "meta_talk", NONE)


@pytest.mark.parametrize(("text", "gap"), GAPS)
def test_gap_to_be_filled_in_is_found(text: str, gap: str) -> None:
    assert gap == find_pattern(text, "placeholder", NONE)


@pytest.mark.parametrize("text", [*NO_GAPS, *MATTER])
def test_what_is_written_on_purpose_is_no_gap(text: str) -> None:
    assert None is find_pattern(text, "placeholder", NONE)


@pytest.mark.parametrize("quality", [1.0, 0.0])
@pytest.mark.parametrize(
    ("seed", "text"),
    [
        ("Answer: yes, two of them fit on the shelf.", "Answer: no, the lid is too wide."),
        ("The tenant, [name], pays on the first.", "The landlord, [company], keeps the key."),
        ("Names are foobar and the like in all our guides.", "The function foobar changes the key."),
        ("Subject: the lift is out of order", "Subject: water is off on Monday"),
        ("{{ greeting }}, the lamp is on.", "{{ customer }}, the key is changed."),
    ],
)
def test_pattern_that_a_seed_of_either_pole_has_does_not_hold(seed: str, text: str, quality: float) -> None:
    plain = make_model()
    own = make_model(seeds=(Seed("clarity", seed, quality, "u22a8.test/samples.jsonl:3"),))
    reasons: tuple[Reason, ...] = ("meta_talk", "placeholder", "prompt_echo")

    assert any(find_pattern(text, reason, lift(plain)) for reason in reasons)
    assert [None] * 3 == [find_pattern(text, reason, lift(own)) for reason in reasons]
    assert {"u22a8.test/samples.jsonl:3"} == {item.place for item in list_lifted(own)}


def test_seed_lifts_no_other_pattern_than_its_own() -> None:
    own = make_model(seeds=(Seed("clarity", "Answer: yes, two of them fit on the shelf.", 1.0, "s.jsonl:1"),))

    assert find_pattern("Output: the lid is too wide.", "meta_talk", lift(own))
    assert find_pattern("As an AI, I have no shelf.", "meta_talk", lift(own))


def test_pattern_that_the_brief_quotes_does_not_hold() -> None:
    brief = Brief(failure_modes=('A letter sent with a gap such as "[Your Name]" in it.',))

    assert find_pattern("Dear [Your Name], hello.", "placeholder", lift(make_model()))
    assert None is find_pattern("Dear [Your Name], hello.", "placeholder", lift(make_model(brief=brief)))


@pytest.mark.parametrize(
    "model",
    [
        make_model(description="Whether a reply of the support team is kind."),
        make_model(brief=Brief(domain=("Chat messages between colleagues.",))),
        make_model(make_trait(description="Whether an email comes to the point.")),
    ],
)
def test_what_people_write_to_one_another_may_assent_and_hope_to_help(model: Model) -> None:
    for text in ("Sure! I have put it on your desk.", "The key is under the mat. I hope this helps!"):
        assert find_pattern(text, "meta_talk", lift(make_model()))
        assert None is find_pattern(text, "meta_talk", lift(model))
        assert None is find_pattern(text, "meta_talk", lift(make_model(), "an answer in a forum"))


def test_each_pattern_has_a_name_of_its_own() -> None:
    assert len(PATTERNS) == len({pattern.name for pattern in PATTERNS})


# Of each, a pattern that tries again at every character makes hours or years, which the limit of a test ends.
@pytest.mark.parametrize(
    "text",
    [f"voici {'a' * 1000}", f"ecco {'a' * 1000}", f"sure{' ' * 1_000_000}x", "{{" * 500_000],
    ids=lambda text: text[:6],
)
def test_long_text_is_searched_in_one_pass(text: str) -> None:
    assert [None, None] == [find_pattern(text, reason, NONE) for reason in ("meta_talk", "placeholder")]
