"""The summary on the run page, where Prefect's server is away."""

from fakes.builders import make_level, make_test_plan
from fakes.site import find_free_port
from fakes.word_vectors import WordVectors
from prefect.logging import disable_run_logger
from prefect.settings import PREFECT_API_URL, temporary_settings

from engine.rounds import Rounds
from engine.screen import Screener
from engine.store import StoredSet
from engine.verdict import Verdict
from tasks.report import report


async def test_server_that_is_away_fails_no_run_whose_set_is_in_the_store() -> None:
    plan = make_test_plan(level=make_level(2))
    rounds = Rounds(plan, Screener(plan, use_lengths=False), 1, WordVectors(), strict=False)
    verdict = Verdict(True, (), (), (), {}, ())
    away = {PREFECT_API_URL: f"http://127.0.0.1:{find_free_port()}/api"}
    with temporary_settings(away), disable_run_logger():
        await report(rounds, verdict, StoredSet("samples/run=1", {}))
