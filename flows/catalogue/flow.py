"""The flow ``catalogue``: surveys all models, puts their table on its page, and keeps the forms current."""

import asyncio

import httpx
from prefect import flow, get_run_logger
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import State
from prefect.exceptions import ObjectNotFound
from prefect.runtime import flow_run
from prefect.states import Completed

from engine.catalogue.page import describe_survey, survey_catalogue, write_page
from flows.deploy.deployments import offer_handles
from flows.run.page.artifacts import show_page
from flows.run.run_events import attending_flow


@flow(name="catalogue", flow_run_name="catalogue")
async def catalogue() -> State[None]:
    """Looks at all models of the catalogue and says which need a person, why, and what to type. Changes no model."""
    logger = get_run_logger()
    async with attending_flow() as settings:
        places = settings.locate(settings.models_uri), settings.locate(settings.samples_uri)
        logger.info("The forms offer %s", await asyncio.to_thread(_offer_handles, places[0]))
        models = await asyncio.to_thread(survey_catalogue, *places)
    headline, sentence = describe_survey(models)
    logger.info("%s. %s", headline, sentence)
    await show_page(str(flow_run.get_id()), "catalogue", write_page(models), headline)
    return Completed(message=headline, data=None)


def _offer_handles(models_uri: str) -> str:
    """What the forms offer from now on; the deployments may not be there, as for a flow that a script calls."""
    try:
        with get_client(sync_client=True) as client:
            return offer_handles(client, models_uri)
    except ObjectNotFound:
        return "nothing, since the deployments are not on this server"
    except httpx.HTTPError as error:
        return f"what they did before: {error}"
