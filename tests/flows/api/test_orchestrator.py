"""How the HTTP API asks Prefect: what it reads out of answers, what it sends again, and what it says without one."""

import itertools
import json
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from types import FunctionType
from typing import Any
from uuid import uuid4

import httpx
import pytest
from prefect.client.orchestration import PrefectClient
from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, temporary_settings

from engine.errors import OrchestratorError
from flows.api.orchestrator import ENDED_SHOWN, PAGE, SPACING_SECONDS, Orchestrator, UnsureError
from flows.api.routes.models import MAX_MODELS
from flows.run.labels import HTTP_TAG, LIVE_TYPES, SUSPENDED, TAGS_AT_ONCE, name_tag

HANDLE, OTHER = "u22a8.toolshed", "u22a8.other"
RUN_ID = str(uuid4())
NOW = datetime.now(UTC)
FILTER, CREATE, REVIEW = "/flow_runs/filter", "/deployments/d1/create_flow_run", "/deployments/r1/create_flow_run"
LOOK_UP = "/deployments/name/synthesize/on-demand"
# After this Prefect's own client has no pause.
BUSY, LIMITED, BAD_GATEWAY = (httpx.Response(status, headers={"Retry-After": "0"}) for status in (503, 429, 502))


def make_run(handle: str = HANDLE, state: str = "SCHEDULED", **fields: object) -> dict[str, Any]:
    """A flow run as Prefect's API shows it."""
    run = {"id": str(uuid4()), "parameters": {"handle": handle, "effort": "low"}, "state_type": state, "tags": []}
    return {**run, "expected_start_time": NOW.isoformat(), "state": {"message": "Said."}, **fields}


class Server:
    """Answers each path by what it was given, one after the other and then its last; ``asked`` are the requests.

    ``orchestrator`` asks it.
    """

    orchestrator: Orchestrator

    def __init__(self) -> None:
        self.answers: dict[str, list[Any]] = {}
        self.asked: list[tuple[str, Any]] = []
        self.give(LOOK_UP, {"id": "d1"})

    def give(self, path: str, *fates: Any) -> None:
        """Objects are answers of 200; functions make one of the request's body."""
        known = (httpx.Response, Exception, FunctionType)
        self.answers[path] = [fate if isinstance(fate, known) else httpx.Response(200, json=fate) for fate in fates]

    def answer(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path.removeprefix("/api")
        body = json.loads(request.content) if request.content else None
        self.asked.append((path, body))
        fates = self.answers.get(path, [httpx.Response(404)])
        fate = fates.pop(0) if len(fates) > 1 else fates[0]
        if isinstance(fate, Exception):
            raise fate
        return fate if isinstance(fate, httpx.Response) else fate(body)

    def list_bodies(self, path: str) -> list[Any]:
        """What was asked at a path."""
        return [body for asked, body in self.asked if asked == path]


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    """A server with the deployment."""
    made = Server()
    transport = httpx.MockTransport(made.answer)
    with temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0}):
        async with PrefectClient("http://10.0.0.1:4200/api", httpx_settings={"transport": transport}) as client:
            made.orchestrator = Orchestrator(client, retry_seconds=0.3)
            yield made


async def create(server: Server) -> tuple[str, bool]:
    run, is_new = await server.orchestrator.create_run(HANDLE, "from_traits", "low", "key")
    return run.run_id, is_new


async def test_live_runs_are_grouped_by_model_and_found_by_tag_or_parameter(server: Server) -> None:
    tagged = make_run("", "RUNNING", tags=[name_tag(HANDLE), HTTP_TAG])
    later = make_run(expected_start_time=(NOW + timedelta(hours=1)).isoformat())
    pressed, other = make_run(state="PENDING"), make_run("u22a8.third", "RUNNING")
    suspended = make_run(OTHER, "PAUSED", state_name=SUSPENDED)
    server.give(FILTER, [tagged, pressed, later, suspended, other])
    live = await server.orchestrator.list_live([HANDLE, OTHER])
    [asked] = server.list_bodies(FILTER)

    assert [tagged["id"], pressed["id"]] == [run.run_id for run in live[HANDLE]]
    assert ({HANDLE, OTHER}, []) == ({*live}, live[OTHER])
    assert {"any_": ["synthesize", "review"]} == asked["flows"]["name"]
    assert {"any_": list(LIVE_TYPES)} == asked["flow_runs"]["state"]["type"]
    assert datetime.fromisoformat(asked["flow_runs"]["expected_start_time"]["before_"]) > NOW
    assert ("EXPECTED_START_TIME_DESC", PAGE) == (asked["sort"], asked["limit"])


async def test_full_page_of_live_runs_is_followed_by_those_of_the_models_asked_for(server: Server) -> None:
    handles = [f"u22a8.m{number}" for number in range(TAGS_AT_ONCE + 1)]
    full, own = [make_run("u22a8.crowd", "RUNNING") for _ in range(PAGE)], make_run(handles[-1], "RUNNING")
    server.give(FILTER, full, [own], [own])
    live = await server.orchestrator.list_live(handles)
    tags = [body["flow_runs"]["tags"]["any_"] for body in server.list_bodies(FILTER)[1:]]

    assert [own["id"]] == [run.run_id for run in live[handles[-1]]]
    assert [[name_tag(handle) for handle in part] for part in (handles[:-1], handles[-1:])] == tags


async def test_ended_runs_are_found_behind_a_full_page_too(server: Server) -> None:
    many = [make_run(state="COMPLETED", tags=[name_tag(HANDLE)]) for _ in range(PAGE)]
    old = make_run(OTHER, "FAILED", tags=[name_tag(OTHER)])
    server.give(FILTER, many, [old])
    ended = await server.orchestrator.list_ended([HANDLE, OTHER])
    first, second = server.list_bodies(FILTER)

    assert (PAGE, [old["id"]]) == (len(ended[HANDLE]), [run.run_id for run in ended[OTHER]])
    assert "END_TIME_DESC" == first["sort"]
    assert {"any_": [name_tag(HANDLE), name_tag(OTHER)]} == first["flow_runs"]["tags"]
    assert ({"all_": [name_tag(OTHER)]}, ENDED_SHOWN) == (second["flow_runs"]["tags"], second["limit"])
    assert {"any_": ["synthesize"]} == second["flows"]["name"]


async def test_run_is_found_by_its_id_or_as_the_last_that_was_requested_over_http(server: Server) -> None:
    server.give(FILTER, [make_run(id=RUN_ID, state="COMPLETED")], [], [make_run(id=RUN_ID)], [])
    newest, none = await server.orchestrator.find_newest(HANDLE), await server.orchestrator.find_newest(HANDLE)
    found, unknown = await server.orchestrator.find_run(RUN_ID), await server.orchestrator.find_run(str(uuid4()))
    asked, _, by_id, _ = server.list_bodies(FILTER)

    assert newest is not None
    assert found is not None
    assert (RUN_ID, True, RUN_ID, None, None) == (newest.run_id, newest.over, found.run_id, none, unknown)
    assert ({"all_": [name_tag(HANDLE), HTTP_TAG]}, 1) == (asked["flow_runs"]["tags"], asked["limit"])
    assert "state" not in asked["flow_runs"]
    assert {"id": {"any_": [RUN_ID]}} == by_id["flow_runs"]


async def test_last_progress_of_a_run_counts(server: Server) -> None:
    told: dict[str, list[Any]] = {"right": [37.5, 12], "whole": [100], "none": [0]}
    written = [{"flow_run_id": name, "data": each} for name, data in told.items() for each in data]
    server.give("/artifacts/filter", written)

    assert {} == await server.orchestrator.read_progress([])
    assert {"right": 0.375, "whole": 1.0, "none": 0.0} == await server.orchestrator.read_progress([*told])
    [asked] = server.list_bodies("/artifacts/filter")
    assert ([*told], "UPDATED_DESC") == (asked["artifacts"]["flow_run_id"]["any_"], asked["sort"])


async def test_progress_of_a_whole_page_of_models_is_read_in_parts(server: Server) -> None:
    run_ids = [str(number) for number in range(MAX_MODELS)]

    def answer(body: Any) -> httpx.Response:
        asked = body["artifacts"]["flow_run_id"]["any_"]
        return httpx.Response(200, json=[{"flow_run_id": name, "data": 50} for name in asked][: body["limit"]])

    server.give("/artifacts/filter", answer)

    assert dict.fromkeys(run_ids, 0.5) == await server.orchestrator.read_progress(run_ids)
    assert {PAGE} == {body["limit"] for body in server.list_bodies("/artifacts/filter")}


@pytest.mark.parametrize(
    ("answer", "new"),
    [
        (httpx.Response(201, json=make_run(id=RUN_ID)), True),
        (httpx.Response(200, json=make_run(id=RUN_ID)), False),
        # Two requests of one instant are told 201 both.
        (httpx.Response(201, json=make_run(id=RUN_ID, labels={"exemplars.request": "another's"})), False),
        # The answer to the first of two was lost.
        (lambda body: httpx.Response(200, json=make_run(id=RUN_ID, labels=body["labels"])), True),
    ],
)
async def test_run_of_a_key_is_new_for_whose_request_created_it(server: Server, answer: Any, new: bool) -> None:
    server.give(CREATE, answer)
    made = await create(server)
    [sent] = server.list_bodies(CREATE)
    asked = {"handle": HANDLE, "synth_type": "from_traits", "effort": "low", "only_lacking": False, "review": False}
    asked |= {"strict": False, "refresh": False, "per_pole": None, "batch": "none"}

    assert (RUN_ID, new) == made
    assert asked == sent["parameters"]
    assert ("key", f"{HANDLE} from_traits") == (sent["idempotency_key"], sent["name"])
    assert [name_tag(HANDLE), HTTP_TAG] == sent["tags"]


@pytest.mark.parametrize("fate", [BUSY, LIMITED, BAD_GATEWAY, httpx.ReadError("x")])
async def test_request_is_sent_again_while_the_server_is_busy(server: Server, fate: httpx.Response | Exception) -> None:
    server.give(CREATE, fate, fate, make_run(id=RUN_ID))
    server.give(FILTER, fate, [])

    assert RUN_ID == (await create(server))[0]
    assert {HANDLE: []} == await server.orchestrator.list_live([HANDLE])
    assert ["key"] * 3 == [body["idempotency_key"] for body in server.list_bodies(CREATE)]


@pytest.mark.parametrize(
    ("fate", "kind", "said", "again"),
    [
        (httpx.ConnectError("10.0.0.1"), OrchestratorError, "does not answer (ConnectError)", False),
        (httpx.Response(500), OrchestratorError, "an unexpected 500", False),
        (BUSY, OrchestratorError, "does not answer (it is busy: 503)", True),
        (httpx.ReadTimeout("10.0.0.1"), UnsureError, "is not known", True),
    ],
)
async def test_run_that_could_not_be_created_says_whether_that_is_sure(
    server: Server, fate: httpx.Response | Exception, kind: type[Exception], said: str, again: bool
) -> None:
    server.give(CREATE, fate)
    with pytest.raises(OrchestratorError) as refused:
        await create(server)

    assert (kind, True) == (type(refused.value), said in str(refused.value))
    assert "10.0.0.1" not in str(refused.value)
    assert again == (len(server.list_bodies(CREATE)) > 1)


async def test_reading_that_timed_out_is_sure_and_not_repeated(server: Server) -> None:
    server.give("/health", httpx.ReadTimeout("10.0.0.1"))
    with pytest.raises(OrchestratorError, match=r"does not answer \(ReadTimeout\)"):
        await server.orchestrator.ping()

    assert 1 == len(server.list_bodies("/health"))


async def test_review_is_a_run_of_its_deployment_which_is_named_where_it_is_missing(server: Server) -> None:
    with pytest.raises(OrchestratorError, match=r"no deployment review/on-demand\. 'make serve' makes it"):
        await server.orchestrator.create_review({})
    server.give("/deployments/name/review/on-demand", {"id": "r1"})
    server.give(REVIEW, BUSY, {"id": RUN_ID})

    assert RUN_ID == await server.orchestrator.create_review({"decision": "attach"})
    first, again = server.list_bodies(REVIEW)
    assert first == again
    assert {"decision": "attach"} == first["parameters"]


async def test_next_run_is_created_at_a_distance(server: Server) -> None:
    times = list[float]()

    def note(_: Any) -> httpx.Response:
        times.append(time.monotonic())
        return httpx.Response(201, json=make_run())

    server.give(CREATE, note)
    for _ in range(3):
        await create(server)

    assert [] == [pair for pair in itertools.pairwise(times) if pair[1] - pair[0] < SPACING_SECONDS]
