"""The artifacts of a run page: one of each key, the verdict above all others."""

from collections.abc import Sequence
from typing import Literal
from uuid import UUID

from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.actions import ArtifactCreate, ArtifactUpdate
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId
from prefect.client.schemas.objects import Artifact

Key = Literal["verdict", "estimate", "progress"]

FIRST: Key = "verdict"
PROGRESS: Key = "progress"
# The page shows a run's artifacts by id, the greatest first, and the server draws ids at random (docs/decisions/027).
# So the others are made anew until theirs lies in the lower half, and the verdict until its own is above all of them:
# two draws each on average. After so many an artifact stays where it is.
MAX_DRAWS = 12
MIDDLE = 1 << 127


async def show(run_id: str, key: Key, data: str | float, description: str, alone: bool = False) -> UUID:
    """Puts an artifact on the page of a flow run: markdown, or a percentage for ``progress``.

    A run that is retried has the artifact already; then it is changed.

    Args:
        alone: whether the run has no artifact as yet, so that none has to be looked for.

    Raises:
        httpx.HTTPError: the server is away, or refuses.
    """
    async with get_client() as client:
        its = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[UUID(run_id)]))
        found = [] if alone else await client.read_artifacts(artifact_filter=its)
        for artifact in found:
            if artifact.key == key:
                await _update(client, artifact.id, data, description)
                return artifact.id
        kind = "progress" if key == PROGRESS else "markdown"
        wanted = ArtifactCreate(key=key, type=kind, data=data, description=description, flow_run_id=UUID(run_id))
        return await _make(client, wanted, [artifact for artifact in found if artifact.key])


async def change(artifact_id: UUID, data: str | float, description: str) -> None:
    """Changes an artifact that ``show`` has put on a page; raises what ``show`` raises."""
    async with get_client() as client:
        await _update(client, artifact_id, data, description)


async def _update(client: PrefectClient, artifact_id: UUID, data: str | float, description: str) -> None:
    await client.update_artifact(artifact_id, ArtifactUpdate(data=data, description=description))


async def _make(client: PrefectClient, wanted: ArtifactCreate, others: Sequence[Artifact]) -> UUID:
    made = await client.create_artifact(wanted)
    for _ in range(MAX_DRAWS - 1):
        if _stands_right(made, wanted.key == FIRST, others):
            break
        await client.delete_artifact(made.id)
        made = await client.create_artifact(wanted)
    return made.id


def _stands_right(made: Artifact, is_first: bool, others: Sequence[Artifact]) -> bool:
    if is_first:
        return all(made.id.int > other.id.int for other in others)
    return made.id.int < MIDDLE
