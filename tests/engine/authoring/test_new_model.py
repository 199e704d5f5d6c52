"""A new model can be used as it is written, explains every field, and overwrites nothing."""

import re
from collections import Counter
from pathlib import Path

import pytest
from fakes.definitions import load_definition

from engine.authoring.answers import EXAMPLE, Answers, PoleAnswer
from engine.authoring.new_model import COMMITTED_SCHEMA, SCHEMA_FILE, locate_schema, render_definition, write_new_model
from engine.definitions.loader import load_model
from engine.definitions.schema import OBJECTS, format_schema, list_fields
from engine.domain.definition import TRAIT_TYPES
from engine.errors import HandleError, StoreError
from engine.settings import PROJECT_ROOT

HANDLE = "acme.reviews"
SPOKEN = [
    Answers(
        "Replies: to 'customers', and \"others\" # all of them",
        "Warmth",
        PoleAnswer("Warm", "thanks: and offers help", ("Thank you!", 'He said "no" \\ yes.', "- a list?")),
        PoleAnswer("yes", "", ("Closed.",)),
        "Is it kind?",
    ),
    Answers("お客様への返信", "null", PoleAnswer("丁寧", "お礼を言う", ("ありがとう。",)), PoleAnswer("true"), "[x]"),
]


def cut_block(text: str, begin: str) -> str:
    [block] = re.findall(rf"^( *# {begin}\n(?: *# +.*\n)*)", text, re.MULTILINE)
    return re.sub(r"^( *)# ", r"\1", block, flags=re.MULTILINE)


@pytest.mark.parametrize("answers", SPOKEN)
def test_answers_of_any_language_are_what_the_model_has(tmp_path: Path, answers: Answers) -> None:
    write_new_model(tmp_path, HANDLE, answers)
    model = load_model(str(tmp_path), HANDLE)
    [trait] = model.traits
    examples = {(text, 1.0) for text in answers.positive.examples} | {(text, 0.0) for text in answers.negative.examples}

    assert (answers.trait, answers.description) == (trait.name, trait.description)
    assert (answers.positive.label, answers.negative.label) == (trait.positive_label, trait.negative_label)
    assert answers.positive.paraphrase == "".join(trait.positive_paraphrase)
    assert (answers.summary, (answers.texts,)) == (model.description, model.brief.domain)
    assert (examples, ()) == ({(seed.text, seed.quality) for seed in model.seeds}, model.skipped)


def test_every_field_has_its_description_before_it() -> None:
    text = render_definition(HANDLE, EXAMPLE, "model.schema.json")
    words = " ".join(re.sub(r"^[ #]+", "", line) for line in text.splitlines())

    for kind in OBJECTS.values():
        for name, field in list_fields(kind).items():
            assert re.search(rf"^[ #-]*\b{name}:|[{{ ]{name}: ", text, re.MULTILINE), name
            # What a field means is said once, of the first kind of source that has it.
            assert " ".join((field.description or "").split()) in words, name
    assert max(map(len, text.splitlines())) <= 120


def test_types_and_sources_that_stand_in_comments_can_be_used() -> None:
    text = render_definition(HANDLE, EXAMPLE, "x")
    types = [
        re.sub(r"^ *# ", "", line) for line in text.splitlines() if re.match(r" *# - type: (?!file|noise|texts)", line)
    ]
    traits = "".join(cut_block(text, re.escape(line)) for line in types)
    sources = "".join(cut_block(text, f"- type: {kind}") for kind in ("file", "noise"))
    own = "  - {type: spectrum, key: warmth}\n  - {type: topic, key: refund}\n"
    of_types, of_sources = (
        load_definition(HANDLE, f"traits:\n{written}", b"One sentence.\n")
        for written in (traits, f"{own}sources:\n{sources}")
    )

    assert set(TRAIT_TYPES) == {"spectrum", *(trait.type for trait in of_types.traits)}
    assert {"warmth": 1, "refund": 11} == Counter(seed.trait for seed in of_sources.seeds)


def test_editors_find_the_schema_of_the_checkout_or_one_beside_models_that_are_elsewhere(tmp_path: Path) -> None:
    definition = write_new_model(tmp_path / "not" / "there", HANDLE)

    assert COMMITTED_SCHEMA == locate_schema(PROJECT_ROOT / "data" / "models")
    assert COMMITTED_SCHEMA.is_file()
    assert "# yaml-language-server: $schema=../model.schema.json" == definition.read_text().splitlines()[0]
    assert format_schema() == (definition.parents[1] / SCHEMA_FILE).read_text()
    assert b"" == definition.with_name("samples.jsonl").read_bytes()


def test_samples_that_are_there_and_a_schema_of_somebody_else_stay(tmp_path: Path) -> None:
    (tmp_path / SCHEMA_FILE).write_text("mine")
    samples = tmp_path / HANDLE / "samples.jsonl"
    samples.parent.mkdir()
    samples.write_text('{"content": "Mine.", "warmth": 1}\n')
    write_new_model(tmp_path, HANDLE)

    assert ["Mine."] == [seed.text for seed in load_model(str(tmp_path), HANDLE).seeds]
    assert "mine" == (tmp_path / SCHEMA_FILE).read_text()


def test_what_cannot_be_written_is_told_and_a_second_start_goes_on(tmp_path: Path) -> None:
    (tmp_path / HANDLE).write_text("no folder")
    with pytest.raises(StoreError, match=r"cannot be written: .*EXEMPLARS_MODELS_URI"):
        write_new_model(tmp_path, HANDLE)
    (tmp_path / HANDLE).unlink()
    write_new_model(tmp_path, HANDLE)
    with pytest.raises(HandleError):
        write_new_model(tmp_path / "other", "../x")

    assert load_model(str(tmp_path), HANDLE).traits
    assert not (tmp_path / "other").exists()
