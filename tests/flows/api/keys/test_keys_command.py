"""The command ``python -m flows.api keys``: a secret alone on stdout, words on stderr, one message for an error."""

import json
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from fakes.workspace import ROOT

from flows.api.__main__ import main
from flows.api.keys.keyring import KeyRing

SECRET = re.compile(r"exm_[0-9a-f]{12}_[A-Za-z0-9_-]{43}\n")
ISSUE = ("keys", "issue", "--namespace", "acme", "--scope", "authoring")
SLOW_IMPORTS = ("prefect", "litellm", "pandas", "pyarrow", "fastapi", "great_expectations")


@dataclass(frozen=True)
class Ended:
    """How a command ended and what it said."""

    code: int
    stdout: str
    stderr: str


Command = Callable[..., Ended]


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

    def call(*arguments: str) -> Ended:
        code = main(arguments)
        said = capsys.readouterr()
        return Ended(code, said.out, said.err)

    yield call
    signal.signal(signal.SIGTERM, terminate)


def test_key_from_issue_to_revocation(command: Command, path: Path) -> None:
    issued = command(*ISSUE, "--namespace", "beta", "--label", "nightly job")
    secret = issued.stdout.strip()
    ring = KeyRing(path)
    key = ring.find(secret)

    assert key is not None
    assert (0, True) == (issued.code, SECRET.fullmatch(issued.stdout) is not None)
    assert f"Key {key.id}: reads and changes acme, beta; reads u22a8, live, bench like every key." in issued.stderr
    assert "it is not kept and not shown again" in issued.stderr
    assert secret not in issued.stderr

    listed = command("keys", "list")
    assert (0, "") == (listed.code, listed.stderr)
    assert [
        ["id", "scope", "namespaces", "created", "label"],
        [key.id, "authoring", "acme, beta", f"{key.created_at:%Y-%m-%d %H:%M UTC}", "nightly job"],
    ] == [re.split("  +", line) for line in listed.stdout.splitlines()]

    revoked = command("keys", "revoke", key.id)
    assert (0, "", f"Key {key.id} is revoked: the door refuses it from now on\n") == (
        revoked.code,
        revoked.stdout,
        revoked.stderr,
    )
    assert None is ring.find(secret)


def test_list_as_json_is_one_line_without_digests(command: Command, path: Path) -> None:
    secrets = [command(*ISSUE).stdout.strip(), command(*ISSUE, "--label", "für später").stdout.strip()]
    keys = [KeyRing(path).find(secret) for secret in secrets]
    ended = command("keys", "list", "--json")

    assert (0, 1, "") == (ended.code, ended.stdout.count("\n"), ended.stderr)
    assert [
        {
            "id": key.id,
            "scope": "authoring",
            "namespaces": ["acme"],
            "created_at": key.created_at.isoformat(timespec="seconds"),
            "label": key.label,
        }
        for key in keys
        if key is not None
    ] == json.loads(ended.stdout)
    kept = [entry["sha256"] for entry in json.loads(path.read_text())["keys"]]
    assert [] == [each for each in (*kept, *secrets) if each in f"{ended} {command('keys', 'list')}"]


def test_list_of_no_keys_says_how_to_make_one(command: Command, path: Path) -> None:
    assert Ended(
        0, "", f"No keys in {path}. '.venv/bin/python -m flows.api keys issue --help' says how to make one\n"
    ) == command("keys", "list")
    assert Ended(0, "[]\n", "") == command("keys", "list", "--json")


@pytest.mark.parametrize(
    ("scope", "namespaces", "said"),
    [
        ("scoring", ["acme"], ": reads acme; reads u22a8, live, bench like every key. "),
        ("authoring", ["u22a8"], ": reads and changes u22a8; reads live, bench like every key. "),
        ("scoring", ["u22a8", "live", "bench"], ": reads u22a8, live, bench. The line"),
    ],
)
def test_issuing_says_what_the_key_may_do(command: Command, scope: str, namespaces: list[str], said: str) -> None:
    words = [word for namespace in namespaces for word in ("--namespace", namespace)]

    assert said in command("keys", "issue", "--scope", scope, *words).stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ("keys", "issue", "--scope", "authoring"),
            "Missing option '--namespace'. '.venv/bin/python -m flows.api --help' shows",
        ),
        ((*ISSUE[:-1], "admin"), "'admin' is not a scope. There are: scoring"),
        ((*ISSUE, "--label", "a\nb"), "A label is one line"),
        (("keys", "revoke", "nobody"), "There is no key 'nobody' in"),
        (("keys", "revoke", "exm_0123456789ab_xyz"), "That is a secret, not an id."),
    ],
)
def test_bad_input_is_one_message(command: Command, path: Path, arguments: tuple[str, ...], said: str) -> None:
    ended = command(*arguments)

    assert (2, "", 1) == (ended.code, ended.stdout, ended.stderr.count("\n"))
    assert ended.stderr.startswith(f"exemplars: {said}")
    assert not path.exists()


@pytest.mark.parametrize("arguments", [ISSUE, ("keys", "list"), ("keys", "revoke", "0123456789ab")])
def test_file_that_cannot_be_used_is_one_message(command: Command, path: Path, arguments: tuple[str, ...]) -> None:
    path.touch(0o600)
    garbage = command(*arguments)
    path.chmod(0o644)
    too_open = command(*arguments)

    assert (3, "", 3, "") == (garbage.code, garbage.stdout, too_open.code, too_open.stdout)
    assert garbage.stderr.startswith(f"exemplars: {path} is not a file of keys (")
    assert too_open.stderr.startswith(f"exemplars: {path} is open to others than its owner (mode 644)")
    assert b"" == path.read_bytes()


def test_secret_that_cannot_be_printed_takes_its_key_back_and_no_import_is_waited_for(path: Path) -> None:
    program = (
        f"import sys; from flows.api.__main__ import main; code = main({ISSUE}); "
        f"print([name for name in {SLOW_IMPORTS} if name in sys.modules], file=sys.stderr); sys.exit(code)"
    )
    command = [sys.executable, "-c", program]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(command, cwd=ROOT, stdout=full, stderr=subprocess.PIPE, text=True, check=False)

    assert (3, "exemplars: The secret cannot be printed (No space left on device), so the key was revoked\n[]\n") == (
        done.returncode,
        done.stderr,
    )
    assert [] == json.loads(path.read_text())["keys"]
