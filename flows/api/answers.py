"""Answers: the objects of the surface, field by field as the platform names them."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from flows.api.errors import Code
from flows.api.runs import Status

State = Literal["draft", "busy", "ready", "failed", "archived"]

RUN_ID_EXAMPLE = "9babac40-1978-4ae0-b765-f30fdb6eb7a4"
HANDLE_EXAMPLE = "u22a8.technical-writing"


class _Answer(BaseModel):
    model_config = ConfigDict(extra="forbid", json_schema_serialization_defaults_required=True)


class ErrorBody(_Answer):
    """Why a request was refused."""

    code: Code = Field(description="A stable word for the kind of refusal.")
    message: str = Field(description="The cause and what to do, for a person.")
    request_id: str = Field(description="The same as the header `X-Request-Id`.")
    details: dict[str, object] = Field(description="What there is to add; empty when there is nothing.")


class ErrorEnvelope(_Answer):
    """Every answer that is not 2xx."""

    error: ErrorBody


class Health(_Answer):
    """The door answers, and so does Prefect's server behind it."""

    status: Literal["ok"]


class SynthesizeAnswer(_Answer):
    """A run was enqueued."""

    state: State = Field(description="The model's state after the call.", examples=["busy"])
    run_id: str | None = Field(description="The id of the Prefect flow run.", examples=[RUN_ID_EXAMPLE])


class Operation(_Answer):
    """The run that works on the model, or the last one that did."""

    kind: Literal["synthesize"]
    run_id: str = Field(examples=[RUN_ID_EXAMPLE])
    status: Status
    started_at: datetime | None = Field(description="When it began to run, in UTC; null while it is queued.")
    progress: Annotated[float, Field(ge=0, le=1)] | None = Field(description="The share that is done.")
    error: str | None = Field(description="Why it failed or was cancelled.")


class ModelAnswer(_Answer):
    """A model and its state."""

    handle: str = Field(examples=[HANDLE_EXAMPLE])
    scoring_method: Literal["balanced_cosine"]
    description: str | None
    state: State
    kind: Literal["scoring"]
    traits: list[str] = Field(description="The names of the traits.", examples=[["Clarity", "Actionability"]])
    current_version_id: int | None
    version_no: int | None
    version_tags: list[str]
    zero_data_retention: bool
    last_operation: Operation | None


class ModelPage(_Answer):
    """Models in the order of their handles."""

    items: list[ModelAnswer]
    next_cursor: str | None = Field(description="Give it as `cursor` for the next page; null on the last one.")
    limit: int


class TraitAnswer(_Answer):
    """A trait with the counts of its samples; the last three fields describe traits that the platform discovers."""

    key: str = Field(examples=["clarity"])
    name: str = Field(examples=["Clarity"])
    description: str
    positive_label: str = Field(examples=["Clear"])
    negative_label: str = Field(examples=["Obscure"])
    sample_count: int = Field(description="All its samples, those between the poles too.")
    positive_samples: int = Field(description="Its samples of quality 1.")
    negative_samples: int = Field(description="Its samples of quality 0.")
    kind: Literal["extrinsic"]
    discrimination: float | None
    explained_variance: float | None
    anchor_sample_ids: dict[str, object] | None


class TraitList(_Answer):
    """The traits of a model, in the order of its definition."""

    traits: list[TraitAnswer]


class SampleAnswer(_Answer):
    """A piece of text with a quality for one trait."""

    id: Annotated[int, Field(ge=0, lt=2**53)]
    trait: str = Field(description="The key of the trait.", examples=["clarity"])
    text: str
    quality: Annotated[float, Field(ge=0, le=1)]
    provenance: Literal["authored", "synthesized", "score_feedback"]
    source_url: str | None
    content_sha256: str = Field(description="SHA-256 of the UTF-8 text, in hexadecimal.")
    created_at: datetime | None = Field(description="Null for authored samples.")


class SamplePage(_Answer):
    """Samples: the authored ones first, then set by set in the order in which they were attached."""

    items: list[SampleAnswer]
    next_cursor: str | None = Field(description="Give it as `cursor` for the next page; null on the last one.")
    limit: int
