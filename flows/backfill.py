"""Synthesize over many models: one run a model, each with its own run id, in processes that they share."""

from typing import Annotated

from prefect import flow
from pydantic import Field

from engine.model import NAMESPACE_PATTERN, Effort, SynthType
from flows.synthesize import Handle

Namespace = Annotated[str, Field(pattern=NAMESPACE_PATTERN, max_length=100)]
Glob = Annotated[str, Field(pattern=r"^[a-z0-9.*?\[\]!-]+$", max_length=128)]


@flow(name="backfill", flow_run_name="backfill {synth_type}", validate_parameters=False)
async def backfill(
    handles: list[Handle] | None = None,
    namespace: Namespace | None = None,
    glob: Glob | None = None,
    only_lacking: bool = False,
    synth_type: SynthType = "from_traits",
    effort: Effort | None = None,
    force: bool = False,
    models_at_once: Annotated[int, Field(ge=1, le=64)] = 8,
    part_size: Annotated[int, Field(ge=1, le=500)] | None = None,
    max_cost_usd: Annotated[float, Field(gt=0)] | None = None,
) -> None:
    """Makes labelled samples for many models, one run each; a model that has them already is passed over.

    Args:
        handles: Models by name, such as `u22a8.technical-writing`. Handles, namespace and glob add up.
        namespace: All models of a namespace, such as `u22a8`.
        glob: All models whose handle fits a pattern, such as `u22a8.*-report`.
        only_lacking: Of those, or where nothing is named of all models, only drafts in which some pole of some trait has
            fewer samples than the effort asks for.
        synth_type: What the samples are for, as in synthesize.
        effort: How many samples, by which synth model. None: each model's own effort, else `high`.
        force: Also models that have a set of this synth type and effort for their definition as it is now.
        models_at_once: How many models are worked on at a time in one process.
        part_size: None: one process does all. Else the models are handed out in parts of so many, each a run on the
            work pool that the next free worker takes.
        max_cost_usd: What all models together may cost; each has its effort's own limit besides. None: no limit
            together.
    """
    raise NotImplementedError
