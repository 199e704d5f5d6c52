"""An embedded model has ten minutes for a reply, where the settings give it less."""

from contextlib import nullcontext
from pathlib import Path

import pytest
from fakes.builders import make_level
from fakes.client import PLAIN, FakeClient, HeardProgress

from engine.llm.request import Endpoint, Reply
from engine.run import gateways
from engine.settings import Settings


@pytest.mark.parametrize(
    ("synth_model", "asked", "waits"), [("embedded", 120, 600), ("embedded", 3600, 3600), ("openai/test", 120, 120)]
)
async def test_embedded_model_may_be_slow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, synth_model: str, asked: float, waits: float
) -> None:
    seconds = []

    class Client(FakeClient):
        def __init__(self, endpoint: Endpoint, timeout_seconds: float) -> None:
            super().__init__(lambda _: Reply("", "stop"), endpoint)
            seconds.append(timeout_seconds)

        async def close(self) -> None:
            pass

    monkeypatch.setattr(gateways, "LitellmClient", Client)
    monkeypatch.setattr(gateways, "serve_embedded", lambda *_: nullcontext(PLAIN))
    settings = Settings(cache_dir=str(tmp_path), call_timeout_seconds=asked)
    async with gateways.open_gateway(settings, make_level(synth_model=synth_model), HeardProgress()):
        pass

    assert [waits] == seconds
