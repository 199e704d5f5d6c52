"""The commands on what is stored: what they print, the codes they end with, and that nothing goes from under a run."""

import asyncio
import json
from pathlib import Path
from uuid import uuid4

import pandas as pd
import pytest
from fakes.commands import Command
from fakes.reply_tables import place_in
from fakes.set_events import read_set_events
from fakes.stored import HANDLE, attach_set, write_lines, write_model
from fakes.workspace import Workspace
from prefect.client.orchestration import get_client
from prefect.settings import PREFECT_API_URL, temporary_settings

from engine.domain.model import Seed
from engine.domain.samples import make_id
from engine.llm.client.request import Reply
from engine.llm.replies.admin import list_cache
from engine.llm.replies.replies import ReplyStore
from engine.store.added_samples import add_samples
from engine.store.layout import DETACHED, SAMPLES
from flows.run.labels import name_tag
from flows.run.lease.slot import Slot

OTHER = "u22a8.kitchen"
KEPT = ("prune", "--replies", "all", "--dry-run")
NOWHERE = "http://127.0.0.1:1/api"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two sets for training, one for evaluation, an authored sample and an added one."""
    write_model(tmp_path / "models", ("s.jsonl", write_lines({"content": "Own.", "clarity": 1})))
    for run_id in ("a", "b"):
        attach_set(tmp_path / "samples", run_id)
    attach_set(tmp_path / "samples", "held", pool="eval")
    add_samples(str(tmp_path / "models"), str(tmp_path / "samples"), HANDLE, [Seed("clarity", "Added.", 1.0)])
    monkeypatch.setenv("EXEMPLARS_MODELS_URI", str(tmp_path / "models"))
    monkeypatch.setenv("EXEMPLARS_SAMPLES_URI", str(tmp_path / "samples"))
    return tmp_path


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache with a plan of three models, one of which is not known."""
    monkeypatch.setenv("EXEMPLARS_CACHE_DIR", str(tmp_path))
    for plan_id, handle in (("plan-a", HANDLE), ("plan-b", OTHER), ("plan-c", "")):
        asyncio.run(keep(tmp_path, plan_id, handle))
    return tmp_path


async def keep(folder: Path, plan_id: str, handle: str) -> None:
    with ReplyStore(place_in(folder), plan_id, handle) as kept:
        for number in range(7):
            await kept.keep(str(number), Reply("one", "stop"))


def name_ids(*texts: str) -> list[str]:
    return [str(make_id(HANDLE, "clarity", text)) for text in texts]


def list_texts(folder: Path, pool: str = "train") -> list[str]:
    return list(pd.read_parquet(folder / f"samples/handle={HANDLE}/pool={pool}")["text"])


def list_plans(cache: Path) -> set[str]:
    return {plan.plan_id for plan in list_cache(place_in(cache))}


@pytest.mark.slow
@pytest.mark.usefixtures("prefect_server")
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


@pytest.mark.slow
@pytest.mark.usefixtures("prefect_server")
def test_set_stays_while_a_run_has_the_lease_or_prefect_is_away(entered: Workspace, run_command: Command) -> None:
    folder = Path(attach_set(entered.samples, "a").folder)
    with get_client(sync_client=True) as client:
        slot = Slot(client, name_tag(HANDLE), uuid4())
        assert slot.take()
        try:
            taken = run_command("detach", "a")
        finally:
            slot.release()
    with temporary_settings({PREFECT_API_URL: NOWHERE}):
        away = run_command("detach", "a")
    is_there = (folder / SAMPLES).exists()
    with temporary_settings(restore_defaults={PREFECT_API_URL}):
        told = run_command("detach", "a", "--json").facts

    assert (3, True) == (taken.code, "is taken" in taken.message)
    assert (3, True) == (away.code, "Nothing was detached" in away.message)
    assert is_there
    assert ("a", HANDLE, "train", 4) == tuple(told[name] for name in ("run_id", "handle", "pool", "samples"))
    assert str(folder / DETACHED) == told["kept"]


@pytest.mark.slow
@pytest.mark.usefixtures("prefect_server")
def test_samples_of_several_sets_go_at_once_and_a_second_start_does_the_rest(
    folder: Path, prefect_server: str, run_command: Command
) -> None:
    first = name_ids("a 1", "b 0", "b 3", "held 2", "Added.")
    told = run_command("remove", HANDLE, *first, "--why", "dull")
    again = run_command("remove", HANDLE, *first[:2], *name_ids("a 0"), "--json").facts
    before = run_command("remove", HANDLE, *first[:2])
    payloads = [event["payload"] for event in read_set_events(prefect_server, str(folder / "samples"), 4)]

    assert [("a", 1), ("b", 2), ("held", 1), ("a", 1)] == [(item["run_id"], item["removed"]) for item in payloads]
    kept = "named in its __run__/manifest.json"
    assert [
        f"Removed from {HANDLE}: 5 samples",
        *(f"  {count} of run {run_id}, {kept}" for run_id, count in (("a", 1), ("b", 2), ("held", 1))),
        "  1 that had been added",
        f"`exemplars synthesize {HANDLE} --effort low --only-lacking` makes the samples that are missing now.",
    ] == told.out.splitlines()
    assert "--only-lacking" not in before.out
    assert (name_ids("a 0"), {"a": 1}) == ([*map(str, again["removed"])], again["runs"])
    assert sorted(map(int, first[:2])) == again["removed_before"]
    assert ["a 2", "a 3", "b 1", "b 2"] == list_texts(folder)
    assert ["held 0", "held 1", "held 3"] == list_texts(folder, "eval")
    assert "nothing is broken" in run_command("verify").out


@pytest.mark.parametrize("command", [("remove", HANDLE), ("show",)])
def test_what_is_no_id_is_told_where_ids_are(run_command: Command, command: tuple[str, ...]) -> None:
    code, _, said = run_command(*command, "abc")

    assert (2, True) == (code, "'abc' is no id. An id is a number: `id` in the files and, in the report's" in said)


@pytest.mark.slow
@pytest.mark.usefixtures("prefect_server")
def test_ids_that_may_not_go_are_named_all_at_once_and_nothing_changes(folder: Path, run_command: Command) -> None:
    [own, taken] = name_ids("Own.", "a 1")
    several = run_command("remove", HANDLE, taken, "7", own, "7").message
    unknown = run_command("remove", "u22a8.none", taken)
    with temporary_settings({PREFECT_API_URL: NOWHERE}):
        away = run_command("remove", HANDLE, taken)
    (folder / "models" / HANDLE / "lifecycle.json").write_text('{"state": "ready"}')
    frozen = run_command("remove", HANDLE, taken)

    assert f"has no sample 7. Sample {own} is in " in several
    assert (2, True) == (unknown.code, "No model" in unknown.message)
    assert (3, 2) == (away.code, frozen.code)
    assert all("Nothing was removed" in said for said in (several, away.message, frozen.message))
    assert "a 1" in list_texts(folder)


def test_list_names_each_plan_with_its_model_replies_and_size(cache: Path, run_command: Command) -> None:
    plans = run_command(*KEPT, "--json").facts
    with ReplyStore(place_in(cache), "plan-a"):
        code, said, _ = run_command(*KEPT)
    lines = {line.split()[0]: line for line in said.splitlines()}
    (cache / "replies.sqlite").write_bytes(b"no database" * 1000)
    damaged = run_command(*KEPT)

    assert [HANDLE, OTHER, None] == [plan["handle"] for plan in plans]
    assert 0 == code
    assert lines[HANDLE].endswith("plan-a (in use)")
    assert ["7", "0.0"] == lines[OTHER].split()[1:3]
    assert lines["unknown"].endswith("plan-c")
    assert said.endswith("3 plans, 21 replies, 0.0 MB\n")
    assert (3, True) == (damaged.code, "file is not a database" in damaged.message)


def test_clear_drops_the_replies_of_one_model_or_of_all_but_what_a_live_run_has_open(
    cache: Path, run_command: Command
) -> None:
    nothing = run_command("prune", "--replies", "u22a8.nothing")
    told = run_command("prune", "--replies", OTHER, "--json").facts
    with ReplyStore(place_in(cache), "plan-a"):
        code, _, error = run_command("prune", "--replies", HANDLE)
    left = list_plans(cache)
    every = run_command("prune", "--replies", "all")

    assert nothing.out.startswith("No replies of u22a8.nothing were dropped")
    assert (1, 7, []) == (told["plans"], told["replies"], told["in_use"])
    assert (3, {"plan-a", "plan-c"}) == (code, left)
    assert "These plans are in use by live runs, so their replies were not dropped: plan-a." in error
    assert (0, True) == (every.code, every.out.startswith("Dropped 14 replies of all models: 2 plans, "))
    assert set() == list_plans(cache)


def test_clear_that_does_not_say_what_or_cannot_reach_it_drops_nothing(
    cache: Path, run_command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = [run_command("prune", "--replies", *arguments) for arguments in ((), ("../x",))]
    monkeypatch.setenv("EXEMPLARS_REPLIES_URL", "postgresql://ann:hush-hush@127.0.0.1:1/replies")
    away = run_command("prune", "--replies", "all")

    assert [2, 2, 3] == [ended.code for ended in (*refused, away)]
    assert "'../x' is not a handle" in refused[1].message
    assert 3 == len(list_plans(cache))
    assert "The database of kept replies, postgresql://127.0.0.1:1/replies, cannot be reached" in away.message
    assert "hush" not in away.err
