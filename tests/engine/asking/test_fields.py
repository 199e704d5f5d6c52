"""Subjects are spread over what a model names, whatever pack they are from and in whatever language it is said."""

from dataclasses import replace

import numpy as np
import pytest
from fakes.builders import make_model, make_trait

from engine.asking.fields import (
    REST,
    SEEDS,
    UNITS,
    VECTORS_FILE,
    Field,
    index_packs,
    keep_once,
    list_own_fields,
    list_phrases,
    name_fields,
    name_subjects,
    spread_subjects,
)
from engine.asking.text_subjects import LEAST_SUBJECTS
from engine.definitions.loader import load_model
from engine.definitions.scenario_packs import SCENARIOS_FOLDER, load_packs
from engine.domain.definition import Brief
from engine.domain.model import Model, Seed
from engine.settings import PROJECT_ROOT
from engine.text.embedding import encode

PACKS = load_packs(SCENARIOS_FOLDER)
LAST_DIGITS = 2
PACK_OF = {subject: name for name, pack in PACKS.packs.items() for subject in pack.subjects}


def say(*domain: str, description: str = "", seeds: tuple[Seed, ...] = ()) -> Model:
    return make_model(handle="ns.x", description=description, brief=Brief(domain=domain), seeds=seeds)


def spread(model: Model, **given: tuple[str, ...]) -> dict[str, Field]:
    return {field.name: field for field in spread_subjects(model, PACKS, **given)}


def main_pack(field: Field) -> str:
    packs = [PACK_OF.get(subject, "") for subject in field.subjects[:LEAST_SUBJECTS]]
    return max(dict.fromkeys(packs), key=packs.count)


@pytest.mark.parametrize(
    ("domain", "fields"),
    [
        ("Letters from town halls, tax offices and schools.", ["town halls", "tax offices", "schools"]),
        ("Notes by the staff of an office: travel, meals; gifts", ["travel", "meals", "gifts"]),
        ("Short poems about love, loss and the seasons", ["love", "loss", "seasons"]),
        ("oil, Oil, things for sale", ["oil", "sale"]),
        ("Beschwerden: Lärm, Hunde und Müll", ["Lärm", "Hunde", "Müll"]),
        ("Reports of a tuner on the houses he went round, the strings he replaced", ["houses", "strings"]),
        ("Appointment notes: fillings, what hurt, how the patient coped, X-rays", ["fillings", "X-rays"]),
        ("Berichte über Kamine, was der Kunde gefragt hat und die er besuchen muss", ["Kamine"]),
    ],
)
def test_phrases_of_the_domain_are_fields(domain: str, fields: list[str]) -> None:
    assert fields == name_fields(say(domain))


@pytest.mark.parametrize(
    ("model", "packs"),
    [
        (
            say("Posts about medicine, computers, football, religion"),
            ["health", "technology-discussion", "sport", "religion-philosophy"],
        ),
        (say("Texte: Politik, Kochen", description="Ob ein Text klar ist."), ["politics-news", "home-cooking"]),
        (
            say("Notes of an office: travel, meals, supplies", description="Whether an expense note is odd."),
            ["expenses", "expenses", "expenses"],
        ),
        (say(description="Whether a product review helps a shopper to decide."), ["products"]),
    ],
)
def test_each_field_has_subjects_of_its_own_from_whatever_pack(model: Model, packs: list[str]) -> None:
    fields = spread(model)
    subjects = [subject for field in fields.values() for subject in field.subjects]

    assert packs == [main_pack(field) for field in fields.values()]
    assert len(subjects) == len(set(subjects))
    assert LEAST_SUBJECTS <= min(len(field.subjects) for field in fields.values())


def test_kinds_of_text_are_no_fields_and_what_no_pack_covers_is_its_own_subject() -> None:
    fields = spread(say("Letters, tax offices and public notices"))
    others = spread(say("posts, tax offices, dating profiles, schools"))

    assert ["tax offices"] == list(fields)
    assert ["tax offices", "dating profiles", "schools"] == list(others)
    assert "dating profiles" in others["dating profiles"].subjects
    assert [False] == [field.covered for name, field in others.items() if name not in ("tax offices", "schools")]


def test_everyday_stands_where_nothing_is_named_or_most_is_not_covered() -> None:
    assert [REST] == list(spread(make_model(make_trait("x", description=""), handle="ns.x")))
    assert ["dating profiles", "tattoos", REST] == list(spread(say("dating profiles, tattoos")))


def test_subjects_that_seeds_are_about_are_one_field_and_do_not_choose_the_others() -> None:
    seeds = tuple(
        Seed("clarity", text, 1.0)
        for text in ("The goalkeeper let in two penalties.", "The coach changed the striker.")
    )
    fields = spread(say("Posts about medicine, religion", seeds=seeds))

    assert ["medicine", "religion", SEEDS] == list(fields)
    assert ["health", "religion-philosophy", "sport"] == [main_pack(field) for field in fields.values()]
    assert ("goalkeeper", "coach") == fields[SEEDS].tiers[-1]


def test_proposed_subjects_come_first_in_the_field_that_they_are_nearest_to() -> None:
    fields = spread(say("Posts about medicine, religion"), proposed=("a broken arm", "a bishop's sermon"))

    assert [("a broken arm",), ("a bishop's sermon",)] == [field.tiers[0] for field in fields.values()]


def test_proposed_subjects_are_kept_where_nothing_is_named_and_cover_what_no_pack_does() -> None:
    proposed = tuple(f"a message of {number} words" for number in range(LEAST_SUBJECTS))

    assert (Field("proposed", (proposed,)),) == spread_subjects(make_model(handle="ns.x"), PACKS, proposed)
    assert {"dating profiles": True} == {
        name: field.covered for name, field in spread(say("dating profiles"), proposed=proposed).items()
    }


def test_taken_subjects_are_none() -> None:
    model = load_model(str(PROJECT_ROOT / "data" / "models"), "u22a8.plain-language")
    first = spread(model)["tax offices"].subjects

    assert set() == set(first) & {s for field in spread(model, taken=first).values() for s in field.subjects}


def test_language_without_the_encoder_has_the_model_s_own_words_and_what_is_proposed() -> None:
    fields = list_own_fields(say("पत्र: कर, स्कूल"), PACKS, ("एक बिल",), ())

    assert [("एक बिल",), ("कर", "स्कूल")] == [field.subjects for field in fields[:2]]
    assert [REST] == [field.name for field in fields[2:]]


def test_subject_stands_once() -> None:
    kept = keep_once([Field("one", (("A", "b"), ("B",))), Field("two", (("a",),)), Field("three", (("c",),))])

    assert (Field("one", (("A", "b"),)), Field("three", (("c",),))) == kept


@pytest.mark.parametrize(
    ("texts", "subjects"),
    [
        (
            ["The report is written to the archive server.", "The report is written to the finance team."],
            ["archive server", "finance team"],
        ),
        (["Close the ticket.", "", "It is what it is.", "Close the ticket."], ["close", "", "It is what it", "close"]),
        (["Rotate API keys"], ["rotate API keys"]),
    ],
)
def test_subject_is_the_run_of_words_that_tells_a_text_from_the_others(texts: list[str], subjects: list[str]) -> None:
    assert subjects == [*name_subjects(tuple(texts))]


def test_shipped_vectors_are_the_encoder_s_of_the_packs_as_they_are() -> None:
    phrases = [phrase for group in list_phrases(PACKS.packs.items()) for phrase in group]
    with np.load(VECTORS_FILE) as file:
        shipped, vectors = file["phrases"].tolist(), file["vectors"]

    assert phrases == shipped, "run 'make docs'"
    # The last digit depends on the machine, and on the batch.
    assert LAST_DIGITS >= np.abs(np.rint(encode(phrases[::20]) * UNITS) - vectors[::20]).max()


def test_subjects_of_a_pack_that_was_changed_are_placed_too() -> None:
    pack = PACKS.packs["travel"]
    changed = replace(PACKS, packs={"travel": pack.model_copy(update={"subjects": ("a ferry at night",)})})
    both = ["a ferry at night", pack.subjects[0]]

    assert LAST_DIGITS >= np.rint(np.abs(encode(both) - index_packs(changed).embed(both)) * UNITS).max()
