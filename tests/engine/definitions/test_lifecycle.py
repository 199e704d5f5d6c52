"""A lifecycle that cannot be understood is an error, never a draft; and only a draft takes samples."""

import json
from pathlib import Path
from typing import get_args

import pytest

from engine.definitions.lifecycle import Lifecycle, check_draft, read_lifecycle
from engine.domain.model import State
from engine.errors import DefinitionError, FrozenModelError

HANDLE = "u22a8.test"


def write(models: Path, content: str | bytes) -> None:
    folder = models / HANDLE
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "lifecycle.json").write_bytes(content if isinstance(content, bytes) else content.encode())


def test_state_is_what_the_file_says_and_a_draft_where_there_is_none(tmp_path: Path) -> None:
    (tmp_path / HANDLE).mkdir()
    assert Lifecycle("draft", None, None, ()) == read_lifecycle(f"{tmp_path}/", HANDLE)
    write(tmp_path, '{"state": "ready", "version_id": 3, "version_no": 1, "version_tags": ["a"], "by": "trainer"}')
    assert Lifecycle("ready", 3, 1, ("a",)) == read_lifecycle(str(tmp_path), HANDLE)


@pytest.mark.parametrize(
    ("content", "mistakes"),
    [
        (b"\xff\xfe", {"file": "'\ufffd\ufffd'"}),
        ("[" * 100_000, {"file": f"'{'[' * 78}…"}),
        ("[]", {"file": "a list of 0"}),
        ('{"state": "ready", "version_no": true}', {"version_no": "True"}),
        ('{"state": "ready", "version_tags": [1]}', {"version_tags.0": "1"}),
        ('{"state": "Ready", "version_id": "3"}', {"state": "'Ready'", "version_id": "'3'"}),
    ],
)
def test_file_that_does_not_say_the_state_is_an_error_that_names_the_fields(
    tmp_path: Path, content: str | bytes, mistakes: dict[str, str]
) -> None:
    write(tmp_path, content)
    with pytest.raises(DefinitionError) as caught:
        check_draft(str(tmp_path), HANDLE)

    assert mistakes == {problem.field: problem.found for problem in caught.value.problems}
    assert {f"{HANDLE}/lifecycle.json"} == {problem.file for problem in caught.value.problems}
    assert len(mistakes) == 1 or "ready" == caught.value.problems[0].suggestion


def test_only_a_draft_and_a_failed_model_take_samples(tmp_path: Path) -> None:
    for state in get_args(State):
        write(tmp_path, json.dumps({"state": state}))
        if state in ("draft", "failed"):
            check_draft(str(tmp_path), HANDLE)
            continue
        with pytest.raises(FrozenModelError, match=rf"^{HANDLE} is '{state}', not a draft .* Nothing was removed$"):
            check_draft(str(tmp_path), HANDLE, "Nothing was removed")


def test_what_is_no_file_of_the_folder_is_a_mistake_and_never_a_draft(tmp_path: Path) -> None:
    (tmp_path / HANDLE).mkdir()
    (tmp_path / HANDLE / "lifecycle.json").symlink_to("gone.json")
    with pytest.raises(DefinitionError, match="found a folder, or a link to nothing; allowed: a file"):
        read_lifecycle(str(tmp_path), HANDLE)
