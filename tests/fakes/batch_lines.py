"""Lines of batches for the tests: a place, a run, and what it asks."""

from collections import Counter
from typing import Any

from engine.llm.batches.account import BatchAccount
from engine.llm.batches.outbox import BatchRun, Outbox, QueuedRequest
from engine.llm.client.prices import Price
from engine.llm.replies.changes import SharedLimit

PLACE = BatchAccount("openai", "openai/gpt-4.1-mini", "http://127.0.0.1:1/v1", "EXEMPLARS_SYNTH", "0123456789abcdef")
PRICED = BatchAccount("openai", "openai/gpt-4.1-mini", None, "EXEMPLARS_SYNTH", "", Price(2e-7, 8e-7))
HANDLE = "u22a8.toolshed"
LIMIT = SharedLimit("backfill-1", 1.0)
BOUND_USD = 0.01


def make_run(plan_id: str = "plan-1", **values: Any) -> BatchRun:
    told = {"run_id": f"run of {plan_id}", "handle": HANDLE, "effort": "high"}
    given: dict[str, Any] = {**told, "params": {"handle": HANDLE}, "inputs": b"\x00job", **values}
    return BatchRun(plan_id=plan_id, **given)


def make_asked(count: int, ceiling_usd: float | None = BOUND_USD, begin: int = 0, size: int = 0) -> list[QueuedRequest]:
    def make_body(number: int) -> dict[str, Any]:
        words = f"{'x' * size}Nummer {number}\u2028“naïve” 🔑\nLength: 20 to 30 words\nClarity: Clear"
        return {"model": "gpt-4.1-mini", "messages": [{"role": "user", "content": words}]}

    return [QueuedRequest(f"key {number}", make_body(number), ceiling_usd) for number in range(begin, begin + count)]


def queue(
    outbox: Outbox,
    count: int,
    plan_id: str = "plan-1",
    place: BatchAccount = PLACE,
    limit: SharedLimit | None = None,
    left_usd: float = 1e9,
) -> int:
    return outbox.queue(make_run(plan_id), place, make_asked(count), left_usd, limit)


def count_lines(outbox: Outbox, plan_id: str) -> Counter[str]:
    """How many lines of a plan are in which state."""
    return Counter(state for state, _ in outbox.list_lines(plan_id).values())


def list_ready(outbox: Outbox) -> list[str]:
    """The ids of the runs whose lines have all ended."""
    return [run.run_id for run in outbox.find_runs() if run.is_ready]
