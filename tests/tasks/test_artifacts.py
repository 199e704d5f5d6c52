"""The order of a run page: the verdict above all others, one artifact of a key however often the run is tried."""

from uuid import UUID

import pytest
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId
from prefect.client.schemas.objects import Artifact
from prefect.client.schemas.sorting import ArtifactSort
from prefect.runtime import flow_run

from tasks.artifacts import change, show

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("prefect_server")]


@flow
async def begin() -> str:
    """A run that has a page."""
    return str(flow_run.get_id())


async def read_page(run_id: str) -> list[Artifact]:
    """The artifacts in the order of Prefect's page."""
    its = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[UUID(run_id)]))
    async with get_client() as client:
        return await client.read_artifacts(artifact_filter=its, sort=ArtifactSort.ID_DESC)


async def test_verdict_stands_first_in_run_after_run() -> None:
    for _ in range(8):
        run_id = await begin()
        await show(run_id, "progress", 0.0, "Getting ready")
        await show(run_id, "estimate", "# Estimate", "Likely cost: nothing")
        await show(run_id, "verdict", "# Verdict", "16 exemplars attached")
        first, *others = [artifact.key for artifact in await read_page(run_id)]

        assert "verdict" == first
        assert ["estimate", "progress"] == sorted(str(key) for key in others)


async def test_run_that_is_tried_again_has_one_of_each_the_last() -> None:
    run_id = await begin()
    for attempt in ("first", "second"):
        await show(run_id, "progress", 50.0, attempt)
        await show(run_id, "verdict", f"# The {attempt}", attempt)
    verdict, progress = await read_page(run_id)

    assert ("verdict", "markdown", "# The second", "second") == (
        verdict.key,
        verdict.type,
        verdict.data,
        verdict.description,
    )
    assert ("progress", "progress", 50.0, "second") == (
        progress.key,
        progress.type,
        progress.data,
        progress.description,
    )


async def test_artifact_is_changed_where_it_stands() -> None:
    run_id = await begin()
    artifact_id = await show(run_id, "progress", 1.0, "Round 1")
    await change(artifact_id, 2.0, "Round 2")
    [artifact] = await read_page(run_id)

    assert (artifact_id, 2.0, "Round 2") == (artifact.id, artifact.data, artifact.description)


async def test_verdict_that_stands_alone_is_shown_without_a_look_at_others() -> None:
    run_id = await begin()
    await show(run_id, "verdict", "# First", "first", alone=True)
    await show(run_id, "verdict", "# Second", "second", alone=True)

    assert 2 == len(await read_page(run_id))
