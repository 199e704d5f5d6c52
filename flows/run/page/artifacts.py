"""The artifacts of a run page: one of each key, however often the run is tried."""

from typing import Literal
from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import ArtifactCreate, ArtifactUpdate
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId, ArtifactFilterKey


async def show(run_id: str, key: Literal["verdict", "progress"], data: str | float, description: str) -> None:
    """Puts an artifact on the page of a flow run: markdown, or a percentage for ``progress``.

    A run that is retried has the artifact already; then it is changed.

    Raises:
        httpx.HTTPError: the server is away, or refuses.
    """
    run, kind = UUID(run_id), "progress" if key == "progress" else "markdown"
    its = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[run]), key=ArtifactFilterKey(any_=[key]))
    async with get_client() as client:
        for artifact in await client.read_artifacts(artifact_filter=its, limit=1):
            await client.update_artifact(artifact.id, ArtifactUpdate(data=data, description=description))
            return
        wanted = ArtifactCreate(key=key, type=kind, data=data, description=description, flow_run_id=run)
        await client.create_artifact(wanted)
