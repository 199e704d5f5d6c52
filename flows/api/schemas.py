"""JSON objects of the API's responses, with the platform's field names."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from engine.domain.model import State
from flows.api.errors import Code
from flows.run.flow_runs import Status

RUN_ID_EXAMPLE = "9babac40-1978-4ae0-b765-f30fdb6eb7a4"
SAMPLE_ID_EXAMPLE = 8028196843172301
HANDLE_EXAMPLE = "u22a8.technical-writing"


class Answer(BaseModel):
    """JSON object of a response: it always has all of its fields and no others."""

    model_config = ConfigDict(extra="forbid", json_schema_serialization_defaults_required=True)


class ErrorBody(Answer):
    """The reason for refusing a request."""

    code: Code = Field(description="A stable word for the kind of refusal.")
    message: str = Field(description="The cause and what to do, for a person.")
    request_id: str = Field(description="The same as the header `X-Request-Id`.")
    details: dict[str, object] = Field(description="What there is to add; empty when there is nothing.")


class ErrorEnvelope(Answer):
    """Every answer that is not 2xx."""

    error: ErrorBody = Field(description="Why the request was refused.")


class Health(Answer):
    """The HTTP API answers, and so does Prefect's server behind it."""

    status: Literal["ok"] = Field(description="Never anything else: where something is wrong the status is 503.")


class SynthesizeAnswer(Answer):
    """A run was enqueued."""

    state: State = Field(description="The model's state after the call.", examples=["busy"])
    run_id: str | None = Field(description="The id of the Prefect flow run.", examples=[RUN_ID_EXAMPLE])


class Operation(Answer):
    """The run that works on the model, or else the last one."""

    kind: Literal["synthesize"] = Field("synthesize", description="What the run does.")
    run_id: str = Field(description="The id of the Prefect flow run.", examples=[RUN_ID_EXAMPLE])
    status: Status = Field(description="The last three are final.")
    started_at: datetime | None = Field(description="When it began to run, in UTC; null while it is queued.")
    progress: Annotated[float, Field(ge=0, le=1)] | None = Field(
        description="The share that is done; null where it is not known."
    )
    error: str | None = Field(description="Why it failed or was cancelled, else null.")


class ModelAnswer(Answer):
    """A model and its state."""

    handle: str = Field(description="Its name, `<namespace>.<name>`.", examples=[HANDLE_EXAMPLE])
    scoring_method: Literal["balanced_cosine"] = Field("balanced_cosine", description="How the platform scores by it.")
    description: str | None = Field(description="One line on what it judges.")
    state: State = Field(
        description="`busy` while a run works on it; `draft` and `failed` (a draft whose last run did not complete) "
        "take samples; `ready` and `archived` do not."
    )
    kind: Literal["scoring"] = Field("scoring", description="Every model is of this kind.")
    traits: list[str] = Field(description="The names of the traits.", examples=[["Clarity", "Actionability"]])
    current_version_id: int | None = Field(description="The id of its trained version; null before it was trained.")
    version_no: int | None = Field(description="The number of that version, from 1.")
    version_tags: list[str] = Field(description="The names that version goes by.")
    zero_data_retention: bool = Field(False, description="Whether the platform keeps none of the texts that it scores.")
    last_operation: Operation | None = Field(
        description="The run that works on it, or the last one that did; null where none ever has."
    )


class ModelPage(Answer):
    """Models in the order of their handles."""

    items: list[ModelAnswer] = Field(description="The models of this page.")
    next_cursor: str | None = Field(description="Give it as `cursor` for the next page; null on the last one.")
    limit: int = Field(description="Maximum number of items on a page, as requested.")


class TraitAnswer(Answer):
    """A trait with the counts of its samples; the last three fields describe traits that the platform discovers."""

    key: str = Field(description="Its name for programs.", examples=["clarity"])
    name: str = Field(description="Its name for people.", examples=["Clarity"])
    description: str = Field(description="What it asks of a text.")
    positive_label: str = Field(description="What a text of quality 1 is called.", examples=["Clear"])
    negative_label: str = Field(description="What a text of quality 0 is called.", examples=["Obscure"])
    sample_count: int = Field(description="All its samples, including those between the poles.")
    positive_samples: int = Field(description="Its samples of quality 1.")
    negative_samples: int = Field(description="Its samples of quality 0.")
    kind: Literal["extrinsic"] = Field("extrinsic", description="Defined by its author, not discovered.")
    discrimination: float | None = Field(None, description="Null here.")
    explained_variance: float | None = Field(None, description="Null here.")
    anchor_sample_ids: dict[str, object] | None = Field(None, description="Null here.")


class TraitList(Answer):
    """The traits of a model, in the order of its definition."""

    traits: list[TraitAnswer] = Field(description="All of them: there are no pages.")


class SampleAnswer(Answer):
    """A piece of text with a quality for one trait."""

    id: Annotated[int, Field(ge=0, lt=2**53, description="The same text for the same trait has the same one.")]
    trait: str = Field(description="The key of the trait.", examples=["clarity"])
    text: str = Field(description="The text itself.")
    quality: Annotated[float, Field(ge=0, le=1, description="1 is the trait's positive pole, 0 its negative one.")]
    provenance: Literal["authored", "synthesized", "score_feedback"] = Field(
        description="How it entered the model: by its author, by a synthesis, or by feedback on a score."
    )
    source_url: str | None = Field(description="Where the text was found, if its author says so.")
    content_sha256: str = Field(description="SHA-256 of the UTF-8 text, in hexadecimal.")
    created_at: datetime | None = Field(description="When it was made, in UTC; null for authored samples.")


class AddedSamples(Answer):
    """The samples are there."""

    ids: list[Annotated[int, Field(ge=0, lt=2**53)]] = Field(
        description="The ids of the samples in the order of the request, including samples that the model had already."
    )


class DeletedSample(Answer):
    """The sample is gone."""

    handle: str = Field(description="The model that had it.", examples=[HANDLE_EXAMPLE])
    deleted: Literal[True] = Field(True, description="Always true.")


class SamplePage(Answer):
    """Samples of a page: authored ones first, then set by set in the order of attachment."""

    items: list[SampleAnswer] = Field(description="The samples of this page.")
    next_cursor: str | None = Field(description="Give it as `cursor` for the next page; null on the last one.")
    limit: int = Field(description="Maximum number of items on a page, as requested.")
