"""``exemplars push``: what it prints, and the codes that it ends with."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from fakes.commands import Command
from fakes.platform import KEY, FakePlatform, serve_platform
from fakes.stored import HANDLE, attach_set, write_model


@pytest.fixture
def platform(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakePlatform:
    """A platform, and a store with one set of four samples, that this process is led to."""
    write_model(tmp_path / "models")
    attach_set(tmp_path / "samples", "a")
    monkeypatch.setenv("EXEMPLARS_MODELS_URI", str(tmp_path / "models"))
    monkeypatch.setenv("EXEMPLARS_SAMPLES_URI", str(tmp_path / "samples"))
    monkeypatch.setenv("EXEMPLARS_PLATFORM_KEY", KEY)
    monkeypatch.setenv("EXEMPLARS_PATIENCE_SECONDS", "0")
    return FakePlatform()


@pytest.fixture
def url(platform: FakePlatform) -> Iterator[str]:
    with serve_platform(platform) as served:
        yield served


def test_push_says_what_it_sent_and_twice_adds_nothing(platform: FakePlatform, url: str, run_command: Command) -> None:
    first = run_command("push", HANDLE, "--to", url)
    second = run_command("push", HANDLE, "--to", url, "--run", "a")
    third = run_command("push", HANDLE, "--to", f"{url}/v1", "--json").facts

    assert (0, f"Pushed 4 samples of 1 run of {HANDLE} to {url}/v1\n") == (first.code, first.out)
    assert first.out == second.out
    assert {"handle": HANDLE, "to": f"{url}/v1", "runs": 1, "sent": 4, "left_out": 0} == third
    assert 4 == len(platform.samples)


@pytest.mark.parametrize(
    ("key", "said"),
    [("", "EXEMPLARS_PLATFORM_KEY is not set"), ("two words", "EXEMPLARS_PLATFORM_KEY: found a secret")],
)
@pytest.mark.usefixtures("platform")
def test_what_is_wrong_here_is_told_before_anything_is_asked(
    run_command: Command, monkeypatch: pytest.MonkeyPatch, key: str, said: str
) -> None:
    monkeypatch.setenv("EXEMPLARS_PLATFORM_KEY", key)
    # Nobody listens there, so whoever asks ends with another code.
    ended = run_command("push", HANDLE, "--to", "http://127.0.0.1:9")

    assert (2, True) == (ended.code, said in ended.message)
    assert "two words" not in ended.err
