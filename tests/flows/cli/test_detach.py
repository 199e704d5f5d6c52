"""The commands on the store: what they print, the codes they end with, and that no set goes from under a run."""

import json
from pathlib import Path
from uuid import uuid4

import pytest
from fakes.commands import Command
from fakes.set_events import read_set_events
from fakes.stored import HANDLE, attach_set
from fakes.workspace import Workspace
from prefect.client.orchestration import get_client
from prefect.settings import PREFECT_API_URL, temporary_settings

from engine.store.layout import DETACHED, SAMPLES
from flows.run.labels import name_tag
from flows.run.lease.slot import Slot

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("prefect_server")]


def test_detached_run_is_told_and_kept_and_verify_names_what_is_broken(
    entered: Workspace, prefect_server: str, run_command: Command
) -> None:
    folder, other = (Path(attach_set(entered.samples, run_id).folder) for run_id in ("first", "other"))
    samples = (folder / SAMPLES).read_bytes()
    told = run_command("detach", "first")
    [event] = read_set_events(prefect_server, entered.samples, 1)
    again, verified = run_command("detach", "first"), run_command("verify")
    (folder / DETACHED).write_bytes(samples[:-1])
    one = run_command("verify")
    (other / "beside").write_text("beside")
    two, as_json = run_command("verify"), run_command("verify", "--json")
    summary = json.loads(as_json.out)

    assert ("exemplars.set.removed", 4) == (event["event"], event["payload"]["removed"])
    for part in ("4 samples of run first", "clarity: 2 positive, 2 negative", DETACHED, "EXEMPLARS_SEED"):
        assert part in told.out
    assert (2, True) == (again.code, "is detached: none of its samples" in again.message)
    assert (0, True) == (verified.code, "nothing is broken" in verified.out)
    assert [3, 3, 3] == [one.code, two.code, as_json.code]
    assert f"{folder}/{DETACHED}: a file that was altered" in one.out
    assert "1 thing is broken" in one.err
    assert "2 things are broken" in two.err
    assert {"attached": 1, "proposed": 0, "rejected": 0, "detached": 1} == summary["sets"]
    assert {f"{folder}/{DETACHED}", f"{other}/beside"} == {fault["where"] for fault in summary["broken"]}


def test_set_stays_while_a_run_has_the_lease_or_prefect_is_away(entered: Workspace, run_command: Command) -> None:
    folder = Path(attach_set(entered.samples, "a").folder)
    with get_client(sync_client=True) as client:
        slot = Slot(client, name_tag(HANDLE), uuid4())
        assert slot.take()
        try:
            taken = run_command("detach", "a")
        finally:
            slot.release()
    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:1/api"}):
        away = run_command("detach", "a")
    is_there = (folder / SAMPLES).exists()
    with temporary_settings(restore_defaults={PREFECT_API_URL}):
        told = run_command("detach", "a", "--json").facts

    assert (3, True) == (taken.code, "is taken" in taken.message)
    assert (3, True) == (away.code, "Nothing was detached" in away.message)
    assert is_there
    assert ("a", HANDLE, "train", 4) == tuple(told[name] for name in ("run_id", "handle", "pool", "samples"))
    assert str(folder / DETACHED) == told["kept"]
