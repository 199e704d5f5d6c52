"""What holds for every test: the slowest come first, in CI a skip is a failure, and servers are shared."""

import json
import os
import re
from collections import Counter
from collections.abc import Generator, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from fakes.shared import open_session
from hypothesis import settings
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

if TYPE_CHECKING:
    from fakes.postgres import Databases
    from fakes.s3 import S3

_opened = ExitStack()
TESTS = Path(__file__).parent
# The one stack, and Great Expectations and fastmcp, which take each process seconds to import.
TOGETHER = ("tests/stack", "tests/expectations", "tests/flows/tools_server")
# The niceness of all tests that do not use the stack.
GIVES_WAY = 5
# Prefect's services that look every few seconds for what flows in the tests' own process never leave.
UNUSED = ("SCHEDULER", "LATE_RUNS", "PAUSE_EXPIRATIONS", "FOREMAN")
# How long each test took the last time.
DURATIONS = TESTS.parent / ".pytest_cache" / "durations.json"
_durations: dict[str, float] = {}


def pytest_configure(config: pytest.Config) -> None:
    """Before xdist's workers begin: one folder for what all of them share."""
    # What this machine has got of embedded models must not change a test.
    os.environ["EXEMPLARS_EMBEDDED_DIR"] = "/nowhere"
    # Logs for a server that is gone would be tried for 70 s: at the end of a session, and by a command that waits.
    os.environ["PREFECT_CLIENT_MAX_RETRIES"] = "2"
    # No test needs a quick machine; what is set in CI stays.
    settings.register_profile("any machine", settings(), deadline=None)
    settings.load_profile("any machine")
    if not hasattr(config, "workerinput"):
        _opened.enter_context(open_session())


def pytest_unconfigure() -> None:
    _opened.close()


class Together(LoadScopeScheduling):  # type: ignore[misc]
    """Gives each process a test at a time, but for the folders of ``TOGETHER``, which have a process each.

    Marks of ``xdist_group`` would say the same, and do nothing in xdist 3.8 with pytest 9.2.
    """

    def _split_scope(self, nodeid: str) -> str:
        return next((folder for folder in TOGETHER if nodeid.startswith(f"{folder}/")), nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Together:
    return Together(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts the files that take longest first: begun late they would hold up the end. First of all comes the stack.

    A file's tests stay together, since they may share what is dear to set up, but for those that are marked ``late``.
    The stack's files have one order: a deploy ends runs whose process is gone, which another file's tests wait for.
    """
    took = json.loads(DURATIONS.read_text()) if DURATIONS.exists() else {}
    stack, longest = TESTS / "stack", Counter[Path]()
    for item in items:
        # What was never timed is guessed by where it is.
        longest[item.path] += took.get(item.nodeid, "flows" in item.path.parts)

    def rank(item: pytest.Item) -> tuple[object, ...]:
        is_late = item.get_closest_marker("late") is not None
        is_stack = stack in item.path.parents
        return not is_stack, is_late, 0 if is_stack else -longest[item.path], item.path

    items.sort(key=rank)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Lets the stack's processes go first: its tests, one after the other, are the longest way through the session."""
    if hasattr(item.config, "workerinput") and TESTS / "stack" not in item.path.parents:
        os.nice(max(0, GIVES_WAY - os.nice(0)))


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    _durations[report.nodeid] = round(_durations.get(report.nodeid, 0.0) + report.duration, 2)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Keeps what the tests took for the next session's order."""
    if not hasattr(session.config, "workerinput") and DURATIONS.parent.exists():
        before = json.loads(DURATIONS.read_text()) if DURATIONS.exists() else {}
        DURATIONS.write_text(json.dumps(before | _durations))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turns a skip into a failure where ``CI`` is set."""
    report = yield
    if report.skipped and os.environ.get("CI") and not hasattr(report, "wasxfail"):
        reason: Any = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid}: {reason}, but in CI nothing may be skipped"
    return report


@pytest.fixture(scope="session")
def prefect_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the Prefect server that flows in this process run against.

    No other process shares it: their runs are of the same model, and one run a model is what a server sees to.
    """
    from fakes.site import open_site
    from fakes.workspace import Workspace
    from prefect.context import _temporary_global_settings_context, get_settings_context
    from prefect.logging.configuration import ensure_logging_setup
    from prefect.logging.handlers import APILogWorker
    from prefect.settings import PREFECT_API_URL, PREFECT_CLIENT_MAX_RETRIES, temporary_settings

    # Else the first run of this process does it, and takes away the handler by which its test reads what is logged.
    ensure_logging_setup()
    unused = {f"PREFECT_SERVER_SERVICES_{name}_ENABLED": "false" for name in UNUSED}
    with open_site(Workspace(tmp_path_factory.mktemp("prefect"), unused)) as site:
        site.start_server()
        with (
            # Prefect's default: a server on SQLite answers 503 to one of two writers that meet, and with 2 retries a
            # model of a backfill failed on a busy machine.
            temporary_settings({PREFECT_API_URL: site.url, PREFECT_CLIENT_MAX_RETRIES: 5}),
            # As Prefect's own harness does: also where the context is none of this fixture's.
            _temporary_global_settings_context(get_settings_context()),
        ):
            yield site.url
            APILogWorker.drain_all()


@pytest.fixture(scope="session")
def s3_server() -> Iterator["S3"]:
    """This process's way to the session's S3 server; a test wants ``s3``."""
    from fakes.s3 import serve_s3

    with serve_s3() as served:
        yield served


@pytest.fixture(scope="session")
def postgres() -> "Databases":
    """The session's PostgreSQL server, where a test makes databases of its own."""
    from fakes.postgres import share_databases

    return share_databases()


@pytest.fixture
def s3(s3_server: "S3", monkeypatch: pytest.MonkeyPatch) -> "S3":
    """The server, that this process is led to and that lets everything through."""
    s3_server.enter(monkeypatch)
    s3_server.heal()
    return s3_server


@pytest.fixture
def s3_uri(s3: "S3", request: pytest.FixtureRequest) -> str:
    """A folder of this test's own, that is not there yet."""
    from fakes.s3 import BUCKET

    return f"s3://{BUCKET}/{re.sub(r'[^a-z0-9]+', '-', request.node.nodeid.lower())}"
