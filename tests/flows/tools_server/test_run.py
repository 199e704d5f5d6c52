"""What `get_run` tells of a run: by Prefect while it is under way, by its set once it has left one."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from anyio.from_thread import start_blocking_portal
from fakes.orchestrator import FakeOrchestrator
from fakes.stored import attach_set
from fakes.surface import ask_as, read_settings_of
from fakes.workspace import HANDLE, make_workspace

from engine.store.layout import REPORT
from flows.api.app import make_app
from flows.tools_server.door import FURTHER
from flows.tools_server.identity import identify

RUNS = FakeOrchestrator()
RUN_ID = "9babac40-1978-4ae0-b765-f30fdb6eb7a4"


@pytest.fixture
def client(tmp_path: Path) -> Iterator[httpx.Client]:
    """This machine's own user, at the door of the tools."""
    settings = read_settings_of(make_workspace(tmp_path / "site"))
    identity = identify(settings)
    app = make_app(settings, find_key=identity.find_key, further=FURTHER, orchestrator=RUNS)
    app.state.settings = settings
    with start_blocking_portal() as portal:
        yield ask_as(app, portal, identity.secret)


def read_run(client: httpx.Client, run_id: str) -> Any:
    return client.get(f"/runs/{run_id}").json()


def test_run_is_followed_from_the_queue_to_its_end(client: httpx.Client) -> None:
    run_id = RUNS.add_run(handle=HANDLE, effort="low")
    seen = [read_run(client, run_id)]
    for state, share in (("RUNNING", 0.5), ("FAILED", 0.75)):
        RUNS.progress[run_id] = share
        RUNS.set_state(run_id, state, "Flow run encountered an exception: BudgetError: It is spent.")
        seen.append(read_run(client, run_id))

    assert [
        ("queued", 0.0, None, "Ask again"),
        ("running", 0.5, None, "Ask again"),
        ("failed", None, "It is spent.", "Nothing w"),
    ] == [(run["status"], run["progress"], run["error"], run["next"][:9]) for run in seen]
    assert ("low", None, None) == (seen[0]["effort"], seen[0]["outcome"], seen[0]["report"])


@pytest.mark.parametrize(
    ("stored", "pool", "status", "said"),
    [
        ("attached", "train", "succeeded", "list_samples lists"),
        ("attached", "eval", "succeeded", "list_samples lists"),
        ("detached", "train", "succeeded", "taken off the model"),
        ("rejected", "train", "failed", "Replies are kept"),
        ("proposed", "train", "running", "A person has to review"),
    ],
)
def test_run_that_prefect_does_not_know_is_told_by_its_set(
    client: httpx.Client, tmp_path: Path, stored: Any, pool: Any, status: str, said: str
) -> None:
    samples, documents = tmp_path / "site" / "samples", {REPORT: "<p>Report</p>"} if pool == "train" else {}
    attach_set(samples, RUN_ID, 4, pool=pool, status=stored, handle=HANDLE, documents=documents)
    run = read_run(client, RUN_ID)

    assert (RUN_ID, HANDLE, status, stored) == (run["run_id"], run["handle"], run["status"], run["outcome"])
    assert said in run["next"]
    assert bool(documents) == str(run["report"]).endswith(f"{RUN_ID}/{REPORT}")
