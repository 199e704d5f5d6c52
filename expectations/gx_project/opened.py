"""What a project of Great Expectations is opened with: the gate's expectations, its frames, its reading of results.

Its import, which comes before ``gx.get_context``, registers the expectations and the data source that a project names.
"""

from typing import Any, ClassVar, Literal

import pandas as pd
from great_expectations.checkpoint.checkpoint import CheckpointResult
from great_expectations.datasource.fluent.batch_request import BatchRequest
from great_expectations.datasource.fluent.pandas_datasource import DataFrameAsset, PandasDatasource

from engine.asking.held_out import restrict_to_pool
from engine.definitions.loader import load_model
from engine.domain.model import Pool
from engine.domain.verdict import Verdict
from engine.errors import InputError
from engine.run.job import read_pools
from engine.store.earlier.rows import read_whole_sets
from engine.store.store import list_sets
from expectations import classes
from expectations.frames import make_sides_frame, make_whole_frame
from expectations.results import COUNT, join_outcomes, read_outcome

# Its import has registered the expectations.
REGISTERED = classes


class StoreFrame(DataFrameAsset):
    """A frame as the gate has it, made of the store whenever it is validated.

    It is the attached set of ``run_id``, else all samples of the pool, authored ones among them, else both pools.
    """

    # Great Expectations tells classes apart by it.
    type: Literal["exemplars_frame"] = "exemplars_frame"  # type: ignore[assignment]
    handle: str
    pool: Pool | None = None
    run_id: str | None = None

    def build_batch_request(self, *_: Any, **__: Any) -> BatchRequest[Any]:
        """Asks for the frame; Great Expectations' own argument, the frame itself, is not wanted.

        Raises:
            InputError: the set is no longer attached, or there is no such model any more.
            DefinitionError: the model's definition has mistakes. StoreError: the store cannot be read.
        """
        return super().build_batch_request({"dataframe": self._make_frame()})

    def _make_frame(self) -> pd.DataFrame | None:
        models_uri, samples_uri = self.datasource.models_uri, self.datasource.samples_uri
        if self.pool and self.run_id:
            sets = [item for item in list_sets(samples_uri, self.handle, self.pool) if item.run_id == self.run_id]
            if not sets:
                raise InputError(
                    f"The set of run {self.run_id} is no longer attached to {self.handle}. Write the project again, "
                    "with exemplars gx-context FOLDER --force"
                )
            frame: pd.DataFrame = read_whole_sets(sets).to_pandas()
            return frame
        model = read_pools(samples_uri, load_model(models_uri, self.handle))
        if self.pool:
            return make_whole_frame(restrict_to_pool(model, "enrich" if self.pool == "eval" else "from_traits"), [])
        return make_sides_frame(model, "enrich", [])


class StoreSource(PandasDatasource):
    """The data source of a project: its assets are frames over one store. Both URIs are absolute."""

    asset_types: ClassVar = [StoreFrame]
    _EXTRA_EXCLUDED_EXEC_ENG_ARGS: ClassVar = {"models_uri", "samples_uri"}
    type: Literal["exemplars"] = "exemplars"  # type: ignore[assignment]
    models_uri: str
    samples_uri: str
    assets: list[StoreFrame]  # type: ignore[assignment]


def read_verdict(result: CheckpointResult) -> Verdict:
    """Reads what a checkpoint has found as the gate does: a warning that is not met does not fail it.

    Returns:
        ``success``; ``failed`` and ``warnings``, a sentence each; ``results`` and ``suites``, by the asset's name.
    """
    counts = {
        item.suite.name: item.suite.meta.get(COUNT, 0) for item in result.checkpoint_config.validation_definitions
    }
    outcomes = []
    for found in result.run_results.values():
        # Great Expectations has no type for it.
        document: dict[str, Any] = found.to_json_dict()  # type: ignore[no-untyped-call]
        wanted = max(counts.get(found.suite_name, 0), len(document["results"]))
        outcomes.append(read_outcome(str(found.asset_name), wanted, document))
    return join_outcomes(outcomes)
