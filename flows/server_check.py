"""The Prefect server that is to be set up: whether it answers, lets us in, and is of a version that will do."""

from importlib.metadata import version

import httpx
from packaging.version import InvalidVersion, Version
from prefect.client.base import ServerType
from prefect.client.orchestration import SyncPrefectClient

from engine.errors import OrchestratorError

AUTH_REMEDY = (
    "Set PREFECT_API_AUTH_STRING (user:password) where the server asks for it, or PREFECT_API_KEY for Prefect Cloud"
)


def check_server(client: SyncPrefectClient) -> str:
    """The version of the server; Prefect Cloud's is ``Cloud``.

    Raises:
        OrchestratorError: it does not answer, refuses, is something else, or is older than this code's Prefect.
    """
    if client.server_type == ServerType.CLOUD:
        return "Cloud"
    try:
        said = client.api_version()
        found = Version(said)
    except httpx.HTTPStatusError as error:
        raise _explain_status(client, error) from error
    except httpx.HTTPError as error:
        raise OrchestratorError(
            f"The Prefect server at {client.api_url} does not answer: {type(error).__name__} {error}. Is it up, and is "
            "PREFECT_API_URL its address?"
        ) from error
    except (ValueError, TypeError, InvalidVersion) as error:
        raise OrchestratorError(f"{_describe_stranger(client)}: it says nothing of its version") from error
    own = Version(version("prefect"))
    if found.major != own.major or found.release[:2] < own.release[:2]:
        raise OrchestratorError(
            f"The Prefect server at {client.api_url} is of version {found}, and this code needs {own.major}."
            f"{own.minor} or a later {own.major}. Upgrade the server: back up its database, then pip install "
            f"prefect=={own} there and start it again"
        )
    return str(found)


def _explain_status(client: SyncPrefectClient, error: httpx.HTTPStatusError) -> OrchestratorError:
    code = error.response.status_code
    if code in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
        return OrchestratorError(f"The Prefect server at {client.api_url} refuses us ({code}). {AUTH_REMEDY}")
    if code == httpx.codes.NOT_FOUND:
        return OrchestratorError(f"{_describe_stranger(client)}: it answers {code}")
    return OrchestratorError(f"The Prefect server at {client.api_url} answers {code}. What do its own logs say?")


def _describe_stranger(client: SyncPrefectClient) -> str:
    return f"There is no Prefect API at {client.api_url} (PREFECT_API_URL, which ends in /api)"
