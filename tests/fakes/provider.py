"""A real OpenAI-compatible server on loopback: it answers by the prompt alone, counts, and can be told to fail.

It decides too, in OpenAI's form and in that of System One, by what litellm's source says of both.
"""

import asyncio
import hashlib
import json
import random
import re
import socket
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

import uvicorn
from fakes.manners import EVERY
from fakes.ports import find_free_port
from fastapi import Request, Response
from fastapi.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from engine.text.words import FUNCTION_WORDS

SEED_SHOWN = re.compile(r"\0The text: (.+?)\n\nAnother subject: ", re.DOTALL)
Served = TypeVar("Served", bound="Provider")
Style = Literal["prose", "german", "same", "empty"]

ESTABLISHED = "01"
PROMPT_TOKENS = 400
COMPLETION_TOKENS = 80
RETRY_AFTER_SECONDS = 0.05
# How sure a decision is.
PROBABILITY = 0.875
# What OpenAI says for a status, and its code for it.
REFUSALS = {
    400: ("We could not parse the JSON body of your request.", "invalid_json"),
    401: ("Incorrect API key provided: sk-…test.", "invalid_api_key"),
    403: ("Country, region, or territory not supported.", "unsupported_country_region_territory"),
    404: ("The model `test` does not exist or you do not have access to it.", "model_not_found"),
    429: ("Rate limit reached for requests.", "rate_limit_exceeded"),
    503: ("The server is currently overloaded.", "overloaded"),
}
SAME_TEXT = "The old harbour crane lifts its last container before the storm closes the quay for the night."

# Of the last message: the words that are asked for, and below them the trait with the label of the pole.
ASKED = re.compile(r"^Length: .*?(\d+) to (\d+) words.*\n.+?: (.+)$", re.MULTILINE)
COUNT = re.compile(r"answer with (\d+) texts")
# The poles of a vote, as its last line gives them.
CHOICE = re.compile(r'^.+?: "(.+)", "(.+)" or "neither"\?$', re.MULTILINE)
# The labels of the positive poles of the workspace's model.
POSITIVE_LABELS = ("Clear", "About safety")

SUBJECT_WORDS = (
    "sourdough ferry orchard violin glacier harbour lantern chimney compost tandem kiosk quarry beehive tunnel "
    "saddle pantry meadow trolley balcony furnace"
).split()
SUBJECT_FORMS = ("a {} in spring", "repairing the {}", "the neighbour's {}", "a {} for rent", "painting a {}")
NOUNS = (
    "baker gardener pilot tailor plumber widow student porter barrel basket bridge bucket cabin candle carpet cellar "
    "cupboard engine fence fiddle goat hammer hedge jacket kettle ladder market mirror mule needle parcel pepper piano "
    "pillow puddle rabbit ribbon river rocket saddle sailor shovel spoon stable statue table temple ticket tower "
    "trumpet tunnel valley village wagon wallet window winter"
).split()
VERBS = (
    "carries cleans covers drops fetches fills finds follows holds hides lifts loads marks mends moves opens paints "
    "pulls pushes reaches sells sketches stops trades tries visits watches weighs"
).split()
PLACES = ("behind beside below near under above across past").split()
ADJECTIVES = (
    "ancient bitter broken calm cheap crooked damp dusty early empty fierce gentle golden heavy hollow honest humble "
    "icy jolly late lonely loud mild muddy narrow noisy odd pale patient polite proud quick quiet rough rusty silent "
    "slow sour spare steep stiff strange sudden sweet tall tame tired wooden yellow young"
).split()
LONG_WORDS = (
    "irrigation plantation navigation cultivation refrigeration ventilation decoration restoration transportation "
    "fermentation pollination germination illumination crystallisation measurement refreshment entertainment "
    "establishment settlement arrangement hospitality elasticity density humidity visibility fertility brightness "
    "freshness darkness sharpness resistance appearance maintenance abundance insurance evidence turbulence patience"
).split()
GERMAN = (
    "Der alte Gärtner trägt den schweren Korb über die nasse Wiese und stellt ihn neben {} ab, weil es gleich regnet.",
    "Am frühen Morgen öffnet die Verkäuferin das Fenster zum Hof, sieht {} und ruft ihrem Bruder etwas zu.",
    "Niemand im Dorf wusste, warum der Müller gestern {} gekauft hatte und wohin er damit gefahren war.",
)
GERMAN_THINGS = (
    "den Brunnen;die Leiter;einen Spaten;die Mühle;den Esel;eine Trompete;das Fass;die Laterne;das Klavier"
).split(";")


@dataclass(frozen=True)
class Behaviour:
    """How the provider answers. Shares are of prompts, chosen by their digest, so that they are the same again.

    ``limited`` prompts fail on their first attempt only; ``malformed``, ``truncated``, ``filtered`` and
    ``unwelcome`` ones (400) always. As a judge it knows the pole that a text was written for; ``misjudged`` texts get
    the other one, ``undecided`` ones neither, and ``placed`` ones whatever stands first. ``manner`` is one of
    ``fakes.manners``. Asked whether a text makes sense it says no of ``senseless`` ones and of such as are no sentence;
    asked anything else it says yes of a share of ``matching`` texts; a share of these answers is ``mistaken``, and with
    ``always_yes`` each is yes. A call takes up to ``seconds``, each prompt its own part of it. With ``hold_after``
    so many calls are answered, and all later ones wait until it is set to None.
    """

    style: Style = "prose"
    malformed: float = 0.0
    truncated: float = 0.0
    filtered: float = 0.0
    limited: float = 0.0
    seconds: float = 0.0
    hold_after: int | None = None
    status: int | None = None
    misjudged: float = 0.0
    undecided: float = 0.0
    placed: float = 0.0
    unwelcome: float = 0.0
    manner: str = ""
    senseless: float = 0.0
    matching: float = 0.0
    mistaken: float = 0.0
    always_yes: bool = False


class Provider:
    """The server's state: how it behaves, which may be changed between runs, and what it has seen.

    A prompt is its messages joined by NUL, so that its SHA-256 is a row's ``prompt_sha256``.
    """

    model = "openai/test"

    def __init__(self, behaviour: Behaviour) -> None:
        self.behaviour = behaviour
        self.url = ""
        self.written: dict[str, str] = {}
        self.forget()

    def forget(self) -> None:
        """Sets everything that is counted to zero, the attempts at each prompt as well."""
        self.calls: Counter[str] = Counter()
        self.limited: Counter[str] = Counter()
        self.roomier: Counter[str] = Counter()
        self.spoiled: Counter[str] = Counter()
        self._spoiled_last: set[str] = set()
        self._most_tokens: dict[str, int] = {}
        self.answers: Counter[str] = Counter()
        self.keys: set[str] = set()
        self.bodies: list[dict[str, Any]] = []
        self.in_flight = 0
        self.most_in_flight = 0
        self._admitted = 0

    @property
    def repeated(self) -> int:
        """Calls of a prompt after its first, but for those after a 429 or a spoiled reply, and those with more room."""
        again = self.limited.total() + self.roomier.total() + self.spoiled.total()
        return self.calls.total() - len(self.calls) - again

    def count_connections(self) -> int:
        """How many connections to it are open, by the word of the system."""
        port = int(self.url.split(":")[2].partition("/")[0])
        lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        return sum(line[1].endswith(f":{port:04X}") and line[3] == ESTABLISHED for line in lines)

    async def complete(self, body: dict[str, Any]) -> Response:
        prompt = read_prompt(body)
        self.calls[prompt] += 1
        room = body.get("max_tokens") or body.get("max_completion_tokens") or 0
        is_roomier = room > self._most_tokens.setdefault(prompt, room)
        self.roomier[prompt] += is_roomier
        self.spoiled[prompt] += prompt in self._spoiled_last and not is_roomier
        self._spoiled_last.discard(prompt)
        self._most_tokens[prompt] = max(room, self._most_tokens[prompt])
        self.bodies.append(body)
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            await self._wait(prompt)
            failure = self._fail(prompt)
            if failure is not None:
                return failure
            self.answers[prompt] += 1
            text, finish = self.vote(prompt) if is_vote(prompt) else answer(prompt, self.behaviour)
            self.note_written(prompt, text)
            spoiled = self.behaviour.malformed + self.behaviour.truncated
            if not is_vote(prompt) and draw(prompt, "spoiled") < spoiled:
                self._spoiled_last.add(prompt)
            if finish == "content_filter" and draw(prompt, "filter") < 0.5:
                return _refuse(400, "Your request was rejected.", "content_policy_violation")
            if "questions" in body:
                return JSONResponse(wrap_decision(body, json.loads(text)))
            said = wrap(body["model"], text, finish, PROMPT_TOKENS, COMPLETION_TOKENS)
            put = EVERY[self.behaviour.manner](said) if self.behaviour.manner else said
            return put if isinstance(put, Response) else JSONResponse(put)
        finally:
            self.in_flight -= 1

    def note_written(self, prompt: str, text: str) -> None:
        asked = ASKED.search(prompt.rpartition("\0")[2])
        # Without a meaning for other prompts.
        pole = "positive" if asked and asked[3] in POSITIVE_LABELS else "negative"
        self.written |= dict.fromkeys(read_texts(text), pole)

    def vote(self, prompt: str) -> tuple[str, str]:
        """A judge's vote: what the text was written for, unless the behaviour has it otherwise for this text."""
        text = prompt.split("<text>\n")[1].split("\n</text>", maxsplit=1)[0]
        share, behaviour = draw(text, "judged"), self.behaviour
        labels = re.findall(CHOICE, prompt)[-1]
        right, wrong = sorted(
            labels, key=lambda label: (label in POSITIVE_LABELS) != (self.written.get(text) == "positive")
        )
        said = right
        if share < behaviour.misjudged:
            said = wrong
        elif share < behaviour.misjudged + behaviour.undecided:
            said = "neither"
        elif share < behaviour.misjudged + behaviour.undecided + behaviour.placed:
            said = labels[0]
        return json.dumps({"answer": said} | self._answer_questions(prompt, text)), "stop"

    def _answer_questions(self, prompt: str, text: str) -> dict[str, str]:
        behaviour, answers = self.behaviour, {}
        is_sentence = text[0].isupper() and text[-1] in ".!?"
        for field in re.findall(r'in the field "(sense|question_\d+)"', prompt):
            is_so = draw(text, field) < behaviour.matching
            if field == "sense":
                is_so = is_sentence and draw(text, field) >= behaviour.senseless
            is_so ^= draw(text, f"mistaken {field}") < behaviour.mistaken
            answers[field] = "yes" if is_so or behaviour.always_yes else "no"
        return answers

    async def _wait(self, prompt: str) -> None:
        self._admitted += 1
        number = self._admitted
        await asyncio.sleep(self.behaviour.seconds * draw(prompt, "seconds"))
        # Another thread changes the behaviour: an event of this loop would not hear of it.
        while self.behaviour.hold_after is not None and number > self.behaviour.hold_after:  # noqa: ASYNC110
            await asyncio.sleep(0.05)

    def _fail(self, prompt: str) -> Response | None:
        behaviour = self.behaviour
        if behaviour.status is not None:
            soon = {"Retry-After": str(RETRY_AFTER_SECONDS)} if behaviour.status in (429, 503) else None
            message, code = REFUSALS.get(behaviour.status, ("An accident.", ""))
            return _refuse(behaviour.status, message, code, headers=soon)
        if draw(prompt, "unwelcome") < behaviour.unwelcome:
            return _refuse(400, "This request is not taken.", "invalid_request_error")
        if self.calls[prompt] == 1 and draw(prompt, "limited") < behaviour.limited:
            self.limited[prompt] += 1
            return _refuse(429, *REFUSALS[429], headers={"Retry-After": str(RETRY_AFTER_SECONDS)})
        return None


@contextmanager
def serve_provider(behaviour: Behaviour = Behaviour()) -> Iterator[Provider]:
    with serve(Provider(behaviour)) as provider:
        yield provider


@contextmanager
def serve(provider: Served) -> Iterator[Served]:
    async def complete(request: Request) -> Response:
        provider.keys.add(request.headers["authorization"].removeprefix("Bearer "))
        return await provider.complete(await request.json())

    with serve_answers(complete) as url:
        provider.url = f"{url}/v1"
        yield provider


def complete(body: dict[str, Any], content: str, model: str = "gpt-4.1-mini-2025-04-14") -> Response:
    """An answer of OpenAI's form; the likeliest tokens only where the request asks for them."""
    choice: dict[str, Any] = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": content}}
    if body.get("logprobs"):
        likeliest = {"token": "W", "logprob": -0.1, "bytes": None}
        choice["logprobs"] = {"content": [{**likeliest, "top_logprobs": [likeliest]}]}
    usage = {"prompt_tokens": 40, "completion_tokens": 20, "total_tokens": 60}
    return JSONResponse(
        {"id": "1", "object": "chat.completion", "created": 1, "model": model, "choices": [choice], "usage": usage}
    )


@contextmanager
def serve_answers(answer: Callable[[Request], Awaitable[Response]]) -> Iterator[str]:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await (await answer(Request(scope, receive)))(scope, receive, send)

    with serve_app(app) as url:
        yield url


@contextmanager
def serve_app(app: Any) -> Iterator[str]:
    with run_server(app) as (_, port):
        yield f"http://127.0.0.1:{port}"


@contextmanager
def run_server(app: Any) -> Iterator[tuple[uvicorn.Server, int]]:
    listener = listen()
    # uvicorn's own configuration of logging would close Prefect's handlers, and wait 5 s for each to send what it has.
    quiet: dict[str, Any] = {"log_config": None, "log_level": "critical", "lifespan": "off"}
    server = uvicorn.Server(uvicorn.Config(app, interface="asgi3", timeout_graceful_shutdown=1, **quiet))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        while not server.started:
            time.sleep(0.01)
        yield server, listener.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(10)


def listen(port: int | None = None) -> socket.socket:
    """A socket that listens on loopback, at a free port where none is given."""
    listener = socket.create_server(("127.0.0.1", port or find_free_port()), backlog=512)
    # asyncio does so only for sockets that it makes itself; without it every answer comes 40 ms late.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def read_prompt(body: Mapping[str, Any]) -> str:
    """The messages, joined such that the SHA-256 is a row's ``prompt_sha256``; a decision as the prompt of a vote."""
    if "questions" in body:
        return read_decision(body)
    return "\0".join(message["content"] for message in body["messages"])


def read_decision(body: Mapping[str, Any]) -> str:
    asked, text = body["questions"], body.get("input") or body["state"]
    choice, *others = asked.values() if "state" in body else asked
    labels = choice["criteria"] if "state" in body else [option["value"] for option in choice["choices"]]
    fields = [*asked][1:] if "state" in body else [other["name"] for other in others]
    lines = ["It: " + ", ".join(f'"{label}"' for label in [*labels][:2]) + ' or "neither"?']
    lines += [f'Say so in the field "{field}"' for field in fields]
    return "\n".join([choice["instructions"], f"<text>\n{text}\n</text>", *lines])


def wrap_decision(body: Mapping[str, Any], said: Mapping[str, str]) -> dict[str, Any]:
    """The answers to a decision in the form in which it was asked; what it is not sure of it holds for neither."""
    usage = {"input_tokens": PROMPT_TOKENS, "output_tokens": 0, "total_tokens": PROMPT_TOKENS}
    sure = {name: PROBABILITY if told != "no" else 1 - PROBABILITY for name, told in said.items()}
    if "state" in body:
        chosen = {"type": "choice", "choice": said["answer"], "probabilities": {said["answer"]: sure.pop("answer")}}
        noul = {name: {"type": "noul", "noul": each} for name, each in sure.items()}
        return {"model": body["model"], "answers": {"answer": {**chosen, "confidence": 0.5}, **noul}, "usage": usage}
    likely = [{"value": said["answer"], "probability": sure.pop("answer")}]
    choice = {"type": "choice", "name": "answer", "choice": said["answer"], "probabilities": likely, "confidence": 0.5}
    predicates = [{"type": "predicate", "name": name, "probability": each} for name, each in sure.items()]
    return {"model": body["model"], "answers": [choice, *predicates], "usage": usage}


def is_vote(prompt: str) -> bool:
    return "<text>" in prompt


def draw(prompt: str, what: str) -> float:
    """A number in [0, 1) that belongs to a prompt."""
    return int.from_bytes(hashlib.sha256(f"{what}\0{prompt}".encode()).digest()[:4], "big") / 2**32


def answer(prompt: str, behaviour: Behaviour) -> tuple[str, str]:
    asked = re.search(r"Propose \d+ (?:subjects|forms|audiences)", prompt)
    text = json.dumps(propose(prompt)) if asked else _write_exemplars(prompt, behaviour)
    share = draw(prompt, "spoiled")
    if behaviour.style == "empty" and not asked:
        return "", "stop"
    if share < behaviour.malformed:
        return text.replace(":", ";", 1), "stop"
    if share < behaviour.malformed + behaviour.truncated:
        return text[: len(text) // 2], "length"
    if share < behaviour.malformed + behaviour.truncated + behaviour.filtered:
        return "", "content_filter"
    return text, "stop"


def propose(prompt: str) -> dict[str, list[str]]:
    every = {
        "subjects": [form.format(word) for form in SUBJECT_FORMS for word in SUBJECT_WORDS],
        "forms": [f"a {word} note" for word in SUBJECT_WORDS],
        "audiences": [f"a friend of the {word}" for word in SUBJECT_WORDS],
    }
    return {
        part: random.Random(prompt).sample(every[part], min(int(count), len(every[part])))
        for count, part in re.findall(r"Propose (\d+) (subjects|forms|audiences)", prompt)
    }


def write_text(key: str, min_words: int, max_words: int) -> str:
    """English sentences that mean nothing, of a length in the middle of the range; another key, other words."""
    source = random.Random(key)
    words: list[str] = []
    while len(words) < (min_words + max_words) // 2:
        first, second, third = source.sample(NOUNS, 3)
        adjective, other = source.sample(ADJECTIVES, 2)
        verb, place = source.choice(VERBS), source.choice(PLACES)
        words += f"The {adjective} {first} {verb} the {second} {place} my {other} {third}.".split()
    return " ".join(words)


def vary_text(seed: str, key: str) -> str:
    """The seed with every content word replaced by another of about its length; another key, other words."""
    source = random.Random(f"{key}/{seed}")

    def replace_word(match: re.Match[str]) -> str:
        word = match[0]
        if word.lower() in FUNCTION_WORDS or len(word) < 3:
            return word
        pool = LONG_WORDS if len(word) > 8 else [*NOUNS, *ADJECTIVES, *VERBS]
        chosen = min(source.sample(pool, 12), key=lambda other: abs(len(other) - len(word)))
        return chosen.capitalize() if word[0].isupper() else chosen

    return re.sub(r"[A-Za-z]+", replace_word, seed)


def read_texts(reply: str) -> list[str]:
    try:
        told = json.loads(reply)
    except ValueError:
        return []
    return [told["text"]] if "text" in told else list(told.get("texts", []))


def _write_exemplars(prompt: str, behaviour: Behaviour) -> str:
    asked = ASKED.search(prompt.rpartition("\0")[2])
    if not asked:
        raise ValueError(f"not a prompt for exemplars: {prompt}")
    seeds, count = SEED_SHOWN.findall(prompt), COUNT.search(prompt)
    texts = [
        vary_text(seeds[-1], f"{prompt}/{number}")
        if seeds and behaviour.style == "prose"
        else _write(f"{prompt}/{number}", int(asked[1]), int(asked[2]), behaviour)
        for number in range(int(count[1]) if count else 1)
    ]
    return json.dumps({"texts": texts} if count else {"text": texts[0]}, ensure_ascii=False)


def _write(key: str, min_words: int, max_words: int, behaviour: Behaviour) -> str:
    if behaviour.style == "same":
        return SAME_TEXT
    if behaviour.style == "german":
        source = random.Random(key)
        return source.choice(GERMAN).format(source.choice(GERMAN_THINGS))
    return write_text(key, min_words, max_words)


def wrap(model: str, text: str, finish: str, prompt_tokens: int, completion_tokens: int) -> dict[str, Any]:
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 0,
        "model": model,
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": finish}],
        "usage": {
            "prompt_tokens": prompt_tokens,
            "completion_tokens": completion_tokens,
            "total_tokens": prompt_tokens + completion_tokens,
        },
    }


def _refuse(status: int, message: str, code: str = "", headers: dict[str, str] | None = None) -> Response:
    error = {"message": message, "type": "invalid_request_error", "param": None, "code": code or str(status)}
    return JSONResponse({"error": error}, status_code=status, headers=headers)
