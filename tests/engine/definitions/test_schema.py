"""The committed schemas are those of the code, and say of a file what the reader says."""

import json
from typing import Any

import jsonschema
import pytest
import yaml

from engine.authoring.answers import EXAMPLE
from engine.authoring.new_model import render_definition
from engine.definitions.loader import parse_model
from engine.definitions.schema import SCHEMAS, format_schema
from engine.errors import DefinitionError
from engine.settings import PROJECT_ROOT

MODELS = PROJECT_ROOT / "data" / "models"
TRAIT = "traits: [{type: spectrum, key: clarity}]\n"


def make_validator(name: str) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(json.loads(format_schema(name)))


def is_allowed(name: str, value: Any) -> bool:
    return bool(make_validator(name).is_valid(value))


def can_be_read(text: str) -> bool:
    try:
        parse_model("u22a8.test", text.encode(), lambda _: b"")
    except DefinitionError:
        return False
    return True


@pytest.mark.parametrize("name", SCHEMAS)
def test_committed_schema_is_that_of_the_code(name: str) -> None:
    path = PROJECT_ROOT / "docs/reference/schemas" / f"{name}.schema.json"

    jsonschema.Draft202012Validator.check_schema(json.loads(format_schema(name)))
    assert format_schema(name) == path.read_text(encoding="utf-8"), "Type 'make docs'."


def test_catalogue_and_a_new_file_fit_the_schemas() -> None:
    lines = [line for path in MODELS.glob("*/*.jsonl") for line in path.read_text(encoding="utf-8").splitlines()]
    validators = {name: make_validator(name) for name in SCHEMAS}
    texts = {path.parent.name: path.read_text(encoding="utf-8") for path in MODELS.glob("*/model.yaml")}
    texts["new"] = render_definition("acme.new", EXAMPLE, "model.schema.json")

    assert len(lines) > 100
    assert [] == [line for line in lines if not validators["sample"].is_valid(json.loads(line))]
    assert [] == [name for name, text in texts.items() if not validators["model"].is_valid(yaml.safe_load(text))]


@pytest.mark.parametrize(
    "text",
    [
        "traits: []\n",
        "traits: [{type: spektrum, key: a}]\n",
        f"{TRAIT}effort: huge\n",
        f"{TRAIT}scenarios: {{lengths: [{{name: a, min_words: 0, max_words: 3}}]}}\n",
        f"{TRAIT}sources: [{{type: jsonl, path: s.jsonl, mapping: {{a: clarity}}}}]\n",
        f"{TRAIT}sources: [{{type: huggingface, path: [a], mapping: {{text: content}}}}]\n",
        "traits: [{type: topic, key: food}]\nsources: [{type: noise, without: [money]}]\n",
    ],
)
def test_schema_allows_what_can_be_read_and_nothing_else_of_form(text: str) -> None:
    assert can_be_read(text) == is_allowed("model", yaml.safe_load(text))
    # That traits are to be discovered is no mistake of form.
    assert is_allowed("model", {"traits": "discover"})


def test_schema_of_a_sample_allows_what_the_reader_does() -> None:
    right = {"content": "A text.", "clarity": "good", "id": [7], "source_url": "https://example.org"}
    wrong: tuple[Any, ...] = ({"content": " \n", "clarity": 1}, {"content": 3, "clarity": 1}, {"clarity": 1}, ["A.", 1])

    assert is_allowed("sample", right)
    assert not any(is_allowed("sample", line) for line in wrong)
