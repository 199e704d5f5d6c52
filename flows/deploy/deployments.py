"""Deploy prefect.yaml by Prefect's command, keep the settings that people have changed on the server, and offer the
handles of the catalogue in the forms.
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

# A link to the file in the project's root, so that a wheel also contains it.
PREFECT_FILE = Path(__file__).with_name("prefect.yaml")
DEPLOY_SECONDS = 180.0
OUTPUT_LINES = 15

FORM = "synthesize/on-demand"
WITH_FORM = (FORM, "synthesize/nightly")
# A longer list does not help a person, and every form and every check of parameters contains it.
MOST_OFFERED = 300

Deployments = Mapping[str, DeploymentResponse]


def deploy_all(client: SyncPrefectClient, image: str | None, models_uri: str) -> tuple[Deployments, str]:
    """Create or update all deployments.

    Args:
        image: the image of the runs' containers; None if runs are processes of a worker.
        models_uri: the catalogue; the forms offer its handles.

    Returns:
        The deployments by name, such as ``synthesize/nightly``, and a phrase on the handles that the forms offer.
    """
    content = read_prefect_file()
    names = sorted(name_deployment(item) for item in content["deployments"])
    existing = find_deployments(client, names)
    adapted = [_keep_settings(item, existing, image) for item in content["deployments"]]
    _run_prefect_deploy({**content, "deployments": adapted})
    offered = offer_handles(client, models_uri)
    return find_deployments(client, names), offered


def find_deployments(client: SyncPrefectClient, names: Collection[str]) -> Deployments:
    """Return the existing deployments with these names, even without a work pool: they outlive a deleted pool."""
    deployments = {}
    for name in names:
        with contextlib.suppress(ObjectNotFound):
            deployments[name] = client.read_deployment_by_name(name)
    return deployments


def read_prefect_file() -> dict[str, Any]:
    """Return the content of prefect.yaml."""
    content: dict[str, Any] = yaml.safe_load(PREFECT_FILE.read_text(encoding="utf-8"))
    return content


def name_deployment(item: Mapping[str, Any]) -> str:
    """Return the full name of a deployment of prefect.yaml; each flow has the name of its module."""
    return f"{item['entrypoint'].rpartition('.')[2]}/{item['name']}"


def offer_handles(client: SyncPrefectClient, models_uri: str) -> str:
    """Update the list of handles in the forms, and return a phrase on the offered handles.

    A handle that is not in the list can be typed, so a model that is created later runs too. If the catalogue cannot
    be read, the forms stay unchanged.
    """
    try:
        handles = list_handles(models_uri)
    except StoreError as error:
        return f"the same handles as before: {error}"
    for name in WITH_FORM:
        deployment = client.read_deployment_by_name(name)
        schema = add_choice(deployment.parameter_openapi_schema or {}, handles)
        if schema != deployment.parameter_openapi_schema:
            client.update_deployment(deployment.id, DeploymentUpdate(parameter_openapi_schema=schema))
    form = client.read_deployment_by_name(FORM)
    if form.parameters.get("handle") not in (None, *handles):
        # Nobody should start a run on a model that does not exist; a person has to choose another one.
        parameters = {name: value for name, value in form.parameters.items() if name != "handle"}
        client.update_deployment(form.id, DeploymentUpdate(parameters=parameters))
    if len(handles) > MOST_OFFERED:
        return f"the first {MOST_OFFERED} of {len(handles):,} handles; others can be typed"
    return f"{count_noun(len(handles), 'handle')}; others can be typed"


def add_choice(schema: Mapping[str, Any], handles: Sequence[str]) -> dict[str, Any]:
    """Return the JSON schema of a form that offers these handles for ``handle``, and accepts any other typed handle.

    The pattern of a handle applies to both, and is outside the choice: inside, the form would report a wrong handle
    as "not valid under any of the given schemas".
    """
    changed = deepcopy(dict(schema))
    field = changed["properties"]["handle"]
    field.pop("anyOf", None)
    if handles:
        choice = {"title": "listed handle", "type": "string", "enum": list(handles[:MOST_OFFERED])}
        field["anyOf"] = [choice, {"title": "other handle", "type": "string"}]
        field.pop("type", None)
    else:
        field["type"] = "string"
    return changed


def _keep_settings(item: Mapping[str, Any], deployed: Deployments, image: str | None) -> dict[str, Any]:
    """Return a deployment of prefect.yaml, adapted to the existing one on the server.

    Prefect's command would reset schedules to the switched-off ones of the file, delete schedules that people have
    added in the UI, and resume a paused deployment.
    """
    existing, adapted = deployed.get(name_deployment(item)), dict(item)
    if existing is not None:
        adapted["paused"] = existing.paused
        if existing.schedules:
            adapted.pop("schedules", None)
    if image is not None:
        pool = item["work_pool"]
        adapted["work_pool"] = {**pool, "job_variables": {**pool["job_variables"], "image": image}}
    return adapted


def _run_prefect_deploy(content: Mapping[str, Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "prefect.yaml"
        file.write_text(yaml.safe_dump(content), encoding="utf-8")
        try:
            result = subprocess.run(
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
    if result.returncode:
        output = "\n".join(f"  {line}" for line in result.stdout.strip().splitlines()[-OUTPUT_LINES:])
        raise OrchestratorError(f"prefect deploy --all ended with {result.returncode}:\n{output}")
