"""The newest runs of many models, from Prefect's server in few requests."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from prefect.client.orchestration import SyncPrefectClient

from flows.run.flow_runs import Run, read_run
from flows.run.labels import name_tag

PAGE = 200
Conditions = Mapping[str, Any]


def list_newest(
    client: SyncPrefectClient, flows: Sequence[str], handles: Sequence[str], conditions: Conditions, sort: str
) -> Iterator[list[Run]]:
    """Yields the newest runs of each of some models that has any, in the order of ``sort``.

    Args:
        flows: the names of the flows whose runs count.
        handles: at most ``TAGS_AT_ONCE``.

    Raises:
        httpx.HTTPError: the server does not answer as expected.
    """
    found: dict[str, list[Run]] = {handle: [] for handle in handles}
    page = filter_runs(client, flows, _add_tags(conditions, "any_", handles), sort)
    for run in page:
        found.setdefault(run.handle, []).append(run)
    for handle, runs in found.items():
        if runs:
            yield runs
        elif len(page) == PAGE:
            # The page was full of other models' runs.
            own = filter_runs(client, flows, _add_tags(conditions, "all_", [handle]), sort, 20)
            if own:
                yield own


def filter_runs(
    client: SyncPrefectClient,
    flows: Sequence[str],
    conditions: Conditions,
    sort: str,
    limit: int = PAGE,
    offset: int = 0,
) -> list[Run]:
    """The runs of some flows that fulfil Prefect's conditions.

    Raises:
        httpx.HTTPError: the server does not answer as expected.
    """
    body = {"flows": {"name": {"any_": list(flows)}}, "flow_runs": conditions, "sort": sort}
    now = datetime.now(UTC)
    found = post(client, "/flow_runs/filter", {**body, "limit": limit, "offset": offset})
    return [read_run(item, now) for item in found]


def post(client: SyncPrefectClient, path: Any, body: Mapping[str, Any]) -> Any:
    """What the server answers to a request.

    Raises:
        httpx.HTTPError: it does not answer, or with an error.
    """
    response = client.request("POST", path, json=body)
    response.raise_for_status()
    return response.json()


def _add_tags(conditions: Conditions, how: str, handles: Sequence[str]) -> Conditions:
    before = conditions.get("tags", {})
    tags = [*before.get(how, ()), *map(name_tag, handles)]
    return {**conditions, "tags": {**before, how: tags}}
