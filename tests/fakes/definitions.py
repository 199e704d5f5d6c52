"""A model of a definition and the files that it names, loaded from a folder that is gone at once."""

import re
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from engine.definitions.loader import load_model
from engine.domain.model import Model


def load_definition(handle: str, definition: str, files: Mapping[str, bytes] | bytes) -> Model:
    """The model of a definition.

    Args:
        files: the files that there are, of which those stand in the folder that the definition names; or the content of
            each that it names.
    """
    named = {path.strip("'\"") for path in re.findall(r"\bpath: ?([^\s,}]+)", definition)}
    contents = dict.fromkeys(named, files) if isinstance(files, bytes) else files
    with TemporaryDirectory() as models:
        folder = Path(models, handle)
        for path in ("model.yaml", *(named & contents.keys())):
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(definition.encode() if path == "model.yaml" else contents[path])
        return load_model(models, handle)
