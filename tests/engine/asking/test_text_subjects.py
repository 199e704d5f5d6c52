"""What an author's own texts are about is found in their own words and language, spread as the texts are."""

from dataclasses import replace

from fakes.builders import make_model

from engine.asking.scenarios import TEXTS, choose_scenario_pool, list_proposable
from engine.asking.text_subjects import find_text_subjects, list_noun_phrases
from engine.definitions.scenario_packs import SCENARIOS_FOLDER, load_packs
from engine.domain.definition import OwnScenarios
from engine.domain.model import Model
from engine.domain.unlabelled_texts import OwnTexts

PACKS = load_packs(SCENARIOS_FOLDER)
GERMAN = [
    "Der Fahrkartenautomat am Bahnhof nimmt keine Münzen an, und der Schalter war zu.",
    "Am Bahnhof stand der Fahrkartenautomat still. Siehe https://bahn.test/x @stadt #defekt",
    "Die neue Straßenbahn hält nicht mehr vor der Schule, das ist für Kinder weit.",
    "Warum hält die neue Straßenbahn nicht an der Haltestelle vor dem Krankenhaus?",
    "Im Stadtpark fehlen Mülleimer, und am Spielplatz liegen Scherben.",
    "Am Spielplatz im Stadtpark liegen wieder leere Flaschen neben der Rutsche.",
    "Die Stadtbibliothek schließt samstags zu früh für Leute mit Arbeit.",
    "Öffnungszeiten der Stadtbibliothek: samstags nur bis Mittag, warum?",
    "Das Schwimmbad ist im Winter kalt, und die Umkleiden sind schmutzig.",
    "Schmutzige Umkleiden im Schwimmbad, und die Duschen bleiben kalt.",
]
PIANO = [
    "The customer went round the keys with me, and the pedal looks tired.",
    "Came back for the B flat. A copper winding had come loose.",
    "The school moved the piano again; I poured oil on the pedal screwed to it.",
]
# No articles: nothing tells a noun phrase.
TERSE = [
    "late swarm",
    "wax moth",
    "plum tree",
    "water trough",
    "brood pattern",
    "mouse guards",
    "lime honey",
    "old queen",
]
JAPANESE = ["電池の寿命が短いです。", "電池の寿命が長い。", "配送の遅れが続いた。", "配送の遅れに困った。"]


def make(*texts: str, language: str | None = None) -> Model:
    return make_model(texts=OwnTexts(drawn=texts), language=language)


def test_subjects_are_phrases_of_the_texts_without_addresses_and_function_words() -> None:
    subjects = find_text_subjects(make(*GERMAN))
    words = {word for subject in subjects for word in subject.split()}

    assert 8 <= len(subjects) == len(set(subjects))
    assert {"stadtpark", "schwimmbad"} & words
    assert words <= {word.strip(".,:?").lower() for text in GERMAN for word in text.split()}
    assert not words & {"der", "die", "und", "https", "bahn.test", "@stadt", "#defekt", "defekt"}
    assert not words & {"nimmt", "hält", "fehlen", "liegen", "schließt", "bleiben", "kalt"}


def test_noun_phrases_are_no_scraps_of_a_clause() -> None:
    german = ["Der Kunde des Hauses hat den Kachelofen angeschaut.", "Im Flur piept die alte Heizung ständig."]

    assert [["customer", "pedal"], ["copper winding"], ["school", "piano", "pedal"]] == list_noun_phrases(PIANO, "en")
    assert [["kunde", "hauses", "kachelofen"], ["alte heizung"]] == list_noun_phrases(german, "de")
    assert [["cliente", "tapa", "reloj"]] == list_noun_phrases(["El cliente trajo la tapa trasera del reloj."], "es")
    assert [[]] == list_noun_phrases(["Klient przyniósł zegar."], "pl")


def test_texts_of_too_few_noun_phrases_have_phrases_of_any_kind() -> None:
    assert set(TERSE) == set(find_text_subjects(make(*TERSE, language="en")))


def test_subjects_of_a_script_without_spaces_are_written_without_them() -> None:
    subjects = find_text_subjects(make(*JAPANESE, language="ja"))

    assert subjects
    assert not any(" " in subject for subject in subjects)
    assert all(any(subject in text for text in JAPANESE) for subject in subjects)


def test_taken_subjects_stay_out_and_texts_without_letters_have_none() -> None:
    first, *_ = find_text_subjects(make(*GERMAN))

    assert first not in find_text_subjects(make(*GERMAN), {first})
    assert () == find_text_subjects(make("12 34", "!!", language="de"))


def test_subjects_and_lengths_are_the_texts_own_and_the_chat_model_proposes_none() -> None:
    model = make(*GERMAN)
    pool = choose_scenario_pool(model, PACKS)

    assert [TEXTS] == [field.name for field in pool.fields]
    assert find_text_subjects(model) == pool.subjects
    assert "those of your texts without labels, which have 8 to 14 words" == pool.reasons["lengths"]
    assert ("audiences", "forms") == list_proposable(model)


def test_what_the_author_says_goes_before_the_texts_and_few_texts_leave_it_to_the_packs() -> None:
    model = make(*GERMAN)
    given = choose_scenario_pool(replace(model, scenarios=OwnScenarios(subjects=("ein Amt",))), PACKS)
    named = choose_scenario_pool(replace(model, scenarios=OwnScenarios(pack="bugs")), PACKS)
    few = make(*GERMAN[:2])

    assert ("ein Amt",) == given.subjects
    assert PACKS.packs["bugs"].subjects == named.subjects
    assert TEXTS not in [field.name for field in choose_scenario_pool(few, PACKS).fields]
    assert "subjects" in list_proposable(few)
