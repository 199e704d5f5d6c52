"""A key is in nothing that is written, whatever echoes it.

The provider of these tests has the key in replies, refusals, errors and headers. LONG=1 does the same with a server, a
worker and a database of their own, every logger at DEBUG, and looks at the list of processes meanwhile.
"""

import json
import sqlite3
import subprocess
import threading
from collections.abc import Collection, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from fakes.echo import EchoingProvider, spell
from fakes.long import long
from fakes.provider import Behaviour, serve
from fakes.site import Site, open_site
from fakes.waiting import wait_until
from fakes.workspace import make_workspace, read_kept, read_rejected
from prefect.settings import PREFECT_API_DATABASE_CONNECTION_URL

from engine.errors import CredentialsError
from engine.llm.client.redaction import MARK

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

KEY = "sk-proj-9f/8Aw+7LmN0pR2tVbY4dC6eG1hJ3kQ5sT8uW0xZ"
# Everything that can tell of requests does. What Prefect's own client tells goes to the console alone: it sends logs by
# that client, and where those of httpcore are sent too, its first log and the start of its log worker wait for each
# other for good (seen in two of some dozen starts of a worker, prefect 3.9.1).
NOISY = {
    "PREFECT_LOGGING_LEVEL": "DEBUG",
    "PREFECT_LOGGING_ROOT_LEVEL": "DEBUG",
    "PREFECT_LOGGING_EXTRA_LOGGERS": "openai,LiteLLM",
    "PREFECT_SERVER_LOGGING_LEVEL": "DEBUG",
    "LITELLM_LOG": "DEBUG",
    "OPENAI_LOG": "debug",
}
READ = ("logs", "flow_runs", "task_runs", "artifacts", "block_documents")


@pytest.fixture
def echoing() -> Iterator[EchoingProvider]:
    with serve(EchoingProvider(Behaviour(), KEY)) as provider:
        yield provider


def find_leaks(folders: Collection[Path], keys: Collection[str], *said: str) -> list[str]:
    """Where a key is found: in the files below the folders, in what their tables hold, and in what was said."""
    # Each key in every spelling, and its beginning.
    needles = [text.encode() for key in keys for text in (key[:12], *spell(key), json.dumps(key)[1:-1])]
    places = {str(number): text.encode() for number, text in enumerate(said)}
    for path in (path for folder in folders for path in folder.rglob("*") if path.is_file()):
        places[str(path)] = path.read_bytes()
        if path.suffix == ".parquet":
            # Its pages are compressed.
            places[f"rows of {path}"] = json.dumps(pq.read_table(path).to_pylist(), default=str).encode()
        elif places[str(path)].startswith(b"SQLite format 3"):
            places[f"rows of {path}"] = read_rows(path).encode()
    return [f"{needle!r} in {place}" for place, content in places.items() for needle in needles if needle in content]


def read_rows(database: Path) -> str:
    """All values of all tables: a long one lies in several pages of the file."""
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        rows = (row for table in tables for row in connection.execute(f'SELECT * FROM "{table}"'))
        return "\n".join(str(value) for row in rows for value in row)


def test_run_that_is_told_its_key_everywhere_writes_it_nowhere(
    prefect_server: str, tmp_path: Path, echoing: EchoingProvider, caplog: pytest.LogCaptureFixture
) -> None:
    # That of the server which the tests' own runs use.
    database = Path(str(PREFECT_API_DATABASE_CONNECTION_URL.value()).partition("///")[2])
    workspace = make_workspace(tmp_path / "exposed", echoing, EXEMPLARS_SYNTH_API_KEY=KEY)
    workspace.write_effort(exemplars_per_pole=2, top_up_rounds=10, over_generation=3.0)
    workspace.run()
    [folder] = workspace.list_sets()
    rejected = read_rejected(folder)
    echoing.behaviour = Behaviour(status=401)
    with pytest.raises(CredentialsError, match="redacted") as raised:
        workspace.run()

    assert 0 == read_kept(folder)["text"].str.contains(MARK, regex=False).sum()
    assert {"placeholder"} == set(rejected[rejected["text"].str.contains(MARK, regex=False, na=False)]["reason"])
    assert "refused" in set(rejected["reason"])
    assert echoing.echoes > 30
    assert "Traceback" in caplog.text
    assert [] == find_leaks([workspace.folder, database.parent], [KEY], caplog.text, str(raised.value))


@contextmanager
def watch_processes() -> Iterator[set[str]]:
    """The command lines of all processes of this machine that run while the block does."""
    seen: set[str] = set()
    stopping = threading.Event()

    def watch() -> None:
        while not stopping.wait(0.1):
            told = subprocess.run(["ps", "-eww", "-o", "args"], capture_output=True, text=True, check=True)
            seen.update(told.stdout.splitlines())

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield seen
    finally:
        stopping.set()
        thread.join()


@long
def test_whole_site_writes_the_key_nowhere(tmp_path: Path, echoing: EchoingProvider) -> None:
    workspace = make_workspace(tmp_path / "site", echoing, EXEMPLARS_SYNTH_API_KEY=KEY, **NOISY)
    workspace.write_effort(top_up_rounds=10, over_generation=3.0)
    with open_site(workspace) as site, watch_processes() as seen:
        site.start_server()
        site.deploy()
        site.start_worker()
        ends = [run_to_its_end(site, echoing, Behaviour(status=status)) for status in (None, 401, 404, 500)]
        ends.append(run_to_its_end(site, echoing, Behaviour(hold_after=10)))
        told = [json.dumps(site.ask("POST", f"/{kind}/filter", limit=200)) for kind in READ]
        leaks = find_leaks([tmp_path], [KEY], *told, *seen)
        size = sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file())
    print(f"\n{ends}, {echoing.echoes} echoes; {size >> 20} MB of files and {len(seen)} command lines: {leaks}")

    assert ["COMPLETED", "FAILED", "FAILED", "FAILED", "CRASHED"] == ends
    assert [] == leaks


def run_to_its_end(site: Site, provider: EchoingProvider, behaviour: Behaviour) -> str:
    """The state in which a run ends; one that the provider holds is killed."""
    provider.forget()
    provider.behaviour = behaviour
    run_id = site.start_run()
    if behaviour.hold_after:
        wait_until(lambda: provider.calls.total() > 10, 600, "in mid-run")
        site.kill("flows")
    wait_until(lambda: site.read_state(run_id)[0] in ("COMPLETED", "FAILED", "CRASHED"), 600, "it has ended")
    return site.read_state(run_id)[0]
