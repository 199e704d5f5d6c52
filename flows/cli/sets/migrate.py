"""The work of ``exemplars verify --migrate``: moves sets of the older layout while no run works on their model."""

import pyarrow as pa

from engine.errors import ModelBusyError, StoreError
from engine.store.migration import list_unmoved, move_ledgers, move_sets
from flows.runs.slot import keep_runs_out


def migrate_store(samples_uri: str) -> list[str]:
    """Moves the sets of each model that no run works on; a sentence for each model that one does.

    Raises:
        StoreError: the store cannot be read or written.
        OrchestratorError: Prefect's server cannot be asked whether a run works on a model.
    """
    busy = []
    try:
        for handle, folders in list_unmoved(samples_uri):
            try:
                with keep_runs_out(handle, "Its sets were not moved"):
                    move_sets(folders)
            except ModelBusyError as error:
                busy.append(str(error))
        move_ledgers(samples_uri)
    except (OSError, pa.ArrowException) as error:
        raise StoreError(
            f"The sets of {samples_uri} cannot be moved: {error}. None is lost; the same command goes on from here"
        ) from error
    return busy
