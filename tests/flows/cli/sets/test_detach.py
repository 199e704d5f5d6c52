"""The commands on the store: what they print, the codes they end with, and that no set goes from under a run."""

import json
import logging
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from fakes.provider import Provider
from fakes.set_events import read_set_events
from fakes.stored import HANDLE, attach_set
from fakes.workspace import Workspace
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.runtime import flow_run
from prefect.settings import PREFECT_API_URL, temporary_settings

from engine.errors import ModelBusyError, OrchestratorError
from engine.settings import read_settings
from engine.store.layout import DETACHED, SAMPLES
from flows.cli.app import main
from flows.cli.sets.detach import detach_run
from flows.runs.labels import name_tag
from flows.runs.lease import Lease
from flows.runs.slot import Slot

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("prefect_server")]


def test_detached_run_is_told_and_kept(
    entered: Workspace, provider: Provider, prefect_server: str, capsys: pytest.CaptureFixture[str]
) -> None:
    first = entered.run().run_id
    capsys.readouterr()
    samples = (entered.find_set(first) / SAMPLES).read_bytes()

    assert 0 == main(["detach", first])
    said = capsys.readouterr().out
    *_, told = read_set_events(prefect_server, entered.samples, 2)
    assert ("exemplars.set.removed", 16) == (told["event"], told["payload"]["removed"])
    for part in (f"16 samples of run {first}", "clarity: 4 positive, 4 negative", DETACHED, "EXEMPLARS_SEED"):
        assert part in said
    assert samples == (entered.find_set(first) / DETACHED).read_bytes()
    assert 2 == main(["detach", first])
    assert "is detached: none of its samples" in capsys.readouterr().err
    assert 0 == main(["verify"])
    assert "nothing is broken" in capsys.readouterr().out


def test_verify_names_each_broken_thing_and_ends_with_three(
    entered: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = Path(attach_set(entered.samples, "a").folder)
    content = bytearray((folder / SAMPLES).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / SAMPLES).write_bytes(content)
    (folder / "beside").write_text("beside")
    capsys.readouterr()

    assert 3 == main(["verify"])
    said = capsys.readouterr()
    assert f"{folder}/{SAMPLES}: a file that was altered" in said.out
    assert f"{folder}/beside: a file that the manifest does not name" in said.out
    assert "2 things are broken" in said.err
    assert 3 == main(["verify", "--json"])
    summary = json.loads(capsys.readouterr().out)
    assert {"attached": 1, "proposed": 0, "rejected": 0, "detached": 0} == summary["sets"]
    assert {f"{folder}/{SAMPLES}", f"{folder}/beside"} == {fault["where"] for fault in summary["broken"]}


def test_set_stays_while_a_run_has_the_lease_or_prefect_is_away(
    entered: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = Path(attach_set(entered.samples, "a").folder)
    with get_client(sync_client=True) as client:
        slot = Slot(client, name_tag(HANDLE), uuid4())
        assert slot.take()
        try:
            with pytest.raises(ModelBusyError, match=r"The lease of .* is taken"):
                detach_run(read_settings(), "a")
        finally:
            slot.release()
    with (
        temporary_settings({PREFECT_API_URL: "http://127.0.0.1:1/api"}),
        pytest.raises(OrchestratorError, match="Nothing was detached"),
    ):
        detach_run(read_settings(), "a")
    assert (folder / SAMPLES).exists()
    capsys.readouterr()

    with temporary_settings(restore_defaults={PREFECT_API_URL}):
        assert 0 == main(["detach", "a", "--json"])
    told = json.loads(capsys.readouterr().out)
    assert ("a", HANDLE, "train", 4) == tuple(told[name] for name in ("run_id", "handle", "pool", "samples"))
    assert str(folder / DETACHED) == told["kept"]


@flow
def hold_while_detaching(run_id: str) -> str:
    """A run that holds the lease of the model tells what becomes of who wants to detach meanwhile."""
    with get_client(sync_client=True) as client:
        lease = Lease(client, HANDLE, UUID(str(flow_run.get_id())), logging.getLogger())
        lease.acquire([])
        try:
            detach_run(read_settings(), run_id)
        except ModelBusyError as error:
            return str(error.run_id) + " " + str(flow_run.get_id())
        finally:
            lease.release()
    return "detached"


def test_run_that_works_on_the_model_is_named(entered: Workspace) -> None:
    attach_set(entered.samples, "a")
    named, holder = hold_while_detaching("a").split()

    assert holder == named
    detach_run(read_settings(), "a")
