"""Entries of `sources`: text files and ordinary texts are read, what is wrong is named, the rest is told as skipped."""

from collections.abc import Mapping
from types import MappingProxyType

import pytest
from fakes.definitions import load_definition

from engine.definitions.sources.unlabelled import read_ordinary
from engine.domain.model import Model, Seed
from engine.errors import DefinitionError, Problem

WHERE = "u22a8.test/model.yaml"
SCALE = "traits:\n  - {type: spectrum, key: clarity, positive_label: Clear, negative_label: Obscure}\n"
TOPIC = "traits:\n  - {type: topic, key: food}\n"
TWO = f"{SCALE}  - {{type: topic, key: food}}\n"
TEXT = b"First chapter\n\nOne sentence.\n\nAnother sentence.\n"


def parse(text: str, files: Mapping[str, bytes] = MappingProxyType({"a.txt": TEXT, "a.jsonl": b""})) -> Model:
    return load_definition("u22a8.test", text, files)


def find_problem(text: str) -> Problem:
    with pytest.raises(DefinitionError) as caught:
        parse(text)
    [problem] = caught.value.problems
    return problem


def test_passages_of_a_text_file_are_samples_of_the_only_trait_at_its_positive_pole() -> None:
    source = f"{SCALE}sources: [{{type: file, path: a.txt}}]\n"
    model, many = parse(source), parse(source, {"a.txt": b"A\n\n" * 8})

    assert (
        Seed("clarity", "One sentence.", 1.0, "u22a8.test/a.txt:3"),
        Seed("clarity", "Another sentence.", 1.0, "u22a8.test/a.txt:5"),
    ) == model.seeds
    assert ["u22a8.test/a.txt, line 1"] == [item.what for item in model.skipped]
    assert ["u22a8.test/a.txt, lines 1, 3, 5, 7, 9 and 3 more"] == [item.what for item in many.skipped]


def test_text_file_may_label_several_traits_line_by_line() -> None:
    mapping = "{a: {trait: clarity, quality: 0}, b: {trait: food}}"
    source = f"{TWO}sources: [{{type: file, path: a.txt, split: lines, mapping: {mapping}}}]\n"
    labelled = [(seed.trait, seed.text, seed.quality) for seed in parse(source, {"a.txt": b"One\nTwo\n"}).seeds]

    assert [("clarity", "One", 0.0), ("food", "One", 1.0), ("clarity", "Two", 0.0), ("food", "Two", 1.0)] == labelled


@pytest.mark.parametrize("mapping", ["{text: content}", "{clarity: {trait: clarity}, text: content}"])
def test_text_stands_in_the_field_that_the_mapping_says(mapping: str) -> None:
    files = {"a.csv": b"content,text,clarity\n7,One.,clear\n", "a.jsonl": b'{"text": "One.", "clarity": 1}'}
    for ending in ("csv", "jsonl"):
        [seed] = parse(f"{SCALE}sources: [{{type: {ending}, path: a.{ending}, mapping: {mapping}}}]\n", files).seeds
        assert ("One.", 1.0) == (seed.text, seed.quality)


def test_csv_without_a_column_of_texts_is_told_how_another_one_is_named() -> None:
    with pytest.raises(DefinitionError, match=r"a column 'content', or in model.yaml `mapping: {NAME: content}`"):
        parse(f"{SCALE}sources: [{{type: csv, path: a.csv}}]\n", {"a.csv": b"review,clarity\nOne.,clear\n"})


@pytest.mark.parametrize(
    ("traits", "source", "field", "allowed"),
    [
        (TWO, "file, path: a.txt", "mapping", "samples of, as {x: {trait: clarity}}"),
        (SCALE, "file, path: a.txt, mapping: {x: {trait: clarity, quality: 2}}", "mapping.x.quality", "a number in"),
        (TOPIC, "file, path: a.txt, mapping: {a: {trait: food}, b: {trait: food}}", "mapping.b.trait", "each trait"),
        (
            SCALE,
            "csv, path: a.csv, mapping: {t: text}",
            "mapping.t",
            "{trait: KEY}, or content, for the field that has",
        ),
        (SCALE, "csv, path: a.csv, mapping: {t: }", "mapping.t", "its trait, as in {trait: KEY}, or content"),
        (SCALE, "jsonl, path: a.jsonl, mapping: {t: content, u: content}", "mapping.u", "the text in one field alone"),
        (SCALE, "file, path: b/a.CSV", "path", "The type of this one is csv, since"),
        (SCALE, "file, path: a.ndjson", "path", "The type of this one is jsonl, since"),
        (TOPIC, "noise, without: [coking]", "without.0", "a subject of the ordinary texts: "),
    ],
)
def test_wrong_entry_is_named(traits: str, source: str, field: str, allowed: str) -> None:
    problem = find_problem(f"{traits}sources: [{{type: {source}}}]\n")

    assert (WHERE, f"sources.0.{field}") == (problem.file, problem.field)
    assert allowed in problem.allowed


@pytest.mark.parametrize(("own", "code"), [("", "en"), ("language: de\n", "de")])
def test_noise_is_negative_samples_of_each_topic_in_the_models_language(own: str, code: str) -> None:
    seeds = parse(f"{own}{TWO}sources: [{{type: noise}}]\n").seeds

    assert {("food", 0.0)} == {(seed.trait, seed.quality) for seed in seeds}
    assert 12 == len({seed.text for seed in seeds} & {item.text for item in read_ordinary(code)})
    assert all(seed.place.startswith(f"data/noise/{code}.yaml:") for seed in seeds)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (f"{SCALE}sources: [{{type: noise}}]\n", "the model has no topic that ordinary texts could "),
        (f"language: th\n{TOPIC}sources: [{{type: noise}}]\n", "there are no ordinary texts in Thai"),
        (f"{TOPIC}sources: [{{type: noise, path: x.txt}}]\n", "not a field that is read here"),
    ],
)
def test_noise_or_a_field_of_it_that_cannot_be_read_is_told_as_skipped(text: str, why: str) -> None:
    [skipped] = parse(text).skipped

    assert skipped.why.startswith(why)
