"""The example of each kind of response, for the OpenAPI document."""

from collections.abc import Mapping
from datetime import UTC, datetime

from pydantic import BaseModel

from engine.domain.model import digest_text
from engine.domain.samples import make_id
from flows.api.cursors import write_cursor
from flows.api.schemas import (
    HANDLE_EXAMPLE,
    RUN_ID_EXAMPLE,
    SAMPLE_ID_EXAMPLE,
    AddedSamples,
    DecisionAnswer,
    DeletedSample,
    Health,
    ModelAnswer,
    ModelPage,
    Operation,
    ReviewAnswer,
    SampleAnswer,
    SamplePage,
    SynthesizeAnswer,
    TraitAnswer,
    TraitList,
)

_BEGUN = datetime(2026, 11, 25, 12, tzinfo=UTC)
MODELS_CURSOR = write_cursor(("models", "u22a8", ""), [HANDLE_EXAMPLE])
SAMPLES_CURSOR = write_cursor(("samples", HANDLE_EXAMPLE, ""), ["a", 0, 0, 1, 0])
_DESCRIPTION = "Whether technical documentation is understood at once and tells readers what exactly to do."
TEXT_EXAMPLE = "Press the green button. The lamp turns off when the page is saved."


def _make_model() -> ModelAnswer:
    return ModelAnswer(
        handle=HANDLE_EXAMPLE,
        scoring_method="balanced_cosine",
        description=_DESCRIPTION,
        state="busy",
        kind="scoring",
        traits=["Clarity", "Actionability"],
        current_version_id=None,
        version_no=None,
        version_tags=[],
        zero_data_retention=False,
        last_operation=Operation(
            kind="synthesize",
            run_id=RUN_ID_EXAMPLE,
            status="running",
            started_at=_BEGUN,
            progress=0.4,
            error=None,
        ),
    )


def _make_trait() -> TraitAnswer:
    return TraitAnswer(
        key="clarity",
        name="Clarity",
        description="Whether a reader outside the author's team understands every sentence on the first reading.",
        positive_label="Clear",
        negative_label="Obscure",
        sample_count=28,
        positive_samples=14,
        negative_samples=14,
        kind="extrinsic",
        discrimination=None,
        explained_variance=None,
        anchor_sample_ids=None,
    )


def _make_sample() -> SampleAnswer:
    return SampleAnswer(
        id=make_id(HANDLE_EXAMPLE, "clarity", TEXT_EXAMPLE),
        trait="clarity",
        text=TEXT_EXAMPLE,
        quality=1.0,
        provenance="synthesized",
        source_url=None,
        content_sha256=digest_text(TEXT_EXAMPLE),
        created_at=_BEGUN,
    )


ANSWERS: Mapping[type[BaseModel], BaseModel] = {
    Health: Health(status="ok"),
    SynthesizeAnswer: SynthesizeAnswer(state="busy", run_id=RUN_ID_EXAMPLE),
    DecisionAnswer: DecisionAnswer(sample_id=SAMPLE_ID_EXAMPLE, said="refuse"),
    ReviewAnswer: ReviewAnswer(
        state="enqueued",
        run_id=RUN_ID_EXAMPLE,
        message=f"Run {RUN_ID_EXAMPLE} finishes the set: its page shows what comes of it.",
    ),
    ModelAnswer: _make_model(),
    ModelPage: ModelPage(items=[_make_model()], next_cursor=MODELS_CURSOR, limit=1),
    TraitList: TraitList(traits=[_make_trait()]),
    DeletedSample: DeletedSample(handle=HANDLE_EXAMPLE, deleted=True),
    AddedSamples: AddedSamples(ids=[make_id(HANDLE_EXAMPLE, "clarity", TEXT_EXAMPLE)]),
    SamplePage: SamplePage(items=[_make_sample()], next_cursor=SAMPLES_CURSOR, limit=1),
}
PAGES: Mapping[str, str] = {
    "text/markdown": f"# {HANDLE_EXAMPLE}\n\n{_DESCRIPTION}\n",
    "text/html": '<!doctype html>\n<html lang="en">…</html>\n',
}
