"""``exemplars cache`` lists what is kept and drops it by handle, and nothing that a live run has open."""

import asyncio
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from fakes.postgres import Databases

from engine.llm.request import Reply
from engine.replies.admin import list_cache
from engine.replies.replies import ReplyStore
from engine.settings import RepliesPlace

HANDLE, OTHER = "u22a8.toolshed", "u22a8.kitchen"
Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache with a plan of three models, one of which is not known."""
    monkeypatch.setenv("EXEMPLARS_CACHE_DIR", str(tmp_path))
    for plan_id, handle in (("plan-a", HANDLE), ("plan-b", OTHER), ("plan-c", "")):
        asyncio.run(keep(tmp_path, plan_id, handle))
    return tmp_path


async def keep(folder: Path, plan_id: str, handle: str, url: str | None = None) -> None:
    with ReplyStore(RepliesPlace(str(folder), url), plan_id, handle) as kept:
        for number in range(7):
            await kept.keep(str(number), Reply("one", "stop"))


@pytest.fixture
def command(run_command: Command) -> Command:
    """``exemplars cache`` in this process."""
    return partial(run_command, "cache")


def list_plans(cache: Path) -> set[str]:
    return {plan.plan_id for plan in list_cache(RepliesPlace(str(cache)))}


def test_list_names_each_plan_with_its_model_replies_and_size(cache: Path, command: Command) -> None:
    with ReplyStore(RepliesPlace(str(cache)), "plan-a"):
        code, said, _ = command("list")
    lines = {line.split()[0]: line for line in said.splitlines()}

    assert 0 == code
    assert lines[HANDLE].endswith("plan-a (in use)")
    assert ["7", "0.0"] == lines[OTHER].split()[1:3]
    assert lines["unknown"].endswith("plan-c")
    assert said.endswith("3 plans, 21 replies, 0.0 MB\n")


def test_list_as_json_is_one_line(cache: Path, command: Command) -> None:
    code, said, _ = command("list", "--json")
    plans = json.loads(said)

    assert (0, 1) == (code, said.count("\n"))
    assert [HANDLE, OTHER, None] == [plan["handle"] for plan in plans]
    assert {"plan_id", "handle", "replies", "bytes", "used_at", "in_use", "where"} == set(plans[0])


def test_list_of_a_damaged_file_says_so(cache: Path, command: Command) -> None:
    (cache / "replies.sqlite").write_bytes(b"no database" * 1000)
    code, _, error = command("list")

    assert (3, True) == (code, "file is not a database" in error)


def test_clear_drops_the_replies_of_one_model_and_says_what_that_means(cache: Path, command: Command) -> None:
    code, said, _ = command("clear", HANDLE)

    assert 0 == code
    assert said.startswith(f"Dropped 7 replies of {HANDLE}: 1 plan, 0.0 MB. A run that did not finish has to")
    assert {"plan-b", "plan-c"} == list_plans(cache)


def test_clear_of_all_drops_those_of_unknown_models_too(cache: Path, command: Command) -> None:
    code, said, _ = command("clear", "--all")

    assert 0 == code
    assert said.startswith("Dropped 21 replies of all models: 3 plans, ")
    assert set() == list_plans(cache)


def test_clear_as_json_is_one_line(cache: Path, command: Command) -> None:
    code, said, _ = command("clear", OTHER, "--json")
    told = json.loads(said)

    assert (0, 1, 7, []) == (code, told["plans"], told["replies"], told["in_use"])
    assert {"plan-a", "plan-c"} == list_plans(cache)


def test_clear_of_a_model_of_which_nothing_is_kept_is_no_error(cache: Path, command: Command) -> None:
    code, said, _ = command("clear", "u22a8.nothing")

    assert (0, True) == (code, said.startswith("No replies of u22a8.nothing were dropped"))


def test_database_of_a_url_is_listed_and_cleared(
    tmp_path: Path, command: Command, postgres: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = postgres.make_database()
    monkeypatch.setenv("EXEMPLARS_REPLIES_URL", url)
    monkeypatch.setenv("EXEMPLARS_CACHE_DIR", str(tmp_path))
    for plan_id, handle in (("plan-a", HANDLE), ("plan-b", OTHER)):
        asyncio.run(keep(tmp_path, plan_id, handle, url))
    rows = json.loads(command("list", "--json")[1])
    assert [(HANDLE, 7), (OTHER, 7)] == [(row["handle"], row["replies"]) for row in rows]
    assert {url.replace("postgres@", "")} == {row["where"] for row in rows}
    with ReplyStore(RepliesPlace(str(tmp_path), url), "plan-a"):
        code, said, error = command("clear", "--all")

    assert (3, True) == (code, said.startswith("Dropped 7 replies of all models: 1 plan"))
    assert "plan-a" in error
    assert [HANDLE] == [row["handle"] for row in json.loads(command("list", "--json")[1])]


def test_database_that_cannot_be_reached_is_an_error_without_its_password(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EXEMPLARS_REPLIES_URL", "postgresql://ann:hush-hush@127.0.0.1:1/replies")
    code, said, error = command("clear", "--all")

    assert (3, "") == (code, said)
    assert "The database of kept replies, postgresql://127.0.0.1:1/replies, cannot be reached: " in error
    assert "hush" not in error


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
