"""The order of a run page: the verdict above all others, one artifact of a key however often the run is tried."""

from uuid import UUID

import pytest
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import ArtifactCreate
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId
from prefect.client.schemas.objects import Artifact
from prefect.runtime import flow_run

from tasks.artifacts import MAX_DRAWS, MIDDLE, _make, change, show


class Drawing:
    """A server that draws these ids, the last one from then on."""

    def __init__(self, *ids: int) -> None:
        self.drawn: list[int] = []
        self.left: set[int] = set()
        self._ids = list(ids)

    async def create_artifact(self, _: ArtifactCreate) -> Artifact:
        drawn = self._ids.pop(0) if len(self._ids) > 1 else self._ids[0]
        self.drawn.append(drawn)
        self.left.add(drawn)
        return Artifact(id=UUID(int=drawn))

    async def delete_artifact(self, artifact_id: UUID) -> None:
        self.left.remove(artifact_id.int)


# The server draws at random, so its own draws would prove the order only now and then.
@pytest.mark.parametrize(
    ("key", "ids", "draws"),
    [
        ("verdict", (3, 8, 9), 3),
        ("verdict", (9,), 1),
        ("estimate", (MIDDLE, MIDDLE - 1), 2),
        ("progress", (MIDDLE,), MAX_DRAWS),
    ],
)
async def test_artifact_is_made_anew_until_it_stands_where_it_should(
    key: str, ids: tuple[int, ...], draws: int
) -> None:
    server = Drawing(*ids)
    others = [Artifact(id=UUID(int=number)) for number in (5, 8)]
    made = await _make(server, ArtifactCreate(key=key), others)  # type: ignore[arg-type]

    assert (draws, {made.int}) == (len(server.drawn), server.left)
    assert ids[-1] == made.int


@flow
async def begin() -> str:
    """A run that has a page."""
    return str(flow_run.get_id())


@pytest.mark.slow
@pytest.mark.usefixtures("prefect_server")
async def test_run_that_is_tried_again_has_one_of_each_the_last() -> None:
    run_id = await begin()
    for attempt in ("first", "second"):
        progress_id = await show(run_id, "progress", 50.0, attempt)
        await show(run_id, "verdict", f"# The {attempt}", attempt)
    await change(progress_id, 60.0, "Round 2")
    # Where none is looked for there are two.
    await show(run_id, "estimate", "# One", "one")
    await show(run_id, "estimate", "# Two", "two", alone=True)
    its = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[UUID(run_id)]))
    async with get_client() as client:
        page = await client.read_artifacts(artifact_filter=its)

    assert [
        ("estimate", "markdown", "# One", "one"),
        ("estimate", "markdown", "# Two", "two"),
        ("progress", "progress", 60.0, "Round 2"),
        ("verdict", "markdown", "# The second", "second"),
    ] == sorted((str(artifact.key), artifact.type, artifact.data, artifact.description) for artifact in page)
