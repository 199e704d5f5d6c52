"""``exemplars cache`` lists what is kept and drops it by handle, and nothing that a live run has open."""

import asyncio
import json
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine.llm.request import Reply
from engine.replies.admin import list_cache
from engine.replies.replies import ReplyStore
from engine.settings import RepliesPlace
from flows.cli.app import main

HANDLE, OTHER = "u22a8.toolshed", "u22a8.kitchen"
Command = Callable[..., tuple[int, str, str]]


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


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Iterator[Command]:
    """``exemplars cache`` in this process: its exit code, and what it says on stdout and stderr."""
    terminate = signal.getsignal(signal.SIGTERM)

    def call(*arguments: str) -> tuple[int, str, str]:
        code = main(("cache", *arguments))
        said = capsys.readouterr()
        return code, said.out, said.err

    yield call
    signal.signal(signal.SIGTERM, terminate)


def list_plans(cache: Path) -> set[str]:
    return {plan.plan_id for plan in list_cache(str(cache))}


def test_list_names_each_plan_with_its_model_replies_and_size(cache: Path, command: Command) -> None:
    with ReplyStore(RepliesPlace(str(cache)), "plan-a"):
        code, said, _ = command("list")
    lines = {line.split()[0]: line for line in said.splitlines()}

    assert 0 == code
    assert lines[HANDLE].endswith("plan-a (in use)")
    assert ["7", "0.0"] == lines[OTHER].split()[1:3]
    assert lines["unknown"].endswith("plan-c")
    assert said.endswith("3 plans, 21 replies, 0.1 MB\n")


def test_list_as_json_is_one_line(cache: Path, command: Command) -> None:
    code, said, _ = command("list", "--json")
    plans = json.loads(said)

    assert (0, 1) == (code, said.count("\n"))
    assert [HANDLE, OTHER, None] == [plan["handle"] for plan in plans]
    assert {"plan_id", "handle", "replies", "bytes", "used_at", "in_use", "where"} == set(plans[0])


def test_list_of_a_damaged_plan_has_a_question_mark(cache: Path, command: Command) -> None:
    (cache / "plan-a" / "replies.sqlite").write_bytes(b"no database" * 1000)

    assert "unknown                                     ?" in command("list")[1]


def test_clear_drops_the_replies_of_one_model_and_says_what_that_means(cache: Path, command: Command) -> None:
    code, said, _ = command("clear", HANDLE)

    assert 0 == code
    assert said.startswith(f"Dropped 7 replies of {HANDLE}: 1 plan, 0.0 MB. Sets that were made from them can no")
    assert "can no longer be replayed" in said
    assert "1 plan of an older version without the name of a model: --all drops them too" in said
    assert {"plan-b", "plan-c"} == list_plans(cache)


def test_clear_of_all_drops_those_of_unknown_models_too(cache: Path, command: Command) -> None:
    code, said, _ = command("clear", "--all")

    assert 0 == code
    assert said.startswith("Dropped 21 replies of all models: 3 plans, ")
    assert set() == list_plans(cache)


def test_clear_as_json_is_one_line(cache: Path, command: Command) -> None:
    code, said, _ = command("clear", OTHER, "--json")
    told = json.loads(said)

    assert (0, 1, 7, [], []) == (code, told["plans"], told["replies"], told["in_use"], told["failed"])
    assert {"plan-a", "plan-c"} == list_plans(cache)


def test_clear_of_a_model_of_which_nothing_is_kept_is_no_error(cache: Path, command: Command) -> None:
    code, said, _ = command("clear", "u22a8.nothing")

    assert (0, True) == (code, said.startswith("No replies of u22a8.nothing were dropped"))


def test_what_is_on_the_store_is_listed_and_cleared_too(
    cache: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = str(cache / "store")
    monkeypatch.setenv("EXEMPLARS_REPLIES_URI", uri)
    for plan_id, handle in (("plan-a", HANDLE), ("plan-b", OTHER), ("plan-d", HANDLE)):
        with ReplyStore(RepliesPlace(str(cache), uri), plan_id, handle) as kept:
            asyncio.run(kept.keep("new", Reply("one", "stop")))
    _, said, _ = command("list")
    here, there = said.split(f"On {uri}:\n")
    assert "plan-d" in here
    # What was kept before there was a store is there now too.
    assert there.endswith("3 plans, 17 replies, 0.0 MB\n")
    rows = json.loads(command("list", "--json")[1])
    assert 7 == len(rows)
    assert [(uri, None)] * 3 == [(row["where"], row["in_use"]) for row in rows if row["where"] != str(cache)]
    with ReplyStore(RepliesPlace(str(cache)), "plan-d"):
        code, said, error = command("clear", HANDLE)
    assert (3, True) == (code, said.splitlines()[2].startswith(f"On {uri}: dropped 8 replies in "))
    assert "plan-d" in error
    code, said, _ = command("clear", "--all", "--json")
    told = json.loads(said)["stored"]

    assert (0, 2, 9, []) == (code, *(told[name] for name in ("plans", "replies", "failed")))
    assert [] == json.loads(command("list", "--json")[1])


def test_store_that_cannot_be_opened_leaves_all_as_it_is(
    cache: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EXEMPLARS_REPLIES_URI", "nowhere://bucket/replies")
    code, _, error = command("clear", "--all")

    assert (3, 3) == (code, len(list_plans(cache)))
    assert "nowhere://bucket/replies cannot be opened" in error


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "exemplars cache clear HANDLE"),
        ((HANDLE, "--all"), "exemplars cache clear HANDLE"),
        (("../x",), "'../x' is not a handle"),
    ],
)
def test_clear_that_does_not_say_what_is_bad_input(
    cache: Path, command: Command, arguments: tuple[str, ...], message: str
) -> None:
    code, said, error = command("clear", *arguments)

    assert (2, "") == (code, said)
    assert message in error
    assert 3 == len(list_plans(cache))


def test_clear_leaves_and_names_what_a_live_run_has_open(cache: Path, command: Command) -> None:
    asyncio.run(keep(cache, "plan-d", HANDLE))
    with ReplyStore(RepliesPlace(str(cache)), "plan-d"):
        code, said, error = command("clear", HANDLE)

    assert 3 == code
    assert said.startswith(f"Dropped 7 replies of {HANDLE}")
    assert "These plans are in use by live runs, so their replies were not dropped: plan-d." in error
    assert {"plan-b", "plan-c", "plan-d"} == list_plans(cache)


def test_clear_names_what_cannot_be_removed(cache: Path, command: Command) -> None:
    (cache / "plan-a" / "turn.lock").unlink()
    (cache / "plan-a" / "turn.lock").mkdir()
    code, _, error = command("clear", HANDLE)

    assert 3 == code
    assert f"Not all could be dropped: {cache}/plan-a: Is a directory. Permit writing" in error
