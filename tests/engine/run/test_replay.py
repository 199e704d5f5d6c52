from pathlib import Path

import pytest
from fakes.builders import make_level
from fakes.model_sources import CONTENT, FILE, make_gguf, make_model

from engine.domain.model import digest_text
from engine.errors import ReplayError
from engine.llm import embedded_models
from engine.llm.embedded_models import list_embedded_models
from engine.llm.endpoints import describe_endpoint
from engine.llm.gguf import CHAT_TEMPLATE
from engine.run.replay import check_endpoint, make_kept_gateways
from engine.settings import Settings

SMOLLM2 = "smollm2-135m"


def test_set_of_a_version_that_knew_one_embedded_model_is_made_again_with_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = {"stand-in": make_model(), SMOLLM2: list_embedded_models()[SMOLLM2]}
    monkeypatch.setattr(embedded_models, "list_embedded_models", lambda: models)
    (tmp_path / FILE).write_bytes(CONTENT)
    settings = Settings(embedded_dir=str(tmp_path), cache_dir=str(tmp_path))
    gateway, _ = make_kept_gateways(settings, make_level(synth_model="embedded"))

    assert "embedded/SmolLM2-135M-Instruct.Q4_1.gguf" == gateway.endpoint.name
    assert f"embedded:{models[SMOLLM2].sha256}" == gateway.endpoint.identity
    assert f"embedded/{FILE}" == describe_endpoint(settings, make_level(synth_model="embedded")).name


@pytest.mark.parametrize(("then", "now"), [("chat", "plain"), ("plain", "chat")])
def test_model_that_was_asked_in_another_manner_gives_other_replies(tmp_path: Path, then: str, now: str) -> None:
    own = tmp_path / "own.gguf"
    own.write_bytes(make_gguf({"w": 10**9}, {CHAT_TEMPLATE: "x"}))
    level = make_level(synth_model=f"embedded/{own}")
    asked, asks = (describe_endpoint(Settings.model_validate({"synth_style": style}), level) for style in (then, now))
    manifest = {"run_id": "a-run", "inputs": {"endpoint": digest_text(asked.identity)}}

    check_endpoint(manifest, asked)
    with pytest.raises(ReplayError, match=r"Put back the file that it was made with, and set EXEMPLARS_SYNTH_STYLE"):
        check_endpoint(manifest, asks)
