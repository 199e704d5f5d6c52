"""The work of ``exemplars schema``: prints the JSON Schema of a file that authors write."""

from engine.authoring.json_schema import SCHEMAS, format_schema
from engine.definitions.mistakes import find_near_spelling
from engine.errors import InputError


def show_schema(name: str) -> None:
    """Prints a schema.

    Raises:
        InputError: there is none of that name.
    """
    if name not in SCHEMAS:
        near = find_near_spelling(name, list(SCHEMAS))
        hint = f". Did you mean {near!r}?" if near else ""
        raise InputError(f"{name!r} has no schema. There are: {', '.join(SCHEMAS)}{hint}")
    print(format_schema(name), end="")
