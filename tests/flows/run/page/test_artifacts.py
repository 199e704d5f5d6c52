"""A run page has one artifact of a key, however often the run is tried."""

from uuid import UUID

import pytest
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId
from prefect.runtime import flow_run

from flows.run.page.artifacts import show


@flow
async def begin() -> str:
    """A run that has a page."""
    return str(flow_run.get_id())


@pytest.mark.slow
@pytest.mark.usefixtures("prefect_server")
async def test_run_that_is_tried_again_has_one_of_each_the_last() -> None:
    run_id = await begin()
    for attempt in ("first", "second"):
        await show(run_id, "progress", 50.0, attempt)
        await show(run_id, "verdict", f"# The {attempt}", attempt)
    await show(run_id, "progress", 60.0, "Round 2")
    its = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[UUID(run_id)]))
    async with get_client() as client:
        page = await client.read_artifacts(artifact_filter=its)

    assert [
        ("progress", "progress", 60.0, "Round 2"),
        ("verdict", "markdown", "# The second", "second"),
    ] == sorted((str(artifact.key), artifact.type, artifact.data, artifact.description) for artifact in page)
