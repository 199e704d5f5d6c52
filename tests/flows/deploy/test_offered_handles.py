"""The handles of the form: those that there are to choose from, any other to type, and no wrong one."""

from typing import Any

import pytest
from prefect.utilities.schema_tools.validation import validate

from engine.domain.model import HANDLE_MAX_LENGTH
from flows.deploy.deployments import MOST_OFFERED, add_choice, offer_handles
from flows.synthesize import synthesize

SCHEMA = synthesize.parameters.model_dump()
HANDLES = ("u22a8.one", "u22a8.two")


def list_errors(handle: object, schema: Any) -> list[str]:
    return [error.message for error in validate({"handle": handle}, schema)]


def test_handles_are_to_choose_from_and_another_can_be_typed() -> None:
    schema = add_choice(SCHEMA, HANDLES)
    listed, typed = schema["properties"]["handle"]["anyOf"]
    many = add_choice(SCHEMA, [f"u22a8.model-{number:04}" for number in range(MOST_OFFERED + 1)])

    assert ("one of these", list(HANDLES)) == (listed["title"], listed["enum"])
    assert ("another", False) == (typed["title"], "enum" in typed)
    assert [] == list_errors("u22a8.one", schema) == list_errors("u22a8.made-later", schema)
    assert SCHEMA["properties"]["effort"] == schema["properties"]["effort"]
    assert add_choice(SCHEMA, ["u22a8.three"]) == add_choice(schema, ["u22a8.three"])
    assert SCHEMA == add_choice(schema, [])
    assert MOST_OFFERED == len(many["properties"]["handle"]["anyOf"][0]["enum"])


@pytest.mark.parametrize("handle", ["No Such Handle", "u22a8", f"a.{'b' * HANDLE_MAX_LENGTH}"])
def test_wrong_handle_has_the_one_message_that_it_has_without_a_list(handle: str) -> None:
    said = list_errors(handle, add_choice(SCHEMA, HANDLES))

    assert said
    assert said == list_errors(handle, SCHEMA)


def test_catalogue_that_cannot_be_read_leaves_the_forms_as_they_are() -> None:
    client: Any = None

    assert offer_handles(client, "nowhere://models").startswith("what they did before: nowhere://models cannot be op")
