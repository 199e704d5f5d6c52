"""What a project of Great Expectations is opened with: the gate's expectations and its frames.

Its import, which comes before ``gx.get_context``, registers the expectations and the data source that a project names.
"""

from typing import Any, ClassVar, Literal

from great_expectations.datasource.fluent.batch_request import BatchRequest
from great_expectations.datasource.fluent.pandas_datasource import DataFrameAsset, PandasDatasource

from engine.asking.held_out import restrict_to_pool
from engine.definitions.loader import load_model
from engine.domain.model import Pool
from engine.run.job import read_pools
from expectations import classes
from expectations.frames import make_sides_frame, make_whole_frame

# Its import has registered the expectations.
REGISTERED = classes


class StoreFrame(DataFrameAsset):
    """A frame as the gate has it, made of the store whenever it is validated.

    It is all samples of the pool, authored ones among them, else both pools.
    """

    # Great Expectations tells classes apart by it.
    type: Literal["exemplars_frame"] = "exemplars_frame"  # type: ignore[assignment]
    handle: str
    pool: Pool | None = None

    def build_batch_request(self, *_: Any, **__: Any) -> BatchRequest[Any]:
        """Asks for the frame; Great Expectations' own argument, the frame itself, is not wanted.

        Raises:
            InputError: there is no such model any more, or its definition has mistakes.
            StoreError: the store cannot be read.
        """
        models_uri, samples_uri = self.datasource.models_uri, self.datasource.samples_uri
        model = read_pools(samples_uri, load_model(models_uri, self.handle))
        own = restrict_to_pool(model, "enrich" if self.pool == "eval" else "from_traits")
        frame = make_whole_frame(own, []) if self.pool else make_sides_frame(model, "enrich", [])
        return super().build_batch_request({"dataframe": frame})


class StoreSource(PandasDatasource):
    """The data source of a project: its assets are frames over one store. Both URIs are absolute."""

    asset_types: ClassVar = [StoreFrame]
    _EXTRA_EXCLUDED_EXEC_ENG_ARGS: ClassVar = {"models_uri", "samples_uri"}
    type: Literal["exemplars"] = "exemplars"  # type: ignore[assignment]
    models_uri: str
    samples_uri: str
    assets: list[StoreFrame]  # type: ignore[assignment]
