"""Why an embedded server does not start is said in llama.cpp's own words."""

from pathlib import Path

import pytest
from fakes.model_sources import make_gguf

from engine.errors import ProviderUnavailableError
from engine.llm.embedded_model import serve_embedded
from engine.settings import EmbeddedPlace


@pytest.mark.parametrize(
    ("texts", "cause"),
    [
        ({"general.architecture": "nope"}, "unknown model architecture: 'nope'"),
        (
            {"general.architecture": "llama"},
            "error loading model hyperparameters: key not found in model: llama.context_length",
        ),
    ],
)
def test_server_that_does_not_start_is_one_message_with_its_cause(
    tmp_path: Path, texts: dict[str, str], cause: str
) -> None:
    own = tmp_path / "own.gguf"
    own.write_bytes(make_gguf({"w": 8}, texts, bytes(32), kind=0))
    with pytest.raises(ProviderUnavailableError) as caught, serve_embedded(f"embedded/{own}", EmbeddedPlace(tmp_path)):
        pass

    assert (
        f"The embedded server did not start with {own}: {cause}. Name a GGUF file of a model that llama.cpp knows, and "
        "that this machine has the memory for"
    ) == str(caught.value)
