"""A secret opens the HTTP API until its key is revoked, nothing else does, and nothing but its digest is kept.

The file is its owner's alone, is replaced whole, and is refused where it is not as it was written. Of the command, a
secret stands alone on stdout, words on stderr.
"""

import hashlib
import json
import logging
import os
import re
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from fakes.workspace import ROOT
from filelock import FileLock

from engine.errors import InputError, StoreError
from flows.api.__main__ import main
from flows.api.keys import PUBLIC_NAMESPACES, Key, KeyRing, Scope, change_keys, issue_key, read_keys, revoke_key

NOW = datetime(2026, 11, 25, 12, 30, tzinfo=UTC)
SECRET = "exm_0123456789ab_do-not-show-me"
DIGEST = "5ec4e7" * 10 + "abcd"
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


def issue(path: Path, scope: str = "authoring") -> tuple[Key, str]:
    return issue_key(path, ["acme"], scope, NOW)


@pytest.mark.parametrize(
    ("scope", "namespace", "owns", "reads"),
    [
        ("authoring", "acme", True, True),
        ("authoring", "live", False, True),
        *(("authoring", namespace, False, False) for namespace in ("acm", "acme2", "")),
        ("scoring", "acme", True, True),
    ],
)
def test_scope_and_namespaces_say_what_a_key_may_do(scope: Scope, namespace: str, owns: bool, reads: bool) -> None:
    key = Key("0123456789ab", scope, ("beta", "acme"), NOW, DIGEST)

    for name in (namespace, f"{namespace}.technical-writing"):
        assert (owns, reads) == (key.owns(name), key.may_read(name))
    assert DIGEST not in f"{key!r} {key}"
    assert "reads u22a8, live, bench" == replace(key, scope="scoring", namespaces=PUBLIC_NAMESPACES).rights


def test_digest_and_nothing_else_of_a_secret_is_kept(path: Path) -> None:
    key, secret = issue(path)
    content = path.read_text()

    assert re.fullmatch(rf"exm_{key.id}_[A-Za-z0-9_-]{{43}}", secret)
    assert hashlib.sha256(secret.encode()).hexdigest() == json.loads(content)["keys"][0]["sha256"] == key.sha256
    assert secret[17:] not in content


@pytest.mark.parametrize(
    "wrong",
    [
        *({"namespaces": names} for names in ([], ["acme", "*"], ["acme\n"])),
        {"scope": "admin"},
        *({"label": label} for label in ("two\nlines", "x" * 81)),
    ],
)
def test_bad_input_issues_nothing(path: Path, wrong: dict[str, Any]) -> None:
    [field] = wrong
    with pytest.raises(InputError, match=f"^The key's {field} cannot be .* 'keys issue --help' says what"):
        issue_key(path, **{"namespaces": ["acme"], "scope": "scoring", "now": NOW, **wrong})

    assert [] == list(path.parent.iterdir())


def test_secret_finds_its_key_and_nothing_that_differs_from_one_does(path: Path) -> None:
    (key, secret), (other, another) = issue(path), issue(path, "scoring")
    ring = KeyRing(path)
    changed = [
        secret[:place] + ("b" if letter == "a" else "a") + secret[place + 1 :] for place, letter in enumerate(secret)
    ]
    wrong = ["", key.id, key.sha256, secret[:-1], f"{secret} ", f" {secret}", secret.upper(), secret[4:]]
    odd = [f"exm_{key.id}_{garbage}" for garbage in ("\ud800", "\0", "ü" * 1000)]
    mixed = [f"exm_{key.id}_{another[17:]}", f"exm_{'0' * 12}_{secret[17:]}"]

    assert (key, other) == (ring.find(secret), ring.find(another))
    assert [] == [text for text in (*changed, *wrong, *odd, *mixed) if ring.find(text) is not None]


def test_revoking_by_a_secret_says_so_and_does_not_repeat_it(path: Path) -> None:
    key, secret = issue(path)
    with pytest.raises(InputError, match="That is a secret, not an id") as caught:
        revoke_key(path, f"Bearer {secret}")

    assert secret[17:] not in str(caught.value)
    assert (key,) == read_keys(path)


def test_all_that_is_written_is_for_the_owner_alone_whatever_a_dead_writer_left(tmp_path: Path) -> None:
    path, link, before = tmp_path / "a" / "b" / "keys.json", tmp_path / "link.json", os.umask(0)
    link.symlink_to(path)
    key, _ = issue(link)
    path.with_name("keys.json.new").write_text('{"keys": [')
    between = read_keys(path)
    other, _ = issue(link)
    os.umask(before)

    assert ((key,), (key, other)) == (between, read_keys(link))
    assert {"keys.json": 0o600, "keys.json.lock": 0o600} == {
        file.name: stat.S_IMODE(file.lstat().st_mode) for file in path.parent.iterdir()
    }


def test_file_held_by_another_is_one_message(path: Path) -> None:
    held = pytest.raises(StoreError, match=r"locked by another command for 0.05 s\. Nothing was changed")
    with FileLock(f"{path}.lock"), held, change_keys(path, timeout_seconds=0.05):
        pass

    assert not path.exists()


@pytest.mark.parametrize(
    "fields",
    [
        {"expires_at": "2026-12-01T00:00:00Z"},
        {"namespaces": ["*"]},
        {"sha256": SECRET},
        {"id": SECRET},
        {"label": "\x1b[2J"},
        # Not UTF-8.
        {"label": "\udcff"},
    ],
)
def test_garbage_is_one_message_that_shows_nothing_of_it(path: Path, fields: dict[str, Any]) -> None:
    key, _ = issue(path)
    [entry] = json.loads(path.read_text())["keys"]
    content = json.dumps({"keys": [entry | fields]}, ensure_ascii=False).encode(errors="surrogateescape")
    path.write_bytes(content)
    with pytest.raises(StoreError, match=f"^{path} is not a file of keys \\(") as caught:
        issue(path)
    said = str(caught.value)

    assert [] == [shown for shown in (SECRET, key.sha256, key.id) if shown in said]
    assert (1, None) == (len(said.splitlines()), caught.value.__cause__)
    assert content == path.read_bytes()


def test_file_that_breaks_lets_nobody_in_until_it_is_mended_and_is_logged_once(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    key, secret = issue(path)
    good, ring, seen = path.read_bytes(), KeyRing(path), []
    with caplog.at_level(logging.INFO, logger="flows.api.keys"):
        # All contents have one size and one time, so neither shows that the file changed.
        garbage = b"x" * len(good)
        for content, mode in ((garbage, 0o600), (good, 0o600), (good, 0o640), (good, 0o600), (good, 0o602)):
            path.write_bytes(content)
            path.chmod(mode)
            os.utime(path, ns=(0, 0))
            seen.append({ring.find(secret) for _ in range(3)})
    path.unlink()
    too_open = "open to others than its owner (mode"

    assert [{None}, {key}, {None}, {key}, {None}] == seen
    assert ring.find(secret) is None
    for record, why in zip(caplog.records, ("not a file", f"{too_open} 640)", f"{too_open} 602)"), strict=True):
        assert record.getMessage().startswith(f"No key is accepted. {path} is {why}")
    assert secret not in caplog.text


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
    assert f"Key {key.id}: reads and changes acme, beta; every key reads u22a8, live, bench. " in said
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
