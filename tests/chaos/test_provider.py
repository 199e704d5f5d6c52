"""The provider of the chaos rounds: what each fault looks like to a client, and what the ledger says of it."""

from typing import Any, get_args

import httpx
import pytest
from chaos.faults import Fault, OfTheModel, Outage, Script
from chaos.provider import BROKEN, GONE, REFUSALS, ChaosProvider, serve_chaos
from fakes.waiting import wait_until

STATUSES: dict[Fault, int] = {fault: refusal[0] for fault, refusal in REFUSALS.items()} | {"error_502": 502}
CONTENTS: tuple[Fault, ...] = (*get_args(OfTheModel), "cut_reply", "refusal")
SILENT: tuple[Fault, ...] = ("hang", "drip")
PLAYED: tuple[Fault, ...] = (*STATUSES, *CONTENTS, *BROKEN, *SILENT)
PROMPT = "Length: 10 to 20 words\nClarity: Clear"


def ask(provider: ChaosProvider, prompt: str = "") -> httpx.Response | httpx.HTTPError:
    messages = [{"role": "system", "content": prompt}, {"role": "user", "content": PROMPT}]
    try:
        body = {"model": "gpt-4.1-mini", "messages": messages}
        return httpx.post(f"{provider.url}/chat/completions", json=body, timeout=0.5)
    except httpx.HTTPError as error:
        return error


def test_faults_are_what_they_are_called_and_billed_is_what_was_sent_whole() -> None:
    seen: dict[str, Any] = {}
    with serve_chaos(Script(cached=1.0)) as provider:
        seen["none"] = ask(provider, "none")
        for fault in PLAYED:
            provider.script = Script(shares={fault: 1.0}, cached=1.0)
            seen[fault] = ask(provider, fault)
        wait_until(lambda: len(provider.entries) == len(seen), 10, "the ledger is whole")
    billed = {entry.fate: entry.cost_usd for entry in provider.entries if entry.billed}
    usage = seen["none"].json()["usage"]
    cached = usage["prompt_tokens_details"]["cached_tokens"]
    # USD a million tokens of openai/gpt-4.1-mini: .4 in, .1 of them cached, 1.6 out.
    cost = (0.4 * (usage["prompt_tokens"] - cached) + 0.1 * cached + 1.6 * usage["completion_tokens"]) / 1e6

    assert STATUSES | dict.fromkeys(CONTENTS, 200) == {
        fault: seen[fault].status_code for fault in (*STATUSES, *CONTENTS)
    }
    assert all(isinstance(seen[fault], httpx.ReadError | httpx.RemoteProtocolError) for fault in BROKEN)
    assert [httpx.ReadTimeout] * 2 == [type(seen[fault]) for fault in SILENT]
    assert {"answered", GONE, *STATUSES, *CONTENTS, *BROKEN} == {entry.fate for entry in provider.entries}
    assert {"answered", *CONTENTS} == billed.keys()
    assert cached > 0
    assert cost == pytest.approx(billed["answered"])


def test_faults_are_drawn_by_seed_prompt_and_attempt() -> None:
    script = Script(seed=3, shares={"limited": 0.2, "hang": 0.1})
    drawn, again = ([script.choose(str(digest), attempt) for digest in range(2000)] for attempt in (1, 2))

    assert drawn == [script.choose(str(digest), 1) for digest in range(2000)]
    assert drawn != again
    assert 0.17 < drawn.count("limited") / 2000 < 0.23


def test_outage_ends_connections_and_refuses_new_ones() -> None:
    # Down from its second call on, for a while: nobody listens; from its third, all is 503.
    with serve_chaos(Script(outages=(Outage(2, 0.5), Outage(3, 60.0, refused=False)))) as away:
        answers = [ask(away), ask(away), ask(away)]
        wait_until(away.listens, 10, "it is back")
        later = ask(away)

    assert isinstance(answers[1], httpx.ReadError | httpx.RemoteProtocolError)
    assert isinstance(answers[2], httpx.ConnectError)
    assert [200, 503] == [answer.status_code for answer in (answers[0], later) if isinstance(answer, httpx.Response)]
