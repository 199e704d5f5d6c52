"""The main job with its models and its samples on an S3 server, which may break while the set is written."""

import math
import shutil

import pytest
from fakes.postgres import Databases
from fakes.provider import Behaviour, Provider
from fakes.reply_tables import run_sql
from fakes.s3 import S3, list_keys
from fakes.waiting import wait_until
from fakes.workspace import HANDLE, Workspace
from pydantic import SecretStr

from engine.domain.run_request import RunRequest
from engine.errors import BudgetError, StoreError
from engine.llm.replies.admin import list_cache
from engine.llm.replies.replies import ReplyStore
from engine.run.job import load_job
from engine.settings import DatabaseUrl, read_settings
from engine.store.index.rows import read_attached
from engine.store.layout import MANIFEST
from engine.store.store import list_sets
from engine.system.filesystem import open_folder
from flows.cli.app import main
from flows.cli.terminal import show_result

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("prefect_server")]

CONCURRENCY, ANSWERED = 6, 20


@pytest.fixture
def remote(workspace: Workspace, s3_uri: str, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """The workspace, with its model on the server."""
    models = f"{s3_uri}/models"
    for path in workspace.model.iterdir():
        filesystem, place = open_folder(f"{models}/{HANDLE}/{path.name}")
        with filesystem.open_output_stream(place) as stream:
            stream.write(path.read_bytes())
    workspace.variables.update(EXEMPLARS_MODELS_URI=models, EXEMPLARS_SAMPLES_URI=f"{s3_uri}/out/samples")
    workspace.enter(monkeypatch)
    return workspace


def test_run_survives_a_server_that_breaks_while_the_set_is_put(
    remote: Workspace, s3: S3, provider: Provider, capsys: pytest.CaptureFixture[str]
) -> None:
    samples = remote.variables["EXEMPLARS_SAMPLES_URI"]
    # The probe is put, taken away, and leaves the mark of an empty folder; then the set: its samples come last of it.
    s3.changes_left = 8
    with pytest.raises(StoreError, match="the next start continues"):
        remote.run()
    s3.heal()
    assert [] == list_sets(samples, HANDLE, "train")
    assert any("/run=" in key for key in list_keys(samples))
    assert not any(key.endswith(MANIFEST) for key in list_keys(samples))
    provider.forget()
    result = remote.run()

    # The replies were kept, and what was half put is gone.
    assert 0 == provider.calls.total()
    assert {result.run_id} == {key.partition("run=")[2].partition("/")[0] for key in list_keys(samples)}
    [stored] = list_sets(samples, HANDLE, "train")
    assert 16 == len(read_attached([stored]))
    assert (f"{stored.folder}/samples.parquet", "attached") == (result.samples, result.status)
    assert 0 == main(["verify"])
    capsys.readouterr()
    show_result(load_job(read_settings(), RunRequest(HANDLE, "from_traits", "low")), result)
    assert stored.file("samples.parquet") in capsys.readouterr().out


def test_machine_that_is_lost_costs_the_calls_in_flight(
    remote: Workspace, provider: Provider, postgres: Databases, prefect_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    remote.variables.update(
        EXEMPLARS_REPLIES_URL=postgres.make_database(),
        EXEMPLARS_CONCURRENCY=str(CONCURRENCY),
        EXEMPLARS_SYNTH_PRICE="0.40/1.60",
        EXEMPLARS_MAX_COST_USD="1",
    )
    provider.behaviour = Behaviour(seconds=0.05, hold_after=ANSWERED)
    process = remote.start(PREFECT_API_URL=prefect_server)
    held = ANSWERED, CONCURRENCY
    wait_until(
        lambda: held == (provider.answers.total(), provider.in_flight), seconds=300, what=f"{held}", process=process
    )
    # What a process has just sent is committed, or not, when it has been dead for a moment.
    shared = SecretStr(remote.variables["EXEMPLARS_REPLIES_URL"])
    count = "SELECT count(*) FROM exemplars_replies"
    wait_until(lambda: [(ANSWERED,)] == run_sql(shared, count), what="all answers are kept")
    process.kill()
    process.communicate()
    shutil.rmtree(remote.folder / "cache", ignore_errors=True)
    answered = set(provider.answers)
    provider.forget()
    provider.behaviour = Behaviour()
    remote.variables["EXEMPLARS_CACHE_DIR"] = str(remote.folder / "another machine")
    # What was in flight there counts at its most: no more is left of this limit than that takes away.
    place = SecretStr(remote.variables["EXEMPLARS_REPLIES_URL"])
    spent_usd = measure_spent(place)
    poor = Workspace(remote.folder, remote.variables | {"EXEMPLARS_MAX_COST_USD": f"{spent_usd:.9f}"})
    poor.enter(monkeypatch)
    with pytest.raises(BudgetError, match=rf"\${spent_usd:.4f} is spent .* for {CONCURRENCY} calls that broke off"):
        poor.run()
    assert 0 == provider.calls.total()
    remote.enter(monkeypatch)
    result = remote.run()

    assert "attached" == result.status
    assert set() == answered & set(provider.calls)


def measure_spent(place: DatabaseUrl) -> float:
    """What all plans have cost and may have cost."""
    spent = []
    for plan in list_cache(place):
        with ReplyStore(place, plan.plan_id) as kept:
            spent += [kept.kept_usd, kept.lost.ceiling_usd]
    return math.fsum(spent)
