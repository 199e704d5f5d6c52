"""The provider of the chaos rounds: what each fault looks like to a client, and what the ledger says of it."""

from pathlib import Path
from typing import Any, get_args

import httpx
import pytest
from chaos.faults import Fault, OfTheModel, Outage, Script, Turn, load_script
from chaos.ledger import GONE, Entry
from chaos.provider import ChaosProvider, serve_chaos
from fakes.waiting import wait_until

# A fault for each call in turn, as the timeline has it.
STATUSES: dict[Fault, int] = {
    **dict.fromkeys(("limited", "limited_seconds", "limited_date", "quota_429"), 429),
    **{"error_500": 500, "error_502": 502, "error_503": 503, "error_529": 529},
    **{"policy": 400, "too_long": 400, "wrong_key": 401, "no_model": 404, "quota_402": 402},
}
CONTENTS: tuple[Fault, ...] = (*get_args(OfTheModel), "cut_reply", "refusal")
BROKEN: tuple[Fault, ...] = ("reset_before", "reset_middle", "cut_body")
SILENT: tuple[Fault, ...] = ("hang", "drip")
PLAYED: tuple[Fault, ...] = (*STATUSES, *CONTENTS, *BROKEN, *SILENT)
SCRIPT = Script(
    turns=tuple(Turn(fault, number, number) for number, fault in enumerate(PLAYED, start=1)),
    retry_after_seconds=7,
    cached=1.0,
)
PROMPT = "Length: 10 to 20 words\nClarity: Clear"


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a client gets of each fault, then of none; the ledger under ``entries``."""
    with serve_chaos(tmp_path_factory.mktemp("provider"), SCRIPT) as provider:
        answers: dict[str, Any] = {name: ask(provider, str(number)) for number, name in enumerate([*PLAYED, "none"])}
        wait_until(lambda: len(provider.read()) == len(PLAYED) + 1, 10, "the ledger is whole")
        return answers | {"entries": {entry.fate: entry for entry in provider.read()}}


def ask(provider: ChaosProvider, prompt: str = "") -> httpx.Response | httpx.HTTPError:
    messages = [{"role": "system", "content": prompt}, {"role": "user", "content": PROMPT}]
    try:
        body = {"model": "gpt-4.1-mini", "messages": messages}
        return httpx.post(f"{provider.url}/chat/completions", json=body, timeout=0.5)
    except httpx.HTTPError as error:
        return error


def test_faults_are_what_they_are_called(seen: dict[str, Any]) -> None:
    kinds = {fault: type(seen[fault]) for fault in (*BROKEN, *SILENT)}

    assert STATUSES == {fault: seen[fault].status_code for fault in STATUSES}
    assert [200] * len(CONTENTS) == [seen[fault].status_code for fault in CONTENTS]
    assert "insufficient_quota" == seen["quota_429"].json()["error"]["code"]
    assert {False, True} == {"retry-after" in seen[fault].headers for fault in ("limited", "limited_seconds")}
    assert all(issubclass(kinds[fault], httpx.ReadError | httpx.RemoteProtocolError) for fault in BROKEN)
    assert [httpx.ReadTimeout] * 2 == [kinds[fault] for fault in SILENT]


def test_ledger_bills_what_was_sent_whole(seen: dict[str, Any]) -> None:
    entries: dict[str, Entry] = seen["entries"]
    usage = seen["none"].json()["usage"]
    answered = entries["answered"]

    assert {"answered", GONE, *STATUSES, *CONTENTS, *BROKEN} == entries.keys()
    assert {"answered", *CONTENTS} == {fate for fate, entry in entries.items() if entry.billed}
    assert (usage["prompt_tokens"], usage["completion_tokens"]) == (answered.prompt_tokens, answered.completion_tokens)
    assert usage["prompt_tokens_details"]["cached_tokens"] == answered.cached_tokens > 0
    # USD a million tokens of openai/gpt-4.1-mini: .4 in, .1 of them cached, 1.6 out.
    fresh = answered.prompt_tokens - answered.cached_tokens
    cost = (0.4 * fresh + 0.1 * answered.cached_tokens + 1.6 * answered.completion_tokens) / 1e6
    assert cost == pytest.approx(answered.cost_usd)


def test_faults_are_drawn_by_seed_prompt_and_attempt() -> None:
    script = load_script(Script(seed=3, shares={"limited": 0.2, "hang": 0.1}, turns=(Turn("empty", 5, 5),)).dump())
    drawn = [script.choose(str(digest), 1, 0) for digest in range(2000)]

    assert drawn == [script.choose(str(digest), 1, 9) for digest in range(2000)]
    assert drawn != [script.choose(str(digest), 2, 9) for digest in range(2000)]
    assert 0.17 < drawn.count("limited") / 2000 < 0.23
    assert "empty" == script.choose("0", 1, 5)


def test_outage_ends_connections_and_refuses_new_ones(tmp_path: Path) -> None:
    # Down from its second call on, for a while: nobody listens; from its third, all is 503.
    with serve_chaos(tmp_path, Script(outages=(Outage(2, 0.5), Outage(3, 60.0, refused=False)))) as away:
        answers = [ask(away), ask(away), ask(away)]
        wait_until(away.listens, 10, "it is back")
        later = ask(away)

    assert isinstance(answers[0], httpx.Response)
    assert isinstance(answers[1], httpx.ReadError | httpx.RemoteProtocolError)
    assert isinstance(answers[2], httpx.ConnectError)
    assert isinstance(later, httpx.Response)
    assert [200, 503] == [answers[0].status_code, later.status_code]
