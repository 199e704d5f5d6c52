"""The flow ``catalogue``: surveys all models, writes a page of what needs a person, and keeps the forms current."""

import asyncio
import logging
from datetime import UTC, datetime
from typing import Any

import httpx
from prefect import flow, get_run_logger
from prefect.artifacts import acreate_markdown_artifact
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import State
from prefect.exceptions import ObjectNotFound
from prefect.states import Completed

from engine.catalogue.examine import Places
from engine.catalogue.survey import list_all_handles, survey_catalogue
from engine.report.catalogue_html import render_catalogue
from engine.report.catalogue_page import describe_survey, write_catalogue_page
from engine.settings import Settings, read_settings
from engine.store.layout import CATALOGUE_PAGE
from engine.system.filesystem import replace_file
from flows.deploy.offered_handles import offer_handles
from flows.observability.logs import ignore_closed_output, set_up_logs
from flows.runs.heartbeat import sending_heartbeats
from flows.runs.last_runs import read_last_runs
from flows.runtime.schedule_events import release_events

Logger = logging.Logger | logging.LoggerAdapter[Any]
# Lines in the log, of a survey that may take minutes.
LOGGED_PARTS = 10


@flow(name="catalogue", flow_run_name="catalogue")
async def catalogue() -> State[None]:
    """Looks at all models of the catalogue and says which need a person, why, and what to type. Changes no model."""
    ignore_closed_output()
    logger = get_run_logger()
    await release_events(logger)
    settings = read_settings()
    set_up_logs(settings.log_format)
    places = Places(settings.locate(settings.models_uri), settings.locate(settings.samples_uri), settings.cache_place)
    async with sending_heartbeats():
        logger.info("The forms offer %s", await asyncio.to_thread(_offer_handles, settings))
        runs, notes = await asyncio.to_thread(read_last_runs, list_all_handles(places))
        survey = await survey_catalogue(places, datetime.now(UTC), runs, notes, report=_Progress(logger).report)
        file = f"{places.samples_uri.rstrip('/')}/{CATALOGUE_PAGE}"
        await asyncio.to_thread(replace_file, file, render_catalogue(survey).encode())
    headline, sentence = describe_survey(survey)
    logger.info("%s. %s", headline, sentence)
    try:
        await acreate_markdown_artifact(
            key="catalogue", markdown=write_catalogue_page(survey, file), description=headline
        )
    except httpx.HTTPError as error:
        logger.warning("The page could not be put on the run page, it is in %s: %s", file, error)
    return Completed(message=headline, data=None)


def _offer_handles(settings: Settings) -> str:
    """What the forms offer from now on; the deployments may not be there, as for a flow that a script calls."""
    try:
        with get_client(sync_client=True) as client:
            return offer_handles(client, settings.locate(settings.models_uri))
    except ObjectNotFound:
        return "nothing, since the deployments are not on this server"
    except httpx.HTTPError as error:
        return f"what they did before: {error}"


class _Progress:
    """Logs how far a survey is, a line for each tenth of the models."""

    def __init__(self, logger: Logger) -> None:
        self._logger = logger
        self._logged = 0

    def report(self, done: int, models: int) -> None:
        """Is told of each model that is done."""
        if done * LOGGED_PARTS // models > self._logged:
            self._logged = done * LOGGED_PARTS // models
            self._logger.info("Looked at %d of %d models", done, models)
