"""Looks at all models of a catalogue, one after the other."""

import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

from engine.catalogue.condition import Finding, ModelCondition
from engine.catalogue.examine import choose_last, examine_model, list_all_handles
from engine.catalogue.page import Survey
from engine.settings import Settings
from flows.catalogue.last_runs import read_last_runs

LOGGER = logging.getLogger("exemplars.catalogue")
# Is told how many of how many models are examined.
Report = Callable[[int, int], None]


def survey_catalogue(settings: Settings, report: Report) -> Survey:
    """Surveys all models of the catalogue, and those that only the store knows.

    Raises:
        StoreError: the catalogue or the store cannot be listed.
    """
    places = settings.locate(settings.models_uri), settings.locate(settings.samples_uri)
    handles = list_all_handles(*places)
    runs, notes = read_last_runs(handles)
    models = []
    for number, handle in enumerate(handles, start=1):
        model = _examine(*places, handle)
        models.append(replace(model, last=choose_last(model.last, runs.get(handle))))
        report(number, len(handles))
    return Survey(tuple(models), datetime.now(UTC), notes)


def _examine(models_uri: str, samples_uri: str, handle: str) -> ModelCondition:
    """Examines a model. What nobody has foreseen in one model is a row too, and not the end of the survey."""
    try:
        return examine_model(models_uri, samples_uri, handle)
    except Exception as error:
        LOGGER.exception("%s could not be examined", handle)
        said = f"It could not be examined: {type(error).__name__}: {error}. The log has more"
        return ModelCondition(handle, "unknown", faults=(Finding("broken", said, (f"exemplars plan {handle}",)),))
