"""The file of keys is its owner's alone, is replaced whole, and is refused where it is not as it was written."""

import json
import os
import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest
from filelock import FileLock

from engine.errors import StoreError
from flows.api.keys.file import change_keys, read_keys
from flows.api.keys.key import Key
from flows.api.keys.keyring import issue_key

ENTRY = {
    "id": "0123456789ab",
    "scope": "scoring",
    "namespaces": ["acme"],
    "created_at": "2026-11-25T12:30:00Z",
    "sha256": "5ec4e7" * 10 + "abcd",
    "label": None,
}
SECRET = "exm_0123456789ab_do-not-show-me"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys.json"


def issue(path: Path) -> Key:
    return issue_key(path, ["acme"], "scoring", datetime(2026, 11, 25, 12, 30, tzinfo=UTC))[0]


def write_entry(**fields: object) -> bytes:
    return json.dumps({"keys": [ENTRY | fields]}).encode()


def test_all_that_is_written_is_for_the_owner_alone_whatever_a_dead_writer_left(tmp_path: Path) -> None:
    path, before = tmp_path / "a" / "b" / "keys.json", os.umask(0)
    key = issue(path)
    path.with_name("keys.json.new").write_text('{"keys": [')
    between = read_keys(path)
    other = issue(path)
    os.umask(before)

    assert ((key,), (key, other)) == (between, read_keys(path))
    assert {"keys.json": 0o600, "keys.json.lock": 0o600} == {
        file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()
    }


def test_link_is_followed_and_stays(path: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.json"
    link.symlink_to(path)
    key = issue(link)

    assert (key,) == read_keys(path) == read_keys(link)
    assert link.is_symlink()


def test_file_held_by_another_is_one_message(path: Path) -> None:
    held = pytest.raises(StoreError, match=r"locked by another command for 0.05 s\. Nothing was changed")
    with FileLock(f"{path}.lock"), held, change_keys(path, timeout_seconds=0.05):
        pass

    assert not path.exists()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b'{"keys": "\xff\xfe"}',
        write_entry(expires_at="2026-12-01T00:00:00Z"),
        write_entry(namespaces=["*"]),
        write_entry(id=SECRET, sha256=SECRET),
        json.dumps({"keys": [ENTRY, ENTRY | {"scope": "authoring"}]}).encode(),
    ],
)
def test_garbage_is_one_message_that_shows_nothing_of_it(path: Path, content: bytes) -> None:
    path.touch(0o600)
    path.write_bytes(content)
    with pytest.raises(StoreError, match=f"^{path} is not a file of keys \\(") as caught:
        read_keys(path)
    said = str(caught.value)

    assert [] == [shown for shown in (SECRET, ENTRY["sha256"], ENTRY["id"]) if str(shown) in said]
    assert (1, None) == (len(said.splitlines()), caught.value.__cause__)
    with pytest.raises(StoreError, match="is not a file of keys"):
        issue(path)
    assert content == path.read_bytes()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o610, 0o602])
def test_file_that_is_open_to_others_is_refused(path: Path, mode: int) -> None:
    key = issue(path)
    path.chmod(mode)
    with pytest.raises(StoreError, match=rf"\(mode {mode:o}\), so no key in it is trusted. Run 'chmod 600"):
        read_keys(path)
    path.chmod(0o400)

    assert (key,) == read_keys(path)


def test_what_is_no_file_in_its_place_is_refused_at_once(path: Path, tmp_path: Path) -> None:
    os.mkfifo(path, 0o600)
    (tmp_path / "file").touch()
    for place, said in ((path, "it is not a regular file"), (tmp_path / "file" / "keys.json", "cannot be used: ")):
        with pytest.raises(StoreError, match=said):
            read_keys(place)
