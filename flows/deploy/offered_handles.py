"""Offers the handles of the catalogue in the forms of the deployments that are about one model."""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import DeploymentUpdate

from engine.definitions.loader import list_handles
from engine.errors import StoreError
from engine.text.formatting import count_noun

FORM = "synthesize/on-demand"
DEPLOYMENTS = (FORM, "synthesize/nightly")
# A longer list is no help to a person, and every form and every check of parameters carries it.
MOST_OFFERED = 300


def offer_handles(client: SyncPrefectClient, models_uri: str) -> str:
    """Brings the list of handles in the forms up to date, and returns what they offer as a phrase.

    A handle that is not in the list can be typed, so a model that is made later runs too. Where the catalogue cannot be
    read the forms stay as they are.
    """
    try:
        handles = list_handles(models_uri)
    except StoreError as error:
        return f"what they did before: {error}"
    for name in DEPLOYMENTS:
        deployment = client.read_deployment_by_name(name)
        wanted = add_choice(deployment.parameter_openapi_schema or {}, handles)
        if wanted != deployment.parameter_openapi_schema:
            client.update_deployment(deployment.id, DeploymentUpdate(parameter_openapi_schema=wanted))
    form = client.read_deployment_by_name(FORM)
    if form.parameters.get("handle") not in (None, *handles):
        # Nobody should press run on a model that there is not; which other one is meant is for a person to say.
        rest = {name: value for name, value in form.parameters.items() if name != "handle"}
        client.update_deployment(form.id, DeploymentUpdate(parameters=rest))
    if len(handles) > MOST_OFFERED:
        return f"the first {MOST_OFFERED} of {len(handles):,} handles; others can be typed"
    return f"{count_noun(len(handles), 'handle')}; others can be typed"


def add_choice(schema: Mapping[str, Any], handles: Sequence[str]) -> dict[str, Any]:
    """The JSON schema of a form whose ``handle`` is one of these handles or any other that is typed.

    The pattern of a handle holds for both, and stands outside: inside, the form would say of a wrong handle that it is
    not valid under any of the given schemas.
    """
    changed = deepcopy(dict(schema))
    field = changed["properties"]["handle"]
    field.pop("anyOf", None)
    if handles:
        listed = {"title": "one of these", "type": "string", "enum": list(handles[:MOST_OFFERED])}
        field["anyOf"] = [listed, {"title": "another", "type": "string"}]
        field.pop("type", None)
    else:
        field["type"] = "string"
    return changed
