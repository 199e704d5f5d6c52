"""The tools and resources in a session of the SDK's own client: schemas, answers, and the door's words for refusals."""

from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from fakes.agent import open_agent
from fakes.surface import ARCHIVED, BROKEN, PRIVATE, PUBLIC, SEEDED, UNKNOWN, read_settings_of
from fakes.workspace import HANDLE, Workspace
from jsonschema import Draft202012Validator
from mcp.shared.exceptions import MCPError
from mcp.types import INVALID_PARAMS

from engine.domain.model import EFFORTS
from engine.settings import Settings
from flows.api.app import make_app
from flows.api.keys.keyring import issue_key
from flows.tools_server.identity import identify

TOOLS = (
    "list_models get_model list_traits list_samples add_samples delete_sample synthesize_samples "
    "plan_synthesis get_run validate_model"
).split()
ONE = {"trait": "clarity", "text": "Press the button.", "quality": 1}
TWO = {"samples": [ONE, {**ONE, "quality": 2}]}
# A tool, its arguments, and how the door is asked the same.
SAME_AS_THE_DOOR: list[tuple[str, dict[str, Any], str, Any]] = [
    ("get_model", {"handle": UNKNOWN}, f"GET /models/{UNKNOWN}", None),
    ("list_traits", {"handle": "u22a8/x"}, "GET /models/u22a8%2Fx/traits", None),
    ("list_traits", {"handle": ".."}, "GET /models/%2E%2E/traits", None),
    ("list_samples", {"handle": HANDLE, "trait": "x"}, f"GET /models/{HANDLE}/samples?trait=x", None),
    ("add_samples", {"handle": HANDLE, **TWO}, f"POST /models/{HANDLE}/samples", TWO),
    ("delete_sample", {"handle": HANDLE, "sample_id": 5.0}, f"DELETE /models/{HANDLE}/samples/5", None),
    # Prefect's server is away.
    ("synthesize_samples", {"handle": HANDLE}, f"POST /models/{HANDLE}/samples/synthesize", {}),
]


async def test_tools_have_the_platforms_names_and_schemas_that_say_what_is_what(settings: Settings) -> None:
    async with open_agent(settings) as agent:
        tools = {tool.name: tool for tool in (await agent.client.list_tools()).tools}
        instructions = agent.client.instructions or ""
    asked, adding = (tools[name].input_schema for name in ("synthesize_samples", "add_samples"))
    changing = {name for name, tool in tools.items() if tool.annotations and not tool.annotations.read_only_hint}
    for tool in tools.values():
        for schema in (tool.input_schema, tool.output_schema):
            assert schema is not None
            Draft202012Validator.check_schema(schema)
            assert ("object", False) == (schema["type"], "components" in str(schema))
        undescribed = [name for name, told in tool.input_schema["properties"].items() if not told.get("description")]
        assert [] == undescribed, tool.name

    assert {*TOOLS} == set(tools)
    assert (["handle"], ["handle", "synth_type", "effort"]) == (asked["required"], list(asked["properties"]))
    assert list(EFFORTS) == asked["properties"]["effort"]["anyOf"][0]["enum"]
    assert ["trait", "text", "quality"] == adding["properties"]["samples"]["items"]["required"]
    assert {"add_samples", "delete_sample", "synthesize_samples"} == changing
    assert instructions.endswith("This session reads and changes every namespace.")


async def test_refusals_are_the_doors_to_the_letter(settings: Settings) -> None:
    """The door itself is asked the same over HTTP."""
    identity = identify(settings)
    app = make_app(settings, find_key=identity.find_key)
    headers = {"Authorization": f"Bearer {identity.secret}"}
    said, expected = [], []
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1", headers=headers) as door,
        open_agent(settings) as agent,
    ):
        for tool, arguments, asked, body in SAME_AS_THE_DOOR:
            method, path = asked.split()
            said.append((tool, await agent.fail(tool, **arguments)))
            expected.append((tool, (await door.request(method, f"/v1{path}", json=body)).json()["error"]))
    for _, error in (*said, *expected):
        del error["request_id"]

    assert expected == said
    # This machine's own user is found by its own secret alone.
    assert identity.find_key("exm_000000000000_x\udc80") is None
    assert identity.secret not in repr(identity)
    assert "orchestrator_unavailable" == said[-1][1]["code"]


async def test_what_the_door_is_not_asked_is_refused_in_its_manner(settings: Settings) -> None:
    asked: list[tuple[str, dict[str, Any], str, str]] = [
        ("synthesize_samples", {"handle": HANDLE, "efort": "low"}, "invalid_request", "has no argument 'efort'"),
        ("get_model", {}, "invalid_request", "handle is missing"),
        ("get_model", {"handle": ""}, "invalid_handle", "'' is not a handle"),
        ("list_samples", {"handle": HANDLE, "trait": {}}, "invalid_request", "trait is an object. Send a text"),
        ("get_run", {"run_id": "x"}, "not_found", "There is no run x"),
        ("plan_synthesis", {"handle": HANDLE, "effort": "huge"}, "invalid_request", "effort is 'huge'"),
        ("plan_synthesis", {"handle": ARCHIVED}, "model_not_draft", "is archived"),
    ]
    async with open_agent(settings) as agent:
        for tool, arguments, code, message in asked:
            error = await agent.fail(tool, **arguments)
            assert (code, True) == (error["code"], message in error["message"]), error


async def test_key_permits_here_what_it_permits_at_the_door_until_it_is_revoked(workspace: Workspace) -> None:
    path = workspace.folder / "keys.json"
    _, secret = issue_key(path, ["u22a8"], "scoring", datetime.now(UTC))
    reader = read_settings_of(workspace, {"EXEMPLARS_KEYS_FILE": str(path), "EXEMPLARS_MCP_KEY": secret})
    asked: list[tuple[str, dict[str, Any], str]] = [
        ("synthesize_samples", {"handle": HANDLE}, "forbidden"),
        ("add_samples", {"handle": HANDLE, "samples": [ONE]}, "forbidden"),
        ("list_traits", {"handle": PRIVATE}, "model_not_found"),
        *((tool, {"handle": PUBLIC}, "forbidden") for tool in ("list_samples", "plan_synthesis", "validate_model")),
    ]
    async with open_agent(reader) as agent:
        codes = [(await agent.fail(tool, **arguments))["code"] for tool, arguments, _ in asked]
        own = await agent.call("list_samples", handle=HANDLE, limit=1)
        cards = {card.name for card in (await agent.client.list_resources()).resources}
        with pytest.raises(MCPError, match="model_not_found: There is no model"):
            await agent.client.read_resource(f"exemplars://models/{PRIVATE}")
        instructions = agent.client.instructions or ""
        path.write_text('{"keys": []}')
        revoked = await agent.fail("list_traits", handle=HANDLE)

    assert [code for _, _, code in asked] == codes
    assert ("unauthorized", 1) == (revoked["code"], len(own["items"]))
    assert ({HANDLE, PUBLIC}, set()) == (cards & {HANDLE, PUBLIC}, cards & {PRIVATE})
    assert instructions.endswith("This session reads u22a8; reads live, bench like every key.")


async def test_machines_user_reads_every_namespace_its_cards_and_its_mistakes(settings: Settings) -> None:
    async with open_agent(settings) as agent:
        samples = await agent.call("list_samples", handle=PRIVATE, trait="clarity", limit=2)
        right, wrong = [await agent.call("validate_model", handle=handle) for handle in (HANDLE, BROKEN)]
        listed = {card.uri: card for card in (await agent.client.list_resources()).resources}
        [template] = (await agent.client.list_resource_templates()).resource_templates
        [card] = (await agent.client.read_resource(f"exemplars://models/{HANDLE}")).contents
        with pytest.raises(MCPError, match="There is no resource") as refused:
            await agent.client.read_resource("exemplars://runs/1")

    assert 2 == len(samples["items"])
    assert (True, [], False) == (right["valid"], right["mistakes"], wrong["valid"])
    assert [(f"{BROKEN}/model.yaml", "traits")] == [(item["file"], item["field"]) for item in wrong["mistakes"]]
    assert {PRIVATE, HANDLE, BROKEN} < {card.name for card in listed.values()}
    assert "Whether notes about the work in a shed" in (listed[f"exemplars://models/{HANDLE}"].description or "")
    assert "exemplars://models/{handle}" == template.uri_template
    assert ("text/markdown", True) == (card.mime_type, f"# {HANDLE}" in getattr(card, "text", ""))
    assert INVALID_PARAMS == refused.value.code


async def test_plan_tells_the_cost_and_what_a_run_would_fail_at(workspace: Workspace) -> None:
    priced = read_settings_of(workspace, {"EXEMPLARS_SYNTH_MODEL": "openai/gpt-4.1-mini"})
    missing = read_settings_of(workspace, {"EXEMPLARS_SYNTH_MODEL": "embedded//nowhere/at/all.gguf"})
    async with open_agent(priced) as agent:
        plan = await agent.call("plan_synthesis", handle=SEEDED, effort="low")
    async with open_agent(missing) as agent:
        error = await agent.fail("plan_synthesis", handle=SEEDED, effort="low")

    assert 0 < plan["cost_usd"]["low"] <= plan["cost_usd"]["likely"] <= plan["cost_usd"]["high"]
    assert [("clarity", "positive", 4), ("clarity", "negative", 4)] == [
        (quota["trait"], quota["pole"], quota["wanted"]) for quota in plan["quotas"][:2]
    ]
    assert plan["summary"].startswith("Estimate: ")
    assert "synthesize_samples" in plan["next"]
    assert [] == list(workspace.samples.rglob("*"))
    assert "invalid_request" == error["code"]
    assert "…/all.gguf cannot be read" in error["message"]
