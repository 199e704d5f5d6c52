"""Types of the flows' parameters, with titles that the UI's form shows instead of ``str`` and ``None``."""

from typing import Annotated

from pydantic import Field

from engine.domain.model import HANDLE_MAX_LENGTH, HANDLE_PATTERN, MOST_PER_POLE, NAMESPACE_PATTERN, BatchMode, Effort
from engine.settings import MOST_USD

Handle = Annotated[str, Field(pattern=HANDLE_PATTERN, max_length=HANDLE_MAX_LENGTH)]
ChosenEffort = Annotated[Effort, Field(title="effort")] | Annotated[None, Field(title="the model's own")]
PerPole = (
    Annotated[int, Field(title="samples per pole (below 8 fewer checks)", ge=1, le=MOST_PER_POLE)]
    | Annotated[None, Field(title="the effort's number")]
)
Batch = Annotated[BatchMode, Field(title="batch")]

Handles = Annotated[list[Handle], Field(title="handles")] | Annotated[None, Field(title="no handles")]
Namespace = (
    Annotated[str, Field(title="namespace", pattern=NAMESPACE_PATTERN, max_length=100)]
    | Annotated[None, Field(title="no namespace")]
)
Glob = (
    Annotated[str, Field(title="glob", pattern=r"^[a-z0-9.*?\[\]!-]+$", max_length=128)]
    | Annotated[None, Field(title="no glob")]
)

PartSize = Annotated[int, Field(title="models per part", ge=1, le=500)] | Annotated[None, Field(title="one process")]
MaxCost = (
    Annotated[float, Field(title="cost limit (USD)", gt=0, le=MOST_USD)] | Annotated[None, Field(title="no limit")]
)
