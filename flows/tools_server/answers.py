"""The JSON objects of the answers that only the tools have."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from engine.domain.model import Effort, Pole, SynthType, TraitType
from flows.api.schemas import HANDLE_EXAMPLE, RUN_ID_EXAMPLE
from flows.run.flow_runs import Status

Outcome = Literal["attached", "proposed", "rejected", "detached"]


class _Answer(BaseModel):
    model_config = ConfigDict(extra="forbid", json_schema_serialization_defaults_required=True)


class Spread(_Answer):
    """A number that is not known before a run: what is likely, and the most."""

    likely: int | float | None = Field(description="What is most likely; null where no price is known.")
    most: int | float | None = Field(description="Where every round is needed in full; null where no price is known.")


class Quota(_Answer):
    """How many samples a run would make for one pole of a trait."""

    trait: str = Field(description="The key of the trait.", examples=["clarity"])
    type: TraitType = Field(description="The type of the trait.")
    pole: Pole = Field(description="The end of its axis.")
    label: str = Field(description="What a text of this pole is called.", examples=["Clear"])
    wanted: int = Field(description="The samples that would be attached.")


class PlanAnswer(_Answer):
    """What a synthesis would do and cost. Nothing was asked of a model and nothing written."""

    handle: str = Field(description="The model.", examples=[HANDLE_EXAMPLE])
    synth_type: SynthType = Field(description="What the synthesis would be for.")
    effort: Effort = Field(description="The effort that it would use.")
    synth_model: str = Field(description="The language model that would write the texts.")
    quotas: list[Quota] = Field(description="The samples that it would make, by trait and pole.")
    calls: Spread = Field(description="Calls of language models.")
    tokens_in: Spread = Field(description="Tokens of all prompts.")
    tokens_out: Spread = Field(description="Tokens of all replies.")
    cost_usd: Spread = Field(description="The cost in USD at list prices; of models without a known price none of it.")
    max_cost_usd: float | None = Field(description="The run ends before it costs more than this; null: no limit.")
    summary: str = Field(description="Calls, tokens and cost in one sentence for a person.")
    remarks: list[str] = Field(description="What else a person should know: prices, limits, what was assumed.")
    refused: str | None = Field(description="Why a run would be refused now; null where it would start.")
    skipped: list[str] = Field(description="Parts of the definition that are not read, each with the reason.")


class RunAnswer(_Answer):
    """A run, how far it is, and what came of it."""

    run_id: str = Field(description="The id of the Prefect flow run.", examples=[RUN_ID_EXAMPLE])
    handle: str = Field(description="The model that it works on.", examples=[HANDLE_EXAMPLE])
    synth_type: str = Field(description="What the synthesis is for.", examples=["from_traits"])
    effort: str | None = Field(description="The effort that was asked for; null: the model's own, else `high`.")
    status: Status = Field(description="`queued` and `running` go on; the others are final.")
    started_at: datetime | None = Field(description="When it began to run, in UTC; null where that is not known.")
    progress: Annotated[float, Field(ge=0, le=1)] | None = Field(
        description="The share that is done; null where it is not known."
    )
    error: str | None = Field(description="Why it failed or was cancelled, else null.")
    outcome: Outcome | None = Field(
        description="What became of its set of samples: `attached` to the model, `proposed` to a person who has to "
        "review it, `rejected`, or `detached` later; null where it has left none."
    )
    counts: dict[str, dict[Pole, int]] | None = Field(
        description="The samples of its set by trait and pole; null where it has left none."
    )
    rejected: dict[str, int] = Field(description="How many texts were not taken, by the reason.")
    failed: list[str] = Field(description="What the gate found that kept the set from being attached.")
    warnings: list[str] = Field(description="What the gate found that a person should know.")
    report: str | None = Field(
        description="Where the report is, a page for a person: its file for this machine's own user, else its address "
        "at the door, or its path there; null where there is none."
    )
    next: str = Field(description="What to do now.")


class Mistake(_Answer):
    """A mistake in a model's definition or in its samples."""

    file: str = Field(description="The file, below the folder of the models.", examples=["u22a8.notes/model.yaml"])
    line: int | None = Field(description="The line, from 1; null where it is about the whole file.")
    field: str = Field(description="The field, with dots between its parts.", examples=["traits.0.type"])
    message: str = Field(description="What was found there, what is allowed, and what may have been meant.")


class ValidationAnswer(_Answer):
    """Whether a model's definition and its authored samples can be used."""

    handle: str = Field(description="The model.", examples=[HANDLE_EXAMPLE])
    valid: bool = Field(description="Whether there are no mistakes.")
    mistakes: list[Mistake] = Field(description="All mistakes of form; where there are none, all of meaning.")
    hints: list[str] = Field(description="What is no mistake, and makes better samples where it is mended.")
    skipped: list[str] = Field(description="What is legal and not read here, each with the reason.")


class Card(_Answer):
    """A model whose card can be read."""

    handle: str = Field(description="The model.", examples=[HANDLE_EXAMPLE])
    description: str | None = Field(description="One line on what it judges.")


class CardPage(_Answer):
    """Models whose cards can be read, in the order of their handles."""

    items: list[Card] = Field(description="The models of this page.")
    next_cursor: str | None = Field(description="Give it as `cursor` for the next page; null on the last one.")


class Namespaces(_Answer):
    """The namespaces that have models."""

    namespaces: list[str] = Field(description="All namespaces that have models which may be read.")
