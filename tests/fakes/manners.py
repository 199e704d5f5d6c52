"""Manners: how providers put their answers, other than OpenAI does. Each takes a whole answer and makes it its own."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from fastapi import Response

Body = dict[str, Any]
Manner = Callable[[Body], Body | Response]


def _say(text: Callable[[str], str]) -> Manner:

    def put(body: Body) -> Body:
        message = body["choices"][0]["message"]
        message["content"] = text(message["content"])
        return body

    return put


def _put_message(message: Callable[[str], Body], finish: str = "stop") -> Manner:

    def put(body: Body) -> Body:
        choice = body["choices"][0]
        return body | {
            "choices": [choice | {"message": message(choice["message"]["content"]), "finish_reason": finish}]
        }

    return put


def _tell(usage: Callable[[Body], Any]) -> Manner:
    return lambda body: body | {"usage": usage(body["usage"])}


def _count(count: Callable[[int], Any]) -> Manner:
    return _tell(lambda usage: {name: count(number) for name, number in usage.items()})


def _send(content: str, media_type: str) -> Manner:
    return lambda _: Response(content, media_type=media_type)


def _stream(body: Body) -> Response:
    text = body["choices"][0]["message"]["content"]
    parts = [{"index": 0, "delta": {"content": part}, "finish_reason": None} for part in (text[:20], text[20:])]
    lines = [json.dumps(body | {"object": "chat.completion.chunk", "choices": [part]}) for part in parts]
    return Response("".join(f"data: {line}\n\n" for line in (*lines, "[DONE]")), media_type="text/event-stream")


def _call_tool(text: str) -> Body:
    function = {"name": "reply", "arguments": text}
    return {"role": "assistant", "content": None, "tool_calls": [{"id": "1", "type": "function", "function": function}]}


# What a judge says instead of JSON.
LABEL_ALONE = "the label alone"
# What was asked for, whole; a vote; and no exemplar.
_OTHERS: Mapping[str, Manner] = {
    "tool call": _put_message(_call_tool, "tool_calls"),
    "reasoning_content": _put_message(lambda text: {"role": "assistant", "content": "", "reasoning_content": text}),
    "runs on": _put_message(lambda text: {"role": "assistant", "content": f"{text}\n\n\n"}, "length"),
    "usage as texts": _count(str),
    "usage as floats": _count(float),
    LABEL_ALONE: _say(lambda text: f"**{vote}.**" if (vote := json.loads(text).get("answer")) else text),
    "no JSON": _say(lambda text: text.strip("{}").replace('"', "")),
}
# Whole, with counts of tokens that cannot be believed.
MISCOUNTED: Mapping[str, Manner] = {
    "negative usage": _count(lambda count: -count),
    "huge usage": _count(lambda _: 10**30),
    "no usage": lambda body: {name: part for name, part in body.items() if name != "usage"},
    "no completion_tokens": _tell(lambda _: {"prompt_tokens": 400}),
}
# In a form that cannot be read, and what is said of it.
_NO_COMPLETION = "it is no chat completion in OpenAI's form. Use a server"
MALFORMED: Mapping[str, tuple[Manner, str]] = {
    "content as parts": (
        _put_message(lambda text: {"role": "assistant", "content": [{"type": "text", "text": text}]}),
        _NO_COMPLETION,
    ),
    "usage as words": (_count(lambda _: "many"), _NO_COMPLETION),
    "usage as a list": (_tell(lambda _: [1]), _NO_COMPLETION),
    "streams": (_stream, "it begins with data:"),
    "no choices": (lambda body: {name: part for name, part in body.items() if name != "choices"}, _NO_COMPLETION),
    "null in choices": (lambda body: body | {"choices": [None]}, _NO_COMPLETION),
    "web page": (_send("<html><body>Log in</body></html>", "text/html"), "it begins with <html><body>Log in"),
    "empty body": (_send("", "application/json"), "it is empty. Check EXEMPLARS_SYNTH_API_BASE"),
    "an array": (_send("[1]", "application/json"), "it begins with [1]. Check EXEMPLARS_"),
}
EVERY: Mapping[str, Manner] = {
    **_OTHERS,
    **MISCOUNTED,
    **{name: manner for name, (manner, _) in MALFORMED.items()},
}
