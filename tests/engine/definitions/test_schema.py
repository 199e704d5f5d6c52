"""The committed schema is that of the code, and says of a file what the reader says."""

import json
from typing import Any

import jsonschema
import pytest
import yaml
from fakes.definitions import load_definition

from engine.authoring.answers import EXAMPLE
from engine.authoring.new_model import COMMITTED_SCHEMA, render_definition
from engine.definitions.schema import format_schema
from engine.errors import DefinitionError
from engine.settings import PROJECT_ROOT

MODELS = PROJECT_ROOT / "data" / "models"
TRAIT = "traits: [{type: spectrum, key: clarity}]\n"


def is_allowed(value: Any) -> bool:
    return bool(jsonschema.Draft202012Validator(json.loads(format_schema())).is_valid(value))


def can_be_read(text: str) -> bool:
    try:
        load_definition("u22a8.test", text, b"")
    except DefinitionError:
        return False
    return True


def test_committed_schema_is_that_of_the_code() -> None:
    jsonschema.Draft202012Validator.check_schema(json.loads(format_schema()))
    assert format_schema() == COMMITTED_SCHEMA.read_text(encoding="utf-8"), "Type 'make docs'."


def test_catalogue_and_a_new_file_fit_the_schema() -> None:
    texts = {path.parent.name: path.read_text(encoding="utf-8") for path in MODELS.glob("*/model.yaml")}
    texts["new"] = render_definition("acme.new", EXAMPLE, "model.schema.json")

    assert [] == [name for name, text in texts.items() if not is_allowed(yaml.safe_load(text))]


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
    assert can_be_read(text) == is_allowed(yaml.safe_load(text))
    # That traits are to be discovered is no mistake of form.
    assert is_allowed({"traits": "discover"})
