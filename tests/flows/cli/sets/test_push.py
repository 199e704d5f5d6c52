"""``exemplars push``: what it prints, and the codes that it ends with."""

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from fakes.commands import Command
from fakes.platform import KEY, FakePlatform, refuse, serve_platform
from fakes.stored import HANDLE, attach_set, write_model
from fastapi import Response


@pytest.fixture
def platform(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakePlatform:
    """A platform, and a store with one set of four samples, that this process is led to."""
    write_model(tmp_path / "models")
    attach_set(tmp_path / "samples", "a")
    for name, value in {"MODELS_URI": "models", "SAMPLES_URI": "samples"}.items():
        monkeypatch.setenv(f"EXEMPLARS_{name}", str(tmp_path / value))
    monkeypatch.setenv("EXEMPLARS_PLATFORM_KEY", KEY)
    monkeypatch.setenv("EXEMPLARS_PATIENCE_SECONDS", "0")
    return FakePlatform()


@pytest.fixture
def url(platform: FakePlatform) -> Iterator[str]:
    with serve_platform(platform) as served:
        yield served


def test_push_says_what_it_sent_and_what_was_there(url: str, run_command: Command) -> None:
    first = run_command("push", HANDLE, "--to", url)
    second = run_command("push", HANDLE, "--to", url, "--run", "a")
    third = run_command("push", HANDLE, "--to", f"{url}/v1", "--json").facts

    assert (0, f"Pushed 4 samples of 1 run of {HANDLE} to {url}/v1\n") == (first.code, first.out)
    assert "Pushed 0 samples of 1 run" in second.out
    assert "4 were there already" in second.out
    assert {"handle": HANDLE, "to": f"{url}/v1", "runs": 1, "sent": 0, "present": 4, "left_out": 0} == third


@pytest.mark.parametrize(
    ("fate", "code", "said"),
    [
        (refuse(401, "unauthorized"), 3, "EXEMPLARS_PLATFORM_KEY"),
        (refuse(422, "invalid_request", "Sample 1: no trait.", index=1), 2, "The text 'a 1'"),
    ],
)
def test_refusal_is_one_message_and_a_code(
    platform: FakePlatform, url: str, run_command: Command, fate: Response, code: int, said: str
) -> None:
    platform.fates = [None, fate]
    ended = run_command("push", HANDLE, "--to", url)

    assert (code, 1) == (ended.code, ended.err.count("\n"))
    assert said in ended.message
    assert KEY not in ended.err


@pytest.mark.parametrize(
    ("arguments", "key", "said"),
    [
        ((HANDLE, "--to", "platform"), KEY, "http://"),
        (("u22a8.no", "--to", "http://127.0.0.1:9"), KEY, "No model"),
        ((HANDLE, "--to", "http://127.0.0.1:9", "--run", "b"), KEY, "has no set of run 'b'"),
        ((HANDLE, "--to", "http://127.0.0.1:9", "--pool", "eval"), KEY, "kept apart"),
        ((HANDLE, "--to", "http://127.0.0.1:9"), None, "EXEMPLARS_PLATFORM_KEY is not set"),
        ((HANDLE, "--to", "http://127.0.0.1:9"), "two words", "EXEMPLARS_PLATFORM_KEY: found a secret"),
    ],
)
def test_what_is_wrong_here_is_told_before_anything_is_asked(
    platform: FakePlatform,
    run_command: Command,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    key: str | None,
    said: str,
) -> None:
    monkeypatch.delenv("EXEMPLARS_PLATFORM_KEY")
    if key:
        monkeypatch.setenv("EXEMPLARS_PLATFORM_KEY", key)
    ended = run_command("push", *arguments)

    assert (2, []) == (ended.code, platform.requests)
    assert said in ended.message
    assert "two words" not in ended.err


def test_interrupt_ends_with_130_and_the_rest_is_sent_next_time(
    platform: FakePlatform, url: str, run_command: Command
) -> None:
    heard = threading.Event()

    def strike(*_: object) -> None:
        heard.set()
        raise KeyboardInterrupt

    def interrupt(own: Response) -> Response:
        os.kill(os.getpid(), signal.SIGINT)
        # The answer comes when the command has heard of it.
        heard.wait(60)
        return own

    platform.fates = [None, interrupt]
    signal.signal(signal.SIGINT, strike)
    ended = run_command("push", HANDLE, "--to", url)
    again = run_command("push", HANDLE, "--to", url)

    assert (130, True) == (ended.code, "The same command goes on from there" in ended.err)
    assert (0, 4) == (again.code, len(platform.samples))
