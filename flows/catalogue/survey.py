"""Looks at all models of a catalogue, one after the other."""

from datetime import UTC, datetime

from engine.catalogue.examine import examine_model, list_all_handles
from engine.catalogue.page import Survey
from engine.settings import Settings


def survey_catalogue(settings: Settings) -> Survey:
    """Surveys all models of the catalogue, and those that only the store knows.

    Raises:
        StoreError: the catalogue or the store cannot be listed.
    """
    places = settings.locate(settings.models_uri), settings.locate(settings.samples_uri)
    return Survey(tuple(examine_model(*places, handle) for handle in list_all_handles(*places)), datetime.now(UTC))
