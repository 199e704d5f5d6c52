"""Loads the attached samples of a model into a data frame."""

from typing import get_args

import pandas as pd

from engine.definitions.loader import has_model, load_outline
from engine.domain.model import Pool, check_handle
from engine.errors import InputError
from engine.settings import read_settings
from engine.store.earlier.rows import read_whole_sets
from engine.store.store import list_sets


def load_samples(handle: str, pool: Pool = "train") -> pd.DataFrame:
    """The samples that runs have attached to a model, of all its sets, in the order of the sets' creation.

    Authored samples are not among them: they are no rows of the store.

    Args:
        pool: ``train``, or ``eval`` for what ``enrich`` has set aside, which is not to be trained on.

    Returns:
        A row for each sample, with the columns of the store (docs/reference/store.md); no rows where nothing is
        attached.

    Raises:
        HandleError: the handle is malformed; an UnknownModelError if neither catalogue nor store has the model.
        InputError: there is no such pool.
        DefinitionError: a setting is wrong.
        StoreError: the store cannot be read.
    """
    if pool not in get_args(Pool):
        raise InputError(f"{pool!r} is not a pool. There are: {' and '.join(get_args(Pool))}")
    settings = read_settings()
    models_uri, samples_uri = settings.locate(settings.models_uri), settings.locate(settings.samples_uri)
    sets = list_sets(samples_uri, check_handle(handle), pool)
    if not sets and not has_model(models_uri, handle):
        # For its error, which offers models of a like handle.
        load_outline(models_uri, handle)
    frame: pd.DataFrame = read_whole_sets(sets).to_pandas()
    return frame
