"""Keys from Prefect's secret blocks: taken where none is set and a hosted model is asked, and missed by nobody else."""

import asyncio
import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from fakes.builders import make_level
from fakes.provider import Behaviour, Provider, serve_app
from fakes.workspace import Workspace
from fastapi import FastAPI, Response
from prefect.blocks.system import Secret
from prefect.settings import PREFECT_API_URL, PREFECT_CLIENT_MAX_RETRIES, temporary_settings

from engine.definitions.effort import Level
from engine.errors import CredentialsError, OrchestratorError
from engine.settings import Settings
from flows.run.resources import JUDGE_BLOCK, SYNTH_BLOCK, add_keys

pytestmark = pytest.mark.slow

KEY, OTHER = "sk-synth-0123456789abcdef", "sk-judge-0123456789abcdef"


@pytest.fixture
def save_block(prefect_server: str) -> Iterator[Callable[[str, Any], None]]:
    """Saves a secret block, which is gone after the test."""
    saved = []

    def save(name: str, value: Any) -> None:
        saved.append(name)
        Secret(value=value).save(name, overwrite=True)

    yield save
    for name in saved:
        Secret.delete(name)


HOSTED = make_level(synth_model="openai/test", judge_model="openai/judge", judge_votes=1)


def find_keys(level: Level = HOSTED, **settings: Any) -> tuple[str | None, str | None]:
    """The keys of the synth model and of the judge that a run has."""
    found = asyncio.run(add_keys(Settings(**settings), level, logging.getLogger(__name__)))
    synth, judge = found.synth_api_key, found.judge_api_key
    return synth.get_secret_value() if synth else None, judge.get_secret_value() if judge else None


def test_key_of_a_block_is_sent_where_none_is_set_and_without_any_nothing_is_asked(
    save_block: Callable[[str, Any], None], workspace: Workspace, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    del workspace.variables["EXEMPLARS_SYNTH_API_KEY"]
    with pytest.raises(CredentialsError, match=r"needs a key and none is set\. Set EXEMPLARS_SYNTH_API_KEY"):
        workspace.run()
    asked = provider.calls.total()
    save_block(SYNTH_BLOCK, f"{OTHER}\n")
    provider.behaviour = Behaviour(status=401)
    with pytest.raises(CredentialsError):
        workspace.run()

    assert (0, {OTHER}) == (asked, provider.keys)


def test_block_is_read_for_a_hosted_model_without_a_key(
    prefect_server: str, save_block: Callable[[str, Any], None]
) -> None:
    before = find_keys()
    save_block(SYNTH_BLOCK, KEY)
    save_block(JUDGE_BLOCK, OTHER)

    assert ((None, None), (KEY, OTHER)) == (before, find_keys())
    assert ("sk-synth", "sk-judge") == find_keys(synth_api_key="sk-synth", judge_api_key="sk-judge")
    assert (None, None) == find_keys(make_level(synth_model="embedded", judge_model="embedded", judge_votes=1))
    assert (KEY, None) == find_keys(replace(HOSTED, judge_votes=0))


@pytest.mark.parametrize("value", [{"key": KEY}, 7, " "])
def test_block_that_holds_no_text_is_told_without_what_it_holds(
    save_block: Callable[[str, Any], None], value: object
) -> None:
    save_block(SYNTH_BLOCK, value)
    with pytest.raises(CredentialsError, match=f"{SYNTH_BLOCK} holds no text") as raised:
        find_keys()

    assert KEY not in str(raised.value)


def test_server_that_does_not_answer_is_told_and_one_that_permits_no_reading_passed_over(
    caplog: pytest.LogCaptureFixture,
) -> None:
    settings = {PREFECT_API_URL: "http://127.0.0.1:9/api", PREFECT_CLIENT_MAX_RETRIES: 0}
    with temporary_settings(settings), pytest.raises(OrchestratorError, match=SYNTH_BLOCK):
        find_keys()
    app = FastAPI()
    app.add_api_route("/api/{path:path}", lambda path: Response(status_code=403))
    with serve_app(app) as url, temporary_settings({PREFECT_API_URL: f"{url}/api"}):
        assert (None, None) == find_keys()
    assert f"The block {SYNTH_BLOCK} cannot be read: status 403" in caplog.text
