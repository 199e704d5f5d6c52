"""The command ``python -m flows.api keys``: a secret alone on stdout, words on stderr, one message for an error."""

import json
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

import pytest
from fakes.workspace import ROOT

from flows.api.__main__ import main
from flows.api.keys import KeyRing

ISSUE = ("keys", "issue", "--namespace", "acme", "--scope", "authoring")
SLOW_IMPORTS = ("prefect", "litellm", "pandas", "pyarrow", "fastapi", "great_expectations")
# Exit code, stdout and stderr of a command.
Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the commands find the keys."""
    path = tmp_path / "keys.json"
    monkeypatch.setenv("EXEMPLARS_KEYS_FILE", str(path))
    return path


@pytest.fixture
def command(path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Command]:
    """The command in this process."""
    terminate = signal.getsignal(signal.SIGTERM)
    yield lambda *arguments: (main(arguments), *capsys.readouterr())
    signal.signal(signal.SIGTERM, terminate)


def test_key_from_issue_to_revocation(command: Command, path: Path) -> None:
    code, printed, said = command(*ISSUE, "--namespace", "beta", "--label", "für später")
    secret = printed.strip()
    ring = KeyRing(path)
    key = ring.find(secret)

    assert key is not None
    assert (0, f"{secret}\n") == (code, printed)
    assert f"Key {key.id}: reads and changes acme, beta; reads u22a8, live, bench like every key. " in said
    assert secret not in said

    listed, as_json = command("keys", "list")[1], command("keys", "list", "--json")[1]
    assert [
        ["id", "scope", "created", "namespaces (label)"],
        [key.id, "authoring", f"{key.created_at:%Y-%m-%d %H:%M UTC}", "acme, beta (für später)"],
    ] == [re.split("  +", line) for line in listed.splitlines()]
    shown = {"id": key.id, "scope": "authoring", "namespaces": ["acme", "beta"], "label": "für später"}
    [told] = json.loads(as_json)
    assert key.created_at == datetime.fromisoformat(told.pop("created_at"))
    assert shown == told

    assert (0, "", f"Key {key.id} is revoked: the HTTP API refuses it from now on\n") == command(
        "keys", "revoke", key.id
    )
    assert None is ring.find(secret)
    assert (0, "[]\n", "") == command("keys", "list", "--json")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("keys", "issue", "--scope", "authoring"), "Missing option '--namespace'."),
        (("keys", "revoke", "nobody"), "There is no key 'nobody' in"),
    ],
)
def test_what_cannot_be_done_is_one_message(command: Command, arguments: tuple[str, ...], said: str) -> None:
    code, printed, told = command(*arguments)

    assert (2, "", 1) == (code, printed, told.count("\n"))
    assert told.startswith(f"exemplars: {said}")


def test_no_slow_import_is_waited_for(path: Path) -> None:
    program = (
        f"import sys; from flows.api.__main__ import main; code = main({ISSUE}); "
        f"print([name for name in {SLOW_IMPORTS} if name in sys.modules]); sys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)

    assert (0, "[]") == (done.returncode, done.stdout.splitlines()[-1])
