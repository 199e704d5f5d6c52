"""A real server of batches on loopback, in OpenAI's form and in Anthropic's, that can be told to fail and keeps a bill.

It serves live calls too, at the same address; a prompt has the same reply in a batch and live.
"""

import asyncio
import hashlib
import itertools
import json
import re
import threading
import time
from collections import Counter, defaultdict, deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from fakes.provider import PROMPT_TOKENS, REFUSALS, Behaviour, Provider, draw, serve_app, wrap
from fastapi import Request, Response
from fastapi.responses import JSONResponse
from starlette.types import Receive, Scope, Send

Form = Literal["openai", "anthropic"]
Step = Literal["upload", "file", "content", "create", "list", "look", "cancel"]
# What the next request of a step comes to: a status; nothing at all, though it was done (`lost`) or was not
# (`dropped`); or the first half of its answer (`cut`).
Outcome = int | Literal["lost", "dropped", "cut"]
MOST_LINES = 50_000
LINE_SEPARATOR = "\u2028"
WINDOW_SECONDS = 24 * 3600
PROSE = Behaviour()
# Anthropic's names for a status.
KINDS = {400: "invalid_request_error", 401: "authentication_error", 403: "permission_error", 404: "not_found_error"}
KINDS |= {413: "request_too_large", 429: "rate_limit_error", 500: "api_error", 529: "overloaded_error"}
_PATH = re.compile(
    r"/(?:v1|openai(?:/v1)?)/(?P<what>files|batches|messages/batches|.*)"
    r"(?:/(?P<id>[^/]+))??(?:/(?P<step>content|results|cancel))?"
)


@dataclass(frozen=True, slots=True)
class Manner:
    """How batches go that are created under it. Shares are of lines, chosen by the digest of their ``custom_id``.

    A batch ends ``seconds`` after its create, and tells its files ``late_file`` seconds later than that; the list shows
    it after ``list_lag`` seconds. ``ends`` is how: ``failed`` in validation; as ``expired`` it has answers for a share
    of ``answered`` lines, and so has one that is cancelled. ``failed`` lines are answered with ``status``, ``missing``
    ones not at all, ``doubled`` ones twice. With ``empty_ids`` a file that is not there is "" and not null. With
    ``separator`` each text has U+2028 in it, as it is. With ``pending_file`` an uploaded file is looked at first, until
    it is asked for. With ``few_counts`` a batch tells how many lines it has, as a gateway may, and of none what became.
    """

    seconds: float = 60.0
    late_file: float = 0.0
    list_lag: float = 0.0
    ends: Literal["completed", "failed", "expired"] = "completed"
    answered: float = 0.5
    failed: float = 0.0
    status: int = 400
    missing: float = 0.0
    doubled: float = 0.0
    is_shuffled: bool = False
    empty_ids: bool = False
    separator: bool = False
    pending_file: bool = False
    few_counts: bool = False


@dataclass(slots=True)
class Batch:
    """A batch that was accepted: its ``lines`` are the bodies by their ``custom_id``."""

    id: str
    form: Form
    owner: str
    key: str
    lines: Mapping[str, Mapping[str, Any]]
    created: float
    manner: Manner
    told: Mapping[str, Any] = field(default_factory=dict)
    cancelled: float | None = None
    said: str = ""
    # Each line's status and body; None as long as it works.
    answers: dict[str, tuple[int, Any]] | None = None

    @property
    def ends_at(self) -> float:
        return min(self.created + self.manner.seconds, self.cancelled or float("inf"))

    @property
    def outcome(self) -> str:
        if self.cancelled is not None and self.cancelled < self.created + self.manner.seconds:
            return "cancelled"
        return "failed" if self.said else self.manner.ends


class BatchServer:
    """The server's state: what was accepted, what it costs, how the next requests go, and its clock.

    ``manner`` may be changed at any time; it holds for the batches that are created afterwards. ``bodies`` has the
    live calls in Anthropic's form as they came, ``provider.bodies`` all others.
    """

    def __init__(self, behaviour: Behaviour, manner: Manner) -> None:
        self.provider = Provider(behaviour)
        self.manner = manner
        # What is said in place of a status' own words.
        self.words = ""
        self.url = ""
        self.batches: dict[str, Batch] = {}
        self.files: dict[str, tuple[str, str, bytes]] = {}
        self.asked: Counter[str] = Counter()
        self.bodies: list[dict[str, Any]] = []
        self._outcomes: dict[str, deque[Outcome]] = defaultdict(deque)
        self._numbers = itertools.count(1)
        self._offset = 0.0
        self._lock = threading.Lock()

    def clock(self) -> float:
        """Its time in seconds since 1970."""
        return time.time() + self._offset

    def advance(self, seconds: float) -> None:
        self._offset += seconds

    def fail(self, step: Step, *outcomes: Outcome) -> None:
        """What the next requests of a step come to, in order; those after them go well."""
        self._outcomes[step].extend(outcomes)

    @property
    def accepted(self) -> Counter[str]:
        """How many batches were accepted of each key: of the one in its metadata or, in Anthropic's form, SHA-256 of
        its ``custom_id``s, sorted and joined by newlines.
        """
        return Counter(batch.key for batch in self.batches.values())

    @property
    def submitted(self) -> Counter[str]:
        """In how many accepted batches each ``custom_id`` is."""
        return Counter(line for batch in self.batches.values() for line in batch.lines)

    @property
    def billed(self) -> Counter[str]:
        """How often each ``custom_id`` has been billed until now: each time that it got a reply."""
        self.settle()
        settled = [batch.answers or {} for batch in self.batches.values()]
        return Counter(line for answers in settled for line, (status, _) in answers.items() if status == 200)

    def settle(self) -> None:
        """Answers the lines of all batches that have ended, which otherwise the next request for one of them does."""
        with self._lock:
            for batch in list(self.batches.values()):
                if batch.answers is None and self.clock() >= batch.ends_at:
                    # In a thread, since a loop may run in this one.
                    with ThreadPoolExecutor(1) as thread:
                        batch.answers = thread.submit(asyncio.run, self._answer_lines(batch)).result()

    async def handle(self, request: Request) -> Response | None:
        """The answer to a request; None breaks the connection."""
        asked = re.fullmatch(_PATH, request.url.path)
        if asked is None:
            return _refuse("openai", 404)
        form: Form = "anthropic" if asked["what"].startswith("messages") else "openai"
        if not asked["what"].endswith(("files", "batches")):
            return await self._answer_live(form, await request.json())
        step = _name_step(request.method, asked["what"], asked["id"], asked["step"])
        self.asked[step] += 1
        outcome = self._outcomes[step].popleft() if self._outcomes[step] else None
        if isinstance(outcome, int):
            return _refuse(form, outcome, self.words)
        if outcome == "dropped":
            return None
        await asyncio.to_thread(self.settle)
        answer = await self._do(step, form, request, asked["id"] or "")
        if outcome == "cut":
            half = Response(bytes(answer.body)[: len(answer.body) // 2])
            half.headers["content-length"] = str(len(answer.body))
            return half
        return None if outcome == "lost" else answer

    async def _do(self, step: Step, form: Form, request: Request, number: str) -> Response:
        owner = _read_key(request)
        if step == "upload":
            return await self._keep_file(owner, request)
        if step == "file":
            return self._tell_file(number)
        if step == "create":
            return await self._create(form, owner, request)
        if step == "list":
            return self._list(form, owner, request.query_params)
        if step == "content" and form == "openai":
            return self._give_file(owner, number)
        batch = self.batches.get(number)
        if batch is None or (batch.owner, batch.form) != (owner, form):
            return _refuse(form, 404, f"No batch found with id '{number}'.")
        if step == "content":
            return Response("".join(self._write_results(batch))) if batch.answers is not None else _refuse(form, 404)
        if step == "cancel":
            if batch.answers is not None:
                return _refuse(form, 409 if form == "openai" else 400, "It has ended.")
            batch.cancelled = batch.cancelled or self.clock()
            await asyncio.to_thread(self.settle)
        return JSONResponse(self._tell(batch))

    async def _keep_file(self, owner: str, request: Request) -> Response:
        async with request.form() as form:
            sent = form["file"]
            if isinstance(sent, str) or form["purpose"] != "batch":
                return _refuse("openai", 400)
            number = f"file-{next(self._numbers)}"
            self.files[number] = (owner, sent.filename or "", await sent.read())
        return self._tell_file(number, "pending" if self.manner.pending_file else "processed")

    def _tell_file(self, number: str, status: str = "processed") -> Response:
        _, name, content = self.files[number]
        told = {"id": number, "object": "file", "bytes": len(content), "created_at": int(self.clock())}
        return JSONResponse(told | {"filename": name, "purpose": "batch", "status": status})

    def _give_file(self, owner: str, number: str) -> Response:
        """A file that was uploaded, or one of a batch that has ended."""
        kept = self.files.get(number)
        if kept is not None:
            return Response(kept[2]) if kept[0] == owner else _refuse("openai", 404)
        kind, _, of = number.partition("-")
        batch = self.batches.get(of)
        if batch is None or batch.owner != owner or batch.answers is None:
            return _refuse("openai", 404, f"No such File object: {number}")
        return Response("".join(self._write_file(batch, kind)))

    async def _create(self, form: Form, owner: str, request: Request) -> Response:
        body = await request.json()
        said, key, told = "", "", {}
        if form == "anthropic":
            rows = [(line["custom_id"], line["params"]) for line in body["requests"]]
            key = hashlib.sha256("\n".join(sorted(line for line, _ in rows)).encode()).hexdigest()
            if len(dict(rows)) < len(rows) or any(not re.fullmatch(r"[\w-]{1,64}", line) for line, _ in rows):
                return _refuse(form, 400, "requests.0.custom_id: it has to be unique, of 1 to 64 characters.")
            has_beta = "structured-outputs" in request.headers.get("anthropic-beta", "")
            for _, params in rows:
                if "anthropic-beta" in params or ("output_format" in params and not has_beta):
                    return _refuse(form, 400, "requests.0.params: Extra inputs are not permitted.")
        else:
            file = self.files.get(body["input_file_id"])
            if file is None or file[0] != owner or body["completion_window"] != "24h":
                return _refuse(form, 400, "Invalid input_file_id.")
            lines = [json.loads(line) for line in file[2].split(b"\n") if line]
            rows = [(line["custom_id"], line["body"]) for line in lines]
            key = "".join((body.get("metadata") or {}).values())
            told = {name: body.get(name) for name in ("endpoint", "input_file_id", "metadata", "completion_window")}
            said = "Validation of the file failed." if self.manner.ends == "failed" else ""
            if len(dict(rows)) < len(rows) or len({row["model"] for _, row in rows}) > 1 or len(rows) > MOST_LINES:
                said = "The lines are too many, of two models, or not unique."
            elif {line["url"] for line in lines} != {body["endpoint"]}:
                said = "The URL of a line does not match the batch's endpoint."
        number = f"{'batch' if form == 'openai' else 'msgbatch'}_{next(self._numbers)}"
        batch = Batch(number, form, owner, key, dict(rows), self.clock(), self.manner, told, said=said)
        self.batches[number] = batch
        return JSONResponse(self._tell(batch))

    def _list(self, form: Form, owner: str, asked: Mapping[str, str]) -> Response:
        now, after = self.clock(), asked.get("after") or asked.get("after_id")
        mine = [batch for batch in self.batches.values() if (batch.form, batch.owner) == (form, owner)]
        shown = [batch for batch in reversed(mine) if now >= batch.created + batch.manner.list_lag]
        numbers = [batch.id for batch in shown]
        with suppress(KeyError, ValueError):
            shown = shown[: numbers.index(asked["before_id"])]
        if after:
            shown = shown[numbers.index(after) + 1 :]
        limit = int(asked.get("limit", 20))
        if limit > (100 if form == "openai" else 1000):
            return _refuse(form, 400, "limit is too large")
        page = shown[:limit]
        ends = {"first_id": page[0].id if page else None, "last_id": page[-1].id if page else None}
        listed = {"object": "list", "data": [self._tell(batch) for batch in page], **ends}
        return JSONResponse(listed | {"has_more": len(shown) > limit})

    def _tell(self, batch: Batch) -> dict[str, Any]:
        """A batch as its form has it; while it works, with nothing of its end."""
        if batch.form == "anthropic":
            return self._tell_anthropic(batch)
        ended, absent = batch.answers is not None, "" if batch.manner.empty_ids else None
        status = batch.outcome if ended else "in_progress" if self.clock() > batch.created + 1 else "validating"
        has_files = ended and not batch.said and self.clock() >= batch.ends_at + batch.manner.late_file
        output, errors = (has_files and any(self._write_file(batch, kind)) for kind in ("output", "error"))
        statuses = [status for status, _ in (batch.answers or {}).values()]
        done = statuses.count(200)
        counts = {} if batch.manner.few_counts else {"completed": done, "failed": len(statuses) - done}
        return {
            "id": batch.id,
            "object": "batch",
            **batch.told,
            "errors": {"object": "list", "data": [{"code": "invalid", "message": batch.said, "line": 1}]}
            if ended and batch.said
            else None,
            "status": status,
            "output_file_id": f"output-{batch.id}" if output else absent,
            "error_file_id": f"error-{batch.id}" if errors else absent,
            "created_at": int(batch.created),
            "expires_at": int(batch.created + WINDOW_SECONDS),
            "request_counts": {"total": len(batch.lines), **counts},
        }

    def _tell_anthropic(self, batch: Batch) -> dict[str, Any]:
        ended = batch.answers is not None
        statuses = Counter(_name_result(batch, line) for line in batch.lines) if ended else Counter()
        names = ("succeeded", "errored", "canceled", "expired")
        counts = {"processing": 0 if ended else len(batch.lines), **{name: statuses[name] for name in names}}
        return {
            "id": batch.id,
            "type": "message_batch",
            "processing_status": "ended" if ended else "in_progress",
            "request_counts": counts,
            "ended_at": _write_time(batch.ends_at) if ended else None,
            "created_at": _write_time(batch.created),
            "expires_at": _write_time(batch.created + WINDOW_SECONDS),
            "archived_at": None,
            "cancel_initiated_at": _write_time(batch.cancelled) if batch.cancelled else None,
            "results_url": f"{self.url}/v1/messages/batches/{batch.id}/results" if ended else None,
        }

    def _write_file(self, batch: Batch, kind: str) -> Iterator[str]:
        """The lines of an output file or of an error file: where a batch did not complete, the latter has the rest."""
        answers = batch.answers or {}
        for line in _order(batch):
            status, body = answers.get(line, (0, None))
            if (status == 200) != (kind == "output"):
                continue
            response = {"status_code": status, "request_id": "", "body": body} if status else None
            code = "batch_expired" if batch.outcome == "expired" else "batch_cancelled"
            error = None if status else {"code": code, "message": "This request could not be executed."}
            told = {"id": f"batch_req_{line[:8]}", "custom_id": line, "response": response, "error": error}
            yield json.dumps(told, ensure_ascii=False) + "\n"

    def _write_results(self, batch: Batch) -> Iterator[str]:
        for line in _order(batch):
            status, body = (batch.answers or {}).get(line, (0, None))
            kind, result = _name_result(batch, line), {}
            if status:
                result = {"message": body} if status == 200 else {"error": body}
            yield json.dumps({"custom_id": line, "result": {"type": kind, **result}}, ensure_ascii=False) + "\n"

    async def _answer_lines(self, batch: Batch) -> dict[str, tuple[int, Any]]:
        """The status and body of each line that the batch got to, by its ``custom_id``."""
        if batch.said:
            return {}
        manner, answers = batch.manner, {}
        for line, body in batch.lines.items():
            left_out = batch.outcome != "completed" and draw(line, "answered") >= manner.answered
            if left_out or draw(line, "missing") < manner.missing:
                continue
            failed = draw(line, "failed") < manner.failed
            came = _refuse(batch.form, manner.status) if failed else await self._answer_live(batch.form, body)
            told = json.loads(bytes(came.body))
            if manner.separator and came.status_code == 200:
                told = json.loads(re.sub(r"(?<=[a-z]) (?=[a-z])", LINE_SEPARATOR, json.dumps(told), count=1))
            answers[line] = (came.status_code, told)
        return answers

    async def _answer_live(self, form: Form, body: Mapping[str, Any]) -> Response:
        """What the provider says to one request, live or in a batch."""
        if form == "openai":
            return await self.provider.complete(dict(body))
        self.bodies.append(dict(body))
        said = [*body.get("system", ()), *body["messages"]]
        messages = [{"content": _join(part.get("text") or part.get("content"))} for part in said]
        asked = {"model": body["model"], "messages": messages, "max_tokens": body["max_tokens"]}
        came = await self.provider.complete(asked)
        told = json.loads(bytes(came.body))
        if came.status_code != 200 and told["error"]["code"] == "content_policy_violation":
            told = wrap(body["model"], "", "content_filter", PROMPT_TOKENS, 0)
        elif came.status_code != 200:
            return _refuse(form, came.status_code, told["error"]["message"])
        return JSONResponse(_put_anthropic(body, told))


def _order(batch: Batch) -> Sequence[str]:
    """The lines as the files have them: in order or shuffled, without those that are missing, some of them twice."""
    lines = [line for line in batch.lines if draw(line, "missing") >= batch.manner.missing]
    lines += [line for line in lines if draw(line, "doubled") < batch.manner.doubled]
    return sorted(lines, key=lambda line: draw(line, "order")) if batch.manner.is_shuffled else lines


def _name_result(batch: Batch, line: str) -> str:
    if line in (batch.answers or {}):
        return "succeeded" if (batch.answers or {})[line][0] == 200 else "errored"
    return "canceled" if batch.outcome == "cancelled" else "expired"


def _put_anthropic(body: Mapping[str, Any], told: Mapping[str, Any]) -> dict[str, Any]:
    """A chat completion in Anthropic's form: in a tool's input where the request forces one, else as text."""
    choice, usage = told["choices"][0], told["usage"]
    text, finish = choice["message"]["content"], choice["finish_reason"]
    content: dict[str, Any] = {"type": "text", "text": text}
    if body.get("tool_choice"):
        with suppress(ValueError):
            name = body["tool_choice"]["name"]
            content = {"type": "tool_use", "id": "toolu_1", "name": name, "input": json.loads(text)}
    stop = {"length": "max_tokens", "content_filter": "refusal"}.get(finish, "end_turn")
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": body["model"],
        "content": [content] if text else [],
        "stop_reason": "tool_use" if content["type"] == "tool_use" else stop,
        "stop_sequence": None,
        "usage": {"input_tokens": usage["prompt_tokens"], "output_tokens": usage["completion_tokens"]},
    }


def _join(content: Any) -> str:
    return content if isinstance(content, str) else "\n".join(part["text"] for part in content)


def _name_step(method: str, what: str, number: str | None, step: str | None) -> Step:
    if step in ("content", "results"):
        return "content"
    if step == "cancel":
        return "cancel"
    if what == "files":
        return "file" if number else "upload"
    return "create" if method == "POST" else "look" if number else "list"


def _read_key(request: Request) -> str:
    """The key under the header that each form has for it."""
    bearer = request.headers.get("authorization", "").removeprefix("Bearer ")
    return request.headers.get("x-api-key") or request.headers.get("api-key") or bearer


def _write_time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


def _refuse(form: Form, status: int, message: str = "") -> Response:
    said, code = REFUSALS.get(status, ("An accident.", str(status)))
    error: dict[str, Any] = {"message": message or said, "type": KINDS.get(status, "api_error")}
    if form == "anthropic":
        return JSONResponse({"type": "error", "error": error}, status_code=status)
    return JSONResponse({"error": {**error, "param": None, "code": code}}, status_code=status)


@contextmanager
def serve_batches(behaviour: Behaviour = PROSE, manner: Manner = Manner()) -> Iterator[BatchServer]:
    """Serves batches and live calls: OpenAI's form at ``url``/v1, Azure's and Anthropic's at ``url``."""
    server = BatchServer(behaviour, manner)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        answer = await server.handle(Request(scope, receive))
        if answer is not None:
            await answer(scope, receive, send)
        else:
            # No message of ASGI breaks a connection.
            send.__self__.transport.abort()  # type: ignore[attr-defined]

    with serve_app(app) as url:
        server.url, server.provider.url = url, f"{url}/v1"
        yield server
