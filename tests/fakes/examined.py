"""A model as hints are looked for in it, from the text of its file."""

from collections.abc import Sequence

from engine.authoring.hint import Examined
from engine.definitions.loader import parse_model
from engine.definitions.repeated_seeds import settle_seeds
from engine.definitions.yaml_document import parse_yaml
from engine.text.language import decide_language

FILE = "u22a8.test/model.yaml"


def make_examined(text: str, lines: Sequence[str] = ()) -> Examined:
    """The model of a file, whose source ``s.jsonl``, if it names one, has the lines."""
    model = settle_seeds(parse_model("u22a8.test", text.encode(), lambda _: "\n".join(lines).encode()))
    return Examined(model, parse_yaml(FILE, text.encode()), decide_language(model))
