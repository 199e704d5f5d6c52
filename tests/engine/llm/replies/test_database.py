"""An unreachable or damaged database ends its users with a remedy; a limit that many share is one sum."""

import asyncio
from contextlib import closing
from pathlib import Path

import pytest
from fakes.gate import Gate
from fakes.postgres import Databases
from fakes.reply_tables import place_in, run_sql
from fakes.reply_writer import PLAN, make_reply
from pydantic import SecretStr

from engine.errors import SharedBudgetError, StoreError
from engine.llm.client.request import Reply
from engine.llm.replies.admin import list_cache, remove_plans
from engine.llm.replies.changes import DEAD_SECONDS, SharedLimit
from engine.llm.replies.replies import ROOM_SECONDS, ReplyStore
from engine.settings import SQLITE, DatabaseUrl

REPLY = Reply("one", "stop", cost_usd=0.01)
LIMIT = SharedLimit("backfill-1", 1.0)


async def test_database_that_goes_away_ends_the_run_with_what_to_do_and_the_next_start_goes_on(
    postgres: Databases, tmp_path: Path
) -> None:
    with closing(Gate(postgres.port)) as gate:
        url = postgres.make_database().replace(f":{postgres.port}/", f":{gate.port}/")
        place = SecretStr(url)
        with ReplyStore(place, PLAN) as kept:
            await kept.keep("a", REPLY)
            begun = await kept.begin(0.5)
            gate.shut()
            with pytest.raises(StoreError, match=r"cannot be reached.*EXEMPLARS_REPLIES_URL.*then start again"):
                await kept.keep("b", REPLY, begun)
            # Nothing that was not kept is used, and no call begins that is not noted.
            assert None is kept.find("b")
            with pytest.raises(StoreError, match="cannot be reached"):
                await kept.begin(0.5)
            with pytest.raises(StoreError, match="cannot be reached"):
                await asyncio.to_thread(list_cache, place)
        gate.open()
        with ReplyStore(place, PLAN) as kept:
            assert (REPLY, None) == (kept.find("a"), kept.find("b"))
            assert (1, 0.5) == (kept.lost.calls, kept.lost.ceiling_usd)


def test_database_that_cannot_be_had_is_an_error_at_once_and_tells_no_password() -> None:
    with pytest.raises(StoreError, match=r"postgresql://\[::1\]:1/replies, cannot be reached") as caught:
        ReplyStore(SecretStr("postgresql+psycopg://ann:hush-hush@[::1]:1/replies"), PLAN)

    assert "hush" not in str(caught.value)


async def test_damaged_file_is_told_with_what_to_do(tmp_path: Path) -> None:
    place, path = place_in(tmp_path), tmp_path / "replies.sqlite"
    with ReplyStore(place, PLAN) as kept:
        await asyncio.gather(*(kept.keep(str(number), make_reply(str(number))) for number in range(50)))
    for damaged in (b"no database" * 1000, path.read_bytes()[: path.stat().st_size // 2]):
        path.write_bytes(damaged)
        with pytest.raises(StoreError, match=r"replies\.sqlite: .* Move it away, and start again"):
            ReplyStore(place, PLAN)


async def test_limit_that_openings_share_is_never_passed_and_what_calls_give_back_is_waited_for(
    place: DatabaseUrl,
) -> None:
    with ReplyStore(place, "one") as one, ReplyStore(place, "other") as other:
        first, second = await one.begin(0.5, LIMIT), await other.begin(0.5, LIMIT)
        waiting = asyncio.create_task(other.begin(0.3, LIMIT))
        await asyncio.sleep(0.1)
        assert not waiting.done()
        await one.keep("a", Reply("one", "stop", cost_usd=0.2), first)
        await other.drop(await waiting)
        other.abandon(second)
        # Paid and lost calls sum up to 0.7: no call in flight could release money.
        with pytest.raises(SharedBudgetError, match=r"limit of \$1 is reached: \$0\.7000"):
            await one.begin(0.4, LIMIT)
        assert await one.begin(0.3, LIMIT)
        assert await one.begin(9.0)


async def test_calls_that_begin_at_once_do_not_pass_the_limit_together(place: DatabaseUrl) -> None:
    # Another name of the same database has a writer and a connection of its own, like another process.
    url = place.get_secret_value()
    renamed = url.replace("/cache/", "/cache/../cache/") if url.startswith(SQLITE) else f"{url}?application_name=other"
    with ReplyStore(place, "one") as one, ReplyStore(SecretStr(renamed), "two") as two:
        calls = [asyncio.create_task(kept.begin(0.25, LIMIT)) for _ in range(10) for kept in (one, two)]
        done: set[asyncio.Task[int]] = set()
        async with asyncio.timeout(60):
            while len(done) < 4:
                done |= (await asyncio.wait(set(calls) - done, return_when=asyncio.FIRST_COMPLETED))[0]
        await asyncio.sleep(2 * ROOM_SECONDS)
        assert 4 == sum(call.done() for call in calls)
        for call in calls:
            call.cancel()


async def test_what_a_lost_machine_had_in_flight_stays_spent_and_clearing_does_not_give_it_back(
    place: DatabaseUrl,
) -> None:
    lost = ReplyStore(place, "one")
    await lost.begin(0.75, LIMIT)
    run_sql(place, f"UPDATE exemplars_openings SET used_at = used_at - {DEAD_SECONDS}")
    with ReplyStore(place, "other") as kept:
        assert 1 == len(await asyncio.to_thread(lambda: remove_plans(place, list_cache(place))))
        with pytest.raises(SharedBudgetError):
            await kept.begin(0.5, LIMIT)
        await kept.keep("a", REPLY, await kept.begin(0.25, LIMIT))
    lost.close()
