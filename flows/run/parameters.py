"""Types of the flows' parameters, with titles that the UI's form shows instead of ``str`` and ``None``."""

from typing import Annotated

from pydantic import Field

from engine.domain.model import HANDLE_MAX_LENGTH, HANDLE_PATTERN, MOST_PER_POLE, NAMESPACE_PATTERN, BatchMode, Effort
from engine.settings import MOST_USD

Handle = Annotated[str, Field(pattern=HANDLE_PATTERN, max_length=HANDLE_MAX_LENGTH)]
ChosenEffort = Annotated[Effort, Field(title="one of these")] | Annotated[None, Field(title="the model's own")]
PerPole = (
    Annotated[int, Field(title="so many (below 8 fewer checks)", ge=1, le=MOST_PER_POLE)]
    | Annotated[None, Field(title="the effort's number")]
)
Batch = Annotated[BatchMode, Field(title="by tomorrow, at about half the price")]

Unnamed = Annotated[None, Field(title="none by this")]
Handles = Annotated[list[Handle], Field(title="these")] | Unnamed
Namespace = Annotated[str, Field(title="this", pattern=NAMESPACE_PATTERN, max_length=100)] | Unnamed
Glob = Annotated[str, Field(title="this", pattern=r"^[a-z0-9.*?\[\]!-]+$", max_length=128)] | Unnamed

PartSize = (
    Annotated[int, Field(title="so many models a part", ge=1, le=500)] | Annotated[None, Field(title="one process")]
)
MaxCost = (
    Annotated[float, Field(title="so much", gt=0, le=MOST_USD)] | Annotated[None, Field(title="no limit together")]
)
