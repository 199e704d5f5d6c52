"""Answers: what a provider says to a request, whole or spoiled by a fault, as the bytes that go over the wire."""

import hashlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import formatdate
from typing import Any, Literal

from chaos.faults import Fault, Script
from chaos.ledger import Kind
from fakes.provider import CHOICE, POSITIVE_LABELS, Behaviour, answer, is_vote, read_asked_pole, read_judged, read_texts

from engine.llm.prices import Price

After = Literal["keep", "close", "reset", "hang", "drip"]

TOO_LONG = "This model's maximum context length is 8192 tokens. However, your messages resulted in 9001 tokens."
# Status, type and code, and what is said, as OpenAI, Anthropic, OpenRouter and nginx say it.
REFUSALS: Mapping[Fault, tuple[int, str, str, str]] = {
    "limited": (429, "requests", "rate_limit_exceeded", "Rate limit reached for requests."),
    "limited_seconds": (429, "tokens", "rate_limit_exceeded", "Rate limit reached for tokens."),
    "limited_date": (429, "tokens", "rate_limit_exceeded", "Rate limit reached for tokens."),
    "error_500": (500, "server_error", "server_error", "The server had an error while processing your request."),
    "error_503": (503, "server_error", "overloaded", "The engine is currently overloaded."),
    "error_529": (529, "overloaded_error", "overloaded_error", "Overloaded"),
    "policy": (400, "invalid_request_error", "content_policy_violation", "Your request was rejected."),
    "too_long": (400, "invalid_request_error", "context_length_exceeded", TOO_LONG),
    "wrong_key": (401, "invalid_request_error", "invalid_api_key", "Incorrect API key provided: test."),
    "no_model": (404, "invalid_request_error", "model_not_found", "The model does not exist."),
    "quota_429": (429, "insufficient_quota", "insufficient_quota", "You exceeded your current quota."),
    "quota_402": (402, "insufficient_credits", "402", "Insufficient credits. Add more to go on."),
}
HTML = b"<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body><center>nginx</center></body>\r\n</html>\r\n"
CHARS_PER_TOKEN = 4


@dataclass(frozen=True, slots=True)
class Answer:
    """What is sent, and what happens to the connection then. ``whole``: all that was promised is sent and billed."""

    data: bytes
    after: After = "keep"
    whole: bool = False
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    text_sha256: str = ""

    def cost(self, price: Price) -> float:
        """What the provider charges, in USD."""
        if not self.whole:
            return 0.0
        cached_usd = price.input_usd if price.cached_input_usd is None else price.cached_input_usd
        fresh = price.cost(self.prompt_tokens - self.cached_tokens, self.completion_tokens)
        return fresh + self.cached_tokens * cached_usd


def read_kind(prompt: str) -> Kind:
    """What a prompt asks for."""
    if is_vote(prompt):
        return "vote"
    return "subjects" if re.search(r"Propose \d+ subjects", prompt) else "cell"


def make_answer(
    fault: Fault | None, model: str, prompt: str, script: Script, written: dict[str, str], now: float
) -> Answer:
    """The answer to a prompt.

    Args:
        written: the texts that were written so far and the poles that they were written for, by which votes are cast;
            those of this answer are added.
    """
    if fault in ("hang", "reset_before"):
        return Answer(b"", "hang" if fault == "hang" else "reset")
    if fault == "error_502":
        return Answer(write_response(502, HTML, {"Content-Type": "text/html"}))
    if fault is not None and fault in REFUSALS:
        return _refuse(fault, script, now)
    text = (
        _vote(prompt, written)
        if is_vote(prompt)
        else answer(prompt, Behaviour(style="german" if fault == "german" else "prose"))[0]
    )
    if fault is None:
        written |= dict.fromkeys(read_texts(text), read_asked_pole(prompt))
    return _break_off(fault, _wrap(fault, model, prompt, _spoil(fault, text), script))


def write_response(status: int, body: bytes, headers: Mapping[str, str] = {}) -> bytes:
    """A response of HTTP/1.1."""
    said = {"Content-Type": "application/json", **headers, "Content-Length": str(len(body))}
    lines = [f"HTTP/1.1 {status} ", *(f"{name}: {value}" for name, value in said.items())]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def _refuse(fault: Fault, script: Script, now: float) -> Answer:
    status, kind, code, message = REFUSALS[fault]
    body = {"error": {"message": message, "type": kind, "param": None, "code": code}}
    headers = {}
    if fault == "limited_seconds":
        headers["Retry-After"] = f"{script.retry_after_seconds:g}"
    if fault == "limited_date":
        # A date has whole seconds.
        headers["Retry-After"] = formatdate(math.ceil(now + script.retry_after_seconds), usegmt=True)
    return Answer(write_response(status, json.dumps(body).encode(), headers))


def _spoil(fault: Fault | None, text: str) -> str:
    """The content after a fault of the model itself."""
    if fault in ("empty", "no_choices", "filtered", "refusal"):
        return ""
    if fault == "cut_reply":
        return text[: len(text) // 2]
    if fault == "not_json":
        return "Sure! Here is what you asked for. " + re.sub(r"[{}\[\]]", "", text)
    told = json.loads(text)
    if fault == "wrong_keys":
        told = {"items": [{"content": item} for item in told.values()]}
    if fault == "extra_fields":
        told |= {"confidence": 0.97, "notes": "as asked"}
    return json.dumps(told, ensure_ascii=False)


def _wrap(fault: Fault | None, model: str, prompt: str, text: str, script: Script) -> Answer:
    """The content as a chat completion, with what it is charged for."""
    prompt_tokens = len(prompt.encode()) // CHARS_PER_TOKEN
    tokens = len(text) // CHARS_PER_TOKEN
    cached = prompt_tokens // 2 if script.draw("cached", prompt) < script.cached else 0
    message: dict[str, Any] = {"role": "assistant", "content": text, "refusal": None}
    if fault == "refusal":
        text = "I'm sorry, I can't help with that."
        message |= {"content": None, "refusal": text}
    finish = {"cut_reply": "length", "filtered": "content_filter"}.get(fault or "", "stop")
    total = prompt_tokens + tokens
    usage: dict[str, Any] = {"prompt_tokens": prompt_tokens, "completion_tokens": tokens, "total_tokens": total}
    if cached:
        usage["prompt_tokens_details"] = {"cached_tokens": cached}
    body = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 0,
        "model": model,
        "choices": [] if fault == "no_choices" else [{"index": 0, "message": message, "finish_reason": finish}],
        "usage": usage,
    }
    data = write_response(200, json.dumps(body, ensure_ascii=False).encode())
    return Answer(data, "keep", True, prompt_tokens, cached, tokens, hashlib.sha256(text.encode()).hexdigest())


def _break_off(fault: Fault | None, whole: Answer) -> Answer:
    """The answer after a fault of the line."""
    if fault == "drip":
        return Answer(whole.data, "drip")
    if fault in ("reset_middle", "cut_body"):
        return Answer(whole.data[: len(whole.data) * 3 // 4], "reset" if fault == "reset_middle" else "close")
    return whole


def _vote(prompt: str, written: Mapping[str, str]) -> str:
    """A judge's vote: the pole that the text was written for."""
    positive = written.get(read_judged(prompt)) == "positive"
    said = next(label for label in re.findall(CHOICE, prompt)[-1] if (label in POSITIVE_LABELS) == positive)
    return json.dumps({"answer": said})
