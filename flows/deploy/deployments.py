"""Deploys prefect.yaml by Prefect's own command, keeps what people have set up on the server, and offers the handles of
the catalogue in the forms.
"""

import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Collection, Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import yaml
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import DeploymentUpdate
from prefect.client.schemas.responses import DeploymentResponse
from prefect.exceptions import ObjectNotFound
from prefect.settings import get_current_settings

from engine.definitions.loader import list_handles
from engine.errors import OrchestratorError, StoreError
from engine.text.formatting import count_noun

# A link to the file in the project's root, so that a wheel has the file too.
PREFECT_FILE = Path(__file__).with_name("prefect.yaml")
DEPLOY_SECONDS = 180.0
OUTPUT_LINES = 15

FORM = "synthesize/on-demand"
WITH_FORM = (FORM, "synthesize/nightly")
# A longer list is no help to a person, and every form and every check of parameters carries it.
MOST_OFFERED = 300

Deployments = Mapping[str, DeploymentResponse]


def deploy_all(client: SyncPrefectClient, image: str | None, models_uri: str) -> tuple[Deployments, str]:
    """Makes all deployments or brings them up to date.

    Args:
        image: the image of the runs' containers; None if runs are processes of a worker.
        models_uri: the catalogue whose handles the forms offer.

    Returns:
        The deployments by name, as ``synthesize/nightly``, and what the forms offer.
    """
    content = read_prefect_file()
    names = sorted(name_deployment(item) for item in content["deployments"])
    there = find_deployments(client, names)
    kept = [_keep_settings(item, there, image) for item in content["deployments"]]
    _run_prefect_deploy({**content, "deployments": kept})
    offered = offer_handles(client, models_uri)
    return find_deployments(client, names), offered


def find_deployments(client: SyncPrefectClient, names: Collection[str]) -> Deployments:
    """The deployments of these names that exist, even without a work pool: they outlive a pool that is deleted."""
    found = {}
    for name in names:
        with contextlib.suppress(ObjectNotFound):
            found[name] = client.read_deployment_by_name(name)
    return found


def read_prefect_file() -> dict[str, Any]:
    """The content of prefect.yaml."""
    content: dict[str, Any] = yaml.safe_load(PREFECT_FILE.read_text(encoding="utf-8"))
    return content


def name_deployment(item: Mapping[str, Any]) -> str:
    """The full name of a deployment of prefect.yaml; each flow has the name of its module."""
    return f"{item['entrypoint'].rpartition('.')[2]}/{item['name']}"


def offer_handles(client: SyncPrefectClient, models_uri: str) -> str:
    """Brings the list of handles in the forms up to date, and returns what they offer as a phrase.

    A handle that is not in the list can be typed, so a model that is made later runs too. Where the catalogue cannot be
    read the forms stay as they are.
    """
    try:
        handles = list_handles(models_uri)
    except StoreError as error:
        return f"what they did before: {error}"
    for name in WITH_FORM:
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


def _keep_settings(item: Mapping[str, Any], there: Deployments, image: str | None) -> dict[str, Any]:
    """A deployment of prefect.yaml, adapted to the one that a server has already.

    Prefect's command would reset schedules to those of the file, which are switched off, delete schedules that people
    have added in the UI, and resume a paused deployment.
    """
    found, kept = there.get(name_deployment(item)), dict(item)
    if found is not None:
        kept["paused"] = found.paused
        if found.schedules:
            kept.pop("schedules", None)
    if image is not None:
        pool = item["work_pool"]
        kept["work_pool"] = {**pool, "job_variables": {**pool["job_variables"], "image": image}}
    return kept


def _run_prefect_deploy(content: Mapping[str, Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "prefect.yaml"
        file.write_text(yaml.safe_dump(content), encoding="utf-8")
        try:
            ended = subprocess.run(
                [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all", "--prefect-file", str(file)],
                # The flows are imported from this folder, since Python looks in its working folder first.
                cwd=Path(__file__).parents[2],
                env={**os.environ, **get_current_settings().to_environment_variables(exclude_unset=True)},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                encoding="utf-8",
                errors="replace",
                timeout=DEPLOY_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise OrchestratorError(f"prefect deploy --all did not end within {error.timeout:g} s") from error
    if ended.returncode:
        said = "\n".join(f"  {line}" for line in ended.stdout.strip().splitlines()[-OUTPUT_LINES:])
        raise OrchestratorError(f"prefect deploy --all ended with {ended.returncode}:\n{said}")
