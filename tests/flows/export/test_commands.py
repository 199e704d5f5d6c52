"""The commands ``export`` and ``push``: what they print for people and for programs, and the codes they end with."""

from pathlib import Path

import pytest
from fakes.commands import Command
from fakes.platform import KEY, FakePlatform, serve_platform
from fakes.stored import HANDLE, attach_set, write_model
from fakes.workspace import mount_disk


@pytest.fixture(autouse=True)
def catalogue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model with four samples that are attached and two of a trait that it no longer has; the working folder."""
    write_model(tmp_path / "models")
    attach_set(tmp_path / "samples", "one")
    attach_set(tmp_path / "samples", "older", 2, ("tone",))
    monkeypatch.setenv("EXEMPLARS_MODELS_URI", str(tmp_path / "models"))
    monkeypatch.setenv("EXEMPLARS_SAMPLES_URI", str(tmp_path / "samples"))
    monkeypatch.setenv("EXEMPLARS_PLATFORM_KEY", KEY)
    monkeypatch.setenv("EXEMPLARS_PATIENCE_SECONDS", "0")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_what_was_exported_is_told_and_how_it_is_read(run_command: Command) -> None:
    told = run_command("export", HANDLE, "--to", "synthesized.jsonl", "--format", "platform")
    facts = run_command("export", HANDLE, "--to", "a.csv", "--format", "csv", "--run", "one", "--json").facts

    assert [
        "Exported from u22a8.test: 4 samples of 2 runs, pool train: synthesized.jsonl",
        "Left out: 2 samples of traits that the model no longer has.",
        "Put it into a model's folder, and this into its model.yaml:",
        "",
        "sources:",
        "- type: jsonl",
        "  path: synthesized.jsonl",
    ] == told.out.splitlines()[:7]
    assert (HANDLE, "csv", "a.csv", ["train"]) == tuple(facts[name] for name in ("handle", "format", "to", "pools"))
    assert (1, 4, 0, None) == tuple(facts[name] for name in ("runs", "samples", "left_out", "source"))


def test_what_is_wrong_ends_with_two_and_a_place_that_cannot_be_written_with_three(
    catalogue: Path, run_command: Command
) -> None:
    unknown = run_command("export", HANDLE, "--to", "a", "--format", "xlsx")
    with mount_disk(catalogue / "disk", "ro") as disk:
        closed = run_command("export", HANDLE, "--to", f"{disk}/a", "--format", "hub")

    assert (2, True) == (unknown.code, "'xlsx' is not a format" in unknown.message)
    assert (3, True) == (closed.code, "disk/a cannot be written: Read-only file system. Free space" in closed.message)


def test_push_says_what_it_sent_and_twice_adds_nothing(run_command: Command) -> None:
    platform = FakePlatform()
    with serve_platform(platform) as url:
        first = run_command("push", HANDLE, "--to", url, "--run", "one")
        second = run_command("push", HANDLE, "--to", url)
        third = run_command("push", HANDLE, "--to", f"{url}/v1", "--json").facts

    assert (0, f"Pushed 4 samples of 1 run of {HANDLE} to {url}/v1\n") == (first.code, first.out)
    assert ["Left out: 2 samples of traits that the model no longer has."] == second.out.splitlines()[1:]
    assert {"handle": HANDLE, "to": f"{url}/v1", "runs": 2, "sent": 4, "left_out": 2} == third
    assert 4 == len(platform.samples)


@pytest.mark.parametrize(
    ("key", "said"),
    [("", "EXEMPLARS_PLATFORM_KEY is not set"), ("two words", "EXEMPLARS_PLATFORM_KEY: found a secret")],
)
def test_what_is_wrong_here_is_told_before_anything_is_asked(
    run_command: Command, monkeypatch: pytest.MonkeyPatch, key: str, said: str
) -> None:
    monkeypatch.setenv("EXEMPLARS_PLATFORM_KEY", key)
    # Nobody listens there, so whoever asks ends with another code.
    ended = run_command("push", HANDLE, "--to", "http://127.0.0.1:9")

    assert (2, True) == (ended.code, said in ended.message)
    assert "two words" not in ended.err
