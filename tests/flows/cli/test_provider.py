"""``exemplars check`` prints what it finds, and ends with 3 where a model cannot be used."""

import json

import pytest
from fakes.commands import Command
from fakes.ports import find_free_port
from fakes.provider import complete, serve_answers
from fastapi import Request, Response


async def answer(request: Request) -> Response:
    return complete(await request.json(), '{"text": "Oil the chain every other week, and pump the tyres."}')


def test_check_says_what_works_and_what_does_not(run_command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXEMPLARS_SYNTH_MODEL", "openai/gpt-4.1-mini")
    monkeypatch.setenv("EXEMPLARS_SYNTH_API_KEY", "test")
    with serve_answers(answer) as url:
        monkeypatch.setenv("EXEMPLARS_SYNTH_API_BASE", url)
        works = run_command("check", "--effort", "low")
    monkeypatch.setenv("EXEMPLARS_SYNTH_API_BASE", f"http://127.0.0.1:{find_free_port()}/v1")
    away = run_command("check", "u22a8.technical-writing")
    [told] = json.loads(run_command("check", "--json", "--effort", "low").out)

    assert (0, "Asking what a run at effort low would ask\n") == (
        works.code,
        works.err,
    )
    assert "(synth model): works\n  answers as" in works.out
    assert "price of a million  $0.4" in works.out
    assert 3 == away.code
    assert "does not work\n  openai/gpt-4.1-mini at http://127.0.0.1" in away.out
    assert (False, "openai/gpt-4.1-mini") == (told["works"], told["model"])
