"""A temporary server is for who has configured none."""

import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest
from fakes.site import clear_environment
from fakes.workspace import ROOT
from prefect.settings import PREFECT_API_URL, temporary_settings

from engine.errors import OrchestratorError
from engine.system.child_process import ChildServer, ChildServerError
from flows.cli.in_process import SERVER_PROCESS, START_SECONDS, ensure_server, starting_server


def test_process_ends_by_itself_where_a_profile_names_a_server(tmp_path: Path) -> None:
    (tmp_path / "profiles.toml").write_text(
        'active = "there"\n[profiles.there]\nPREFECT_API_URL = "http://127.0.0.1:9/api"\n'
    )
    with subprocess.Popen(
        [sys.executable, str(SERVER_PROCESS)],
        env={**clear_environment(), "PREFECT_HOME": str(tmp_path), "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        told = process.stdout.read()
        # Its input is still open.
        code = process.wait()

    assert (0, b"") == (code, told)
    assert not (tmp_path / "prefect.db").exists()


def test_server_that_is_configured_needs_no_other_and_one_that_does_not_start_says_why() -> None:
    server = ChildServer(
        [sys.executable, "-c", "import sys; print('no\\nroom', file=sys.stderr); sys.exit(7)"], os.environ
    )
    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api"}), starting_server() as other:
        assert None is other
    with (
        temporary_settings(restore_defaults={PREFECT_API_URL}),
        pytest.raises(OrchestratorError, match=r"exit code 7. Its last lines:\n  no\n  room\nCheck that PREFECT_HOME"),
        ensure_server(server),
    ):
        pytest.fail("it goes on")


@pytest.mark.slow
def test_server_says_why_it_ends_at_once_however_little_is_to_be_logged(tmp_path: Path) -> None:
    """Prefect makes no parent folder of its home, and SQLAlchemy reads ``%41`` in a database's address as ``A``."""
    quiet = dict.fromkeys(("PREFECT_SERVER_LOGGING_LEVEL", "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL"), "CRITICAL")
    environment = {**clear_environment(), **quiet, "PYTHONPATH": str(ROOT)}
    homes = [str(tmp_path / "%41"), str(tmp_path / "none" / "such")]
    command = [sys.executable, str(SERVER_PROCESS)]
    with ExitStack() as stack:
        servers = [stack.enter_context(ChildServer(command, {**environment, "PREFECT_HOME": home})) for home in homes]
        for server in servers:
            with pytest.raises(ChildServerError, match=r"exit code 3(?s:.*)unable to open database file"):
                server.wait_for_address(START_SECONDS)
