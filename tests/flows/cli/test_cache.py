"""``exemplars cache`` lists what is kept and drops it by handle, and nothing that a live run has open."""

import asyncio
from pathlib import Path

import pytest
from fakes.commands import Command

from engine.llm.client.request import Reply
from engine.llm.replies.admin import list_cache
from engine.llm.replies.replies import ReplyStore
from engine.settings import RepliesPlace

HANDLE, OTHER = "u22a8.toolshed", "u22a8.kitchen"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache with a plan of three models, one of which is not known."""
    monkeypatch.setenv("EXEMPLARS_CACHE_DIR", str(tmp_path))
    for plan_id, handle in (("plan-a", HANDLE), ("plan-b", OTHER), ("plan-c", "")):
        asyncio.run(keep(tmp_path, plan_id, handle))
    return tmp_path


async def keep(folder: Path, plan_id: str, handle: str) -> None:
    with ReplyStore(RepliesPlace(str(folder)), plan_id, handle) as kept:
        for number in range(7):
            await kept.keep(str(number), Reply("one", "stop"))


def list_plans(cache: Path) -> set[str]:
    return {plan.plan_id for plan in list_cache(RepliesPlace(str(cache)))}


def test_list_names_each_plan_with_its_model_replies_and_size(cache: Path, run_command: Command) -> None:
    plans = run_command("cache", "list", "--json").facts
    with ReplyStore(RepliesPlace(str(cache)), "plan-a"):
        code, said, _ = run_command("cache", "list")
    lines = {line.split()[0]: line for line in said.splitlines()}
    (cache / "replies.sqlite").write_bytes(b"no database" * 1000)
    damaged = run_command("cache", "list")

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
    nothing = run_command("cache", "clear", "u22a8.nothing")
    told = run_command("cache", "clear", OTHER, "--json").facts
    with ReplyStore(RepliesPlace(str(cache)), "plan-a"):
        code, _, error = run_command("cache", "clear", HANDLE)
    left = list_plans(cache)
    every = run_command("cache", "clear", "--all")

    assert nothing.out.startswith("No replies of u22a8.nothing were dropped")
    assert (1, 7, []) == (told["plans"], told["replies"], told["in_use"])
    assert (3, {"plan-a", "plan-c"}) == (code, left)
    assert "These plans are in use by live runs, so their replies were not dropped: plan-a." in error
    assert (0, True) == (every.code, every.out.startswith("Dropped 14 replies of all models: 2 plans, "))
    assert set() == list_plans(cache)


def test_clear_that_does_not_say_what_or_cannot_reach_it_drops_nothing(
    cache: Path, run_command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = [run_command("cache", "clear", *arguments) for arguments in ((), (HANDLE, "--all"), ("../x",))]
    monkeypatch.setenv("EXEMPLARS_REPLIES_URL", "postgresql://ann:hush-hush@127.0.0.1:1/replies")
    away = run_command("cache", "clear", "--all")

    assert [2, 2, 2, 3] == [ended.code for ended in (*refused, away)]
    assert all("exemplars cache clear HANDLE" in ended.message for ended in refused[:2])
    assert "'../x' is not a handle" in refused[2].message
    assert 3 == len(list_plans(cache))
    assert "The database of kept replies, postgresql://127.0.0.1:1/replies, cannot be reached" in away.message
    assert "hush" not in away.err
