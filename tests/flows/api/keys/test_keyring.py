"""A secret opens the door until its key is revoked, nothing else does, and nothing but its digest is kept."""

import hashlib
import json
import logging
import re
import resource
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import InputError
from flows.api.keys.file import read_keys
from flows.api.keys.key import Key
from flows.api.keys.keyring import KeyRing, issue_key, list_keys, revoke_key

NOW = datetime(2026, 11, 25, 12, 30, tzinfo=UTC)
Clock = Callable[[], float]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys.json"


def later() -> float:
    """A clock by which every file was changed long ago."""
    return time.time() + 60


def issue(path: Path, scope: str = "authoring") -> tuple[Key, str]:
    return issue_key(path, ["acme"], scope, NOW)


def test_secret_has_a_prefix_its_id_and_32_random_bytes(path: Path) -> None:
    key, secret = issue(path)

    assert re.fullmatch(r"exm_[0-9a-f]{12}_[A-Za-z0-9_-]{43}", secret)
    assert f"exm_{key.id}_" == secret[:17]


def test_key_is_listed_as_it_was_issued(path: Path) -> None:
    first, _ = issue_key(path, ["acme", "beta", "acme"], "authoring", NOW, "nightly job")
    second, _ = issue_key(path, ["u22a8"], "scoring", NOW.astimezone(timezone(timedelta(hours=2))))

    assert (first, second) == list_keys(path)
    assert (("acme", "beta"), "authoring", NOW, "nightly job") == (
        first.namespaces,
        first.scope,
        first.created_at,
        first.label,
    )
    assert (("u22a8",), "scoring", NOW, None) == (second.namespaces, second.scope, second.created_at, second.label)


def test_digest_and_nothing_else_of_a_secret_is_kept(path: Path) -> None:
    key, secret = issue(path)
    content = path.read_text()

    assert hashlib.sha256(secret.encode()).hexdigest() == json.loads(content)["keys"][0]["sha256"] == key.sha256
    assert secret[17:] not in content


@pytest.mark.parametrize(
    ("namespaces", "scope", "label", "said"),
    [
        ([], "scoring", None, "A key owns at least one namespace. Name it with --namespace"),
        (["acme", "*"], "scoring", None, "'*' is not a namespace."),
        (["u22a8.technical-writing"], "scoring", None, "'u22a8.technical-writing' is not a namespace"),
        (["acme\n"], "scoring", None, r"'acme\n' is not a namespace"),
        (["a" * 199], "scoring", None, "is not a namespace"),
        (["acme"], "admin", None, "'admin' is not a scope. There are: scoring (read), authoring (read and change)"),
        (["acme"], "scoring", "two\nlines", r"80 printable characters, not 'two\nlines'"),
        (["acme"], "scoring", "x" * 81, "A label is one line of at most 80 printable characters, not 'xxx"),
        (["acme"], "scoring", "half \ud800", "printable characters, not 'half \\ud800'"),
    ],
)
def test_bad_input_issues_nothing(path: Path, namespaces: list[str], scope: str, label: str | None, said: str) -> None:
    with pytest.raises(InputError) as caught:
        issue_key(path, namespaces, scope, NOW, label)

    assert said in str(caught.value)
    assert [] == list(path.parent.iterdir())


def test_longest_namespace_and_label_are_issued_and_a_blank_label_is_none(path: Path) -> None:
    key, _ = issue_key(path, ["a" * 198], "scoring", NOW, f"  {'ü' * 80} ")

    assert ("ü" * 80, (key,)) == (key.label, list_keys(path))
    assert None is issue_key(path, ["acme"], "scoring", NOW, " ")[0].label


def test_issuing_at_once_loses_no_key(path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        issued = list(pool.map(lambda _: issue(path)[0], range(40)))

    assert sorted(key.id for key in issued) == sorted(key.id for key in list_keys(path))


def test_secret_finds_its_key_and_nothing_that_differs_from_one_does(path: Path) -> None:
    (key, secret), (other, another) = issue(path), issue(path, "scoring")
    ring = KeyRing(path)
    wrong = [
        *(
            secret[:place] + ("b" if letter == "a" else "a") + secret[place + 1 :]
            for place, letter in enumerate(secret)
        ),
        *("", key.id, key.sha256, secret[:-1], f"{secret} ", f" {secret}", f"{secret}\0", secret.upper(), secret[4:]),
        f"exm_{key.id}_{another[17:]}",
        f"exm_{'0' * 12}_{secret[17:]}",
    ]

    assert (key, other) == (ring.find(secret), ring.find(another))
    assert [] == [text for text in wrong if ring.find(text) is not None]


@pytest.fixture(scope="module")
def shared_ring(tmp_path_factory: pytest.TempPathFactory) -> tuple[KeyRing, Key]:
    path = tmp_path_factory.mktemp("keys") / "keys.json"
    key, _ = issue(path)
    return KeyRing(path), key


@given(st.one_of(st.text(st.characters(exclude_categories=())), st.binary().map(lambda sent: sent.decode("latin-1"))))
def test_garbage_for_a_secret_finds_nothing_and_raises_nothing(shared_ring: tuple[KeyRing, Key], garbage: str) -> None:
    ring, key = shared_ring

    assert (None, None, None) == (
        ring.find(garbage),
        ring.find(f"exm_{garbage}"),
        ring.find(f"exm_{key.id}_{garbage}"),
    )


@pytest.mark.parametrize("clock", [time.time, later])
def test_live_ring_sees_each_change_at_once(path: Path, clock: Clock) -> None:
    ring = KeyRing(path, clock)
    before = ring.find("exm_")
    issued = [issue(path) for _ in range(3)]
    found = [ring.find(secret) for _, secret in issued]
    revoked = revoke_key(path, issued[1][0].id)
    left = [ring.find(secret) for _, secret in issued]
    listed = list_keys(path)
    path.unlink()

    assert None is before
    assert [key for key, _ in issued] == found
    assert [issued[0][0], None, issued[2][0]] == left
    assert (issued[0][0], issued[2][0]) == listed
    assert (issued[1][0], None) == (revoked, ring.find(issued[0][1]))


def test_changes_within_one_tick_of_the_disk_are_seen(path: Path) -> None:
    key, secret = issue(path)
    ring = KeyRing(path)
    allowed = path.read_bytes()
    refused = allowed.replace(key.id.encode(), b"0" * 12)
    seen = []
    for _ in range(50):
        path.write_bytes(refused)
        seen.append(ring.find(secret))
        path.write_bytes(allowed)
        seen.append(ring.find(secret))

    assert [None, key] * 50 == seen


def test_revoking_what_is_not_there_says_so_and_does_not_repeat_a_secret(path: Path) -> None:
    key, secret = issue(path)
    with pytest.raises(InputError, match=rf"There is no key '000000000000' in {path}. 'keys list' shows all keys"):
        revoke_key(path, "0" * 12)
    with pytest.raises(InputError, match=r"That is a secret, not an id\. The id is the 12 characters after") as caught:
        revoke_key(path, f"Bearer {secret}")

    assert secret[17:] not in str(caught.value)
    assert (key,) == list_keys(path)


@pytest.mark.parametrize("clock", [time.time, later])
def test_file_that_breaks_lets_nobody_in_and_is_logged_once(
    path: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    key, secret = issue(path)
    good = path.read_bytes()
    ring = KeyRing(path, clock)
    with caplog.at_level(logging.INFO, logger="flows.api.keys.keyring"):
        seen = [ring.find(secret)]
        path.write_bytes(b"garbage")
        seen += [ring.find(secret) for _ in range(3)]
        path.write_bytes(good)
        seen += [ring.find(secret)]
        path.chmod(0o644)
        seen += [ring.find(secret) for _ in range(3)]
        path.chmod(0o600)
        seen += [ring.find(secret)]
        path.unlink()
        path.mkdir()
        seen += [ring.find(secret) for _ in range(3)]

    assert [key, *[None] * 3, key, *[None] * 3, key, *[None] * 3] == seen
    garbage, too_open, unusable = (record.getMessage() for record in caplog.records)
    assert garbage.startswith(f"No key is accepted. {path} is not a file of keys (")
    assert too_open.startswith(f"No key is accepted. {path} is open to others than its owner (mode 644)")
    assert unusable.startswith(f"No key is accepted. The keys in {path} cannot be used: Is a directory")
    assert secret not in caplog.text


def test_key_is_found_by_many_threads_while_others_are_issued_and_revoked(path: Path) -> None:
    key, secret = issue(path)
    ring = KeyRing(path)

    def find_often(_: int) -> set[Key | None]:
        return {ring.find(secret) for _ in range(500)}

    with ThreadPoolExecutor(8) as pool:
        found = pool.map(find_often, range(8))
        for _ in range(20):
            other, _ = issue(path)
            revoke_key(path, other.id)
        assert [{key}] * 8 == list(found)
    assert (key,) == read_keys(path)


def test_file_that_could_not_be_read_for_a_moment_is_read_again(path: Path) -> None:
    key, secret = issue(path)
    ring = KeyRing(path, clock=lambda: time.time() + 60)
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, before[1]))
    try:
        meanwhile = ring.find(secret)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)

    assert meanwhile is None
    assert key == ring.find(secret)
