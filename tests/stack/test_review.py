"""A proposal of a suspended run that is rejected."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from fakes.provider import Behaviour
from fakes.stack import Stack
from fakes.waiting import wait_until
from fakes.workspace import read_manifest

from engine.store.layout import SAMPLES


@pytest.mark.usefixtures("taken_here")
def test_resumed_run_waits_for_the_one_that_holds_the_lease_and_rejects(stack: Stack, handle: str) -> None:
    run_id, folder = stack.suspend(handle)
    suspended = stack.site.read_state(run_id)[1]
    stack.provider.behaviour = Behaviour(hold_after=0)
    with ThreadPoolExecutor(1) as thread:
        holder = thread.submit(stack.run_here, handle)
        wait_until(lambda: stack.provider.in_flight, 60, "the other run asks")
        stack.resume(run_id, decision="reject", why="not ours")
        wait_until(lambda: "Waiting" in stack.read_logs(run_id), 60, "it waits for the lease")
        unchanged = read_manifest(folder)["status"]
        stack.provider.behaviour = Behaviour()
        attached = holder.result()
    told = stack.wait_for_end(run_id)

    # The tab *Details* shows it.
    assert "Read them under Artifacts, verdict. Then press ⋮, Resume" in suspended
    assert ("proposed", True) == (unchanged, attached.is_completed())
    assert ("CANCELLED", True) == (told[0], "not ours" in told[1])
    assert ("rejected", False) == (read_manifest(folder)["status"], (folder / SAMPLES).exists())
    wanted = {"filter": {"event": {"prefix": ["exemplars.set.rejected"]}}, "limit": 50}
    wait_until(lambda: run_id in str(stack.site.ask("POST", "/events/filter", **wanted)), 30, "it is told")
