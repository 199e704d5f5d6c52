"""One pass of the collector over a whole batch of 50,000 lines, sent and read: seconds, CPU seconds, memory.

By the wire of OpenAI's form, in a process of its own; the provider shares the machine. Each prompt has 2 kB.
"""

import os
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from bench.process_tree import Measured, measure_command
from fakes.batch_collector import KEY
from fakes.batch_lines import PLACE, PRICED, make_asked, make_run
from fakes.batches import Manner, serve_batches
from fakes.reply_tables import place_in, run_sql
from pydantic import SecretStr

from engine.llm.batches.account import digest_key
from engine.llm.batches.outbox import Outbox
from engine.settings import DatabaseUrl

LINES, PROMPT_BYTES = int(os.environ.get("LINES", "50000")), 2_000
# What one pass may take (its issue's aims).
MOST_SECONDS, MOST_MB = 20.0, 500


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_pass_over_fifty_thousand_lines(request: pytest.FixtureRequest, tmp_path: Path, database: str) -> None:
    is_server = database == "postgresql"
    place = SecretStr(request.getfixturevalue("postgres").make_database()) if is_server else place_in(tmp_path)
    with serve_batches(manner=Manner(seconds=30.0)) as server:
        where = replace(PLACE, api_base=f"{server.url}/v1", key_digest=digest_key(PLACE.model, KEY), price=PRICED.price)
        with Outbox(place) as outbox:
            for number in range(LINES // 100):
                asked = make_asked(100, size=PROMPT_BYTES)
                assert 100 == outbox.queue(make_run(f"plan-{number}"), where, asked, 1e9, None)
        nothing = measure(place_in(tmp_path / "empty"), 0.0)
        sent = measure(place, 0.0)
        server.advance(301)
        server.settle()
        kept = measure(place, 301.0)
    print(f"\n{LINES:,} lines on {database}")
    print(f"{'':<14}{'seconds':>9}{'CPU s':>8}{'peak MB':>9}")
    for name, run in (("sent", sent), ("read and kept", kept), ("nothing to do", nothing)):
        print(f"{name:<14}{run.seconds:>9.2f}{run.cpu_seconds:>8.2f}{run.peak_mb:>9,}   {run.output.strip()}")
    assert [("done", LINES)] == run_sql(place, "SELECT state, count(*) FROM exemplars_lines GROUP BY state")
    for run in (sent, kept):
        assert MOST_MB >= run.peak_mb


def measure(place: DatabaseUrl, offset: float) -> Measured:
    command = [sys.executable, "-m", "fakes.batch_collector", place.get_secret_value(), str(offset)]
    return measure_command(command, os.environ)
