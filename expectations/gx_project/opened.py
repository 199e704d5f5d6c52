"""Register the gate's expectations and frames for an opened project of Great Expectations.

Import this module before ``gx.get_context``: the import registers the expectations and the data source of a project.
"""

from dataclasses import replace
from typing import Any, ClassVar, Literal

from great_expectations.datasource.fluent.batch_request import BatchRequest
from great_expectations.datasource.fluent.pandas_datasource import DataFrameAsset, PandasDatasource

from engine.asking.held_out import restrict_to_pool
from engine.definitions.loader import load_model
from engine.domain.model import Pool
from engine.store.existing import read_existing
from expectations import classes
from expectations.frames import make_sides_frame, make_whole_frame

# Importing this module registers the expectations.
REGISTERED = classes


class StoreFrame(DataFrameAsset):
    """A frame of the gate, built from the store for each validation.

    It has all samples of the pool, including authored ones or, without a pool, the texts of both pools.
    """

    # Great Expectations distinguishes classes by this value.
    type: Literal["exemplars_frame"] = "exemplars_frame"  # type: ignore[assignment]
    handle: str
    pool: Pool | None = None

    def build_batch_request(self, *_: Any, **__: Any) -> BatchRequest[Any]:
        """Return a request with the frame; the argument of the base class, a frame, is ignored.

        Raises:
            InputError: the model no longer exists, or its definition has mistakes.
            StoreError: the store cannot be read.
        """
        models_uri, samples_uri = self.datasource.models_uri, self.datasource.samples_uri
        existing = read_existing(samples_uri, self.handle)
        model = replace(load_model(models_uri, self.handle), existing=existing)
        restricted = restrict_to_pool(model, "enrich" if self.pool == "eval" else "from_traits")
        frame = make_whole_frame(restricted, []) if self.pool else make_sides_frame(model, "enrich", [])
        return super().build_batch_request({"dataframe": frame})


class StoreSource(PandasDatasource):
    """The data source of a project. Its assets are frames over one store. Both URIs are absolute."""

    asset_types: ClassVar = [StoreFrame]
    _EXTRA_EXCLUDED_EXEC_ENG_ARGS: ClassVar = {"models_uri", "samples_uri"}
    type: Literal["exemplars"] = "exemplars"  # type: ignore[assignment]
    models_uri: str
    samples_uri: str
    assets: list[StoreFrame]  # type: ignore[assignment]
