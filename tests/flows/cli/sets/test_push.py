"""``exemplars push``: what it prints, and the codes that it ends with."""

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from fakes.platform import KEY, FakePlatform, refuse, serve_platform
from fakes.stored import HANDLE, attach_set, write_model
from fastapi import Response

from flows.cli.app import main


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


def test_push_says_what_it_sent_and_what_was_there(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert 0 == main(["push", HANDLE, "--to", url])
    assert f"Pushed 4 samples of 1 run of {HANDLE} to {url}/v1\n" == capsys.readouterr().out
    assert 0 == main(["push", HANDLE, "--to", url, "--run", "a"])
    assert "Pushed 0 samples of 1 run" in (said := capsys.readouterr().out)
    assert "4 were there already" in said
    assert 0 == main(["push", HANDLE, "--to", f"{url}/v1", "--json"])
    said = capsys.readouterr().out
    assert {"handle": HANDLE, "to": f"{url}/v1", "runs": 1, "sent": 0, "present": 4, "left_out": 0} == json.loads(said)


@pytest.mark.parametrize(
    ("fate", "code", "said"),
    [
        (refuse(401, "unauthorized"), 3, "EXEMPLARS_PLATFORM_KEY"),
        (refuse(409, "model_busy", "Run r works on it."), 3, "Run r works on it"),
        (Response("down", 503), 3, "answered 503"),
        (refuse(409, "model_not_draft", "It is ready."), 2, "takes no samples: It is ready."),
        (refuse(404, "model_not_found"), 2, "there first"),
        (refuse(422, "invalid_request", "Sample 1: no trait.", index=1), 2, "The text 'a 1'"),
    ],
)
def test_refusal_is_one_message_and_a_code(
    platform: FakePlatform, url: str, capsys: pytest.CaptureFixture[str], fate: Response, code: int, said: str
) -> None:
    platform.fates = [None, fate]

    assert code == main(["push", HANDLE, "--to", url])
    told = capsys.readouterr()
    assert "" == told.out
    assert told.err.startswith("exemplars: ")
    assert 1 == told.err.count("\n")
    assert said in told.err
    assert KEY not in told.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["push", HANDLE], "--to"),
        (["push", HANDLE, "--to", "platform"], "http://"),
        (["push", "No", "--to", "http://127.0.0.1:9"], "is not a handle"),
        (["push", "u22a8.no", "--to", "http://127.0.0.1:9"], "No model"),
        (["push", HANDLE, "--to", "http://127.0.0.1:9", "--run", "b"], "has no set of run 'b'"),
        (["push", HANDLE, "--to", "http://127.0.0.1:9", "--pool", "eval"], "kept apart"),
    ],
)
def test_what_is_wrong_here_is_told_before_anything_is_asked(
    platform: FakePlatform, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    assert 2 == main(arguments)
    assert said in capsys.readouterr().err


def test_key_is_asked_for(
    platform: FakePlatform, url: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("EXEMPLARS_PLATFORM_KEY")

    assert 2 == main(["push", HANDLE, "--to", url])
    assert "EXEMPLARS_PLATFORM_KEY is not set" in capsys.readouterr().err
    monkeypatch.setenv("EXEMPLARS_PLATFORM_KEY", "two words")
    assert 2 == main(["push", HANDLE, "--to", url])
    told = capsys.readouterr().err
    assert "EXEMPLARS_PLATFORM_KEY: found a secret" in told
    assert "two words" not in told
    assert [] == platform.requests


def test_interrupt_ends_with_130_and_the_rest_is_sent_next_time(
    platform: FakePlatform, url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(own: Response) -> Response:
        os.kill(os.getpid(), signal.SIGINT)
        # The answer comes when the command has heard of it.
        time.sleep(1)
        return own

    platform.fates = [None, interrupt]
    # Tests before this one may have left another answer to Ctrl-C.
    earlier = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        assert 130 == main(["push", HANDLE, "--to", url])
    finally:
        signal.signal(signal.SIGINT, earlier)
    assert "The same command goes on from there" in capsys.readouterr().err
    assert 0 == main(["push", HANDLE, "--to", url])
    assert 4 == len(platform.samples)
