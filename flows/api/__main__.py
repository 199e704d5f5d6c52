"""Command ``python -m flows.api``: serve the HTTP API, and issue, list and revoke its keys."""

import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated

import typer
from pydantic import TypeAdapter

from engine.settings import read_settings
from flows.api.keys import Key, issue_key, locate_keys, read_keys, revoke_key
from flows.exit_codes import run_app

COMMAND = "python -m flows.api"

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)
keys_app = typer.Typer(no_args_is_help=True, help="Issues, lists and revokes the keys of the HTTP API.")
app.add_typer(keys_app, name="keys")


@app.callback()
def describe() -> None:
    """The HTTP API of Exemplars."""


@app.command("serve")
def serve_command() -> None:
    """Serve the HTTP API at EXEMPLARS_API_HOST and EXEMPLARS_API_PORT until it is stopped."""
    # Prefect reads these when it is imported. Our client retries by itself, with a backoff in tenths of a second.
    os.environ.setdefault("PREFECT_CLIENT_MAX_RETRIES", "0")
    os.environ.setdefault("DO_NOT_TRACK", "1")
    from prefect.settings import PREFECT_API_URL, temporary_settings

    from flows.api.app import make_app
    from flows.api.metrics import serve_metrics
    from flows.api.orchestrator import DEFAULT_PREFECT
    from flows.api.server import serve
    from flows.observability.logs import set_up_logs

    settings = read_settings()
    set_up_logs(settings.log_format)
    # Without an address Prefect would start a server in this process.
    api = temporary_settings({PREFECT_API_URL: PREFECT_API_URL.value() or DEFAULT_PREFECT})
    with api, serve_metrics(settings) as (counts, metrics):
        metrics_text = f", its metrics at {metrics}" if metrics else ""
        serve(
            make_app(settings, counts),
            settings.api_host,
            settings.api_port,
            lambda address: print(
                f"The HTTP API is open at {address}/v1, its pages at {address}/v1/docs{metrics_text}", flush=True
            ),
            log_format=settings.log_format,
        )


@keys_app.command("issue")
def issue_command(
    namespaces: Annotated[
        list[str], typer.Option("--namespace", help="A namespace that the key owns; give it again for another.")
    ],
    scope: Annotated[str, typer.Option(help="scoring (read) or authoring (read and change).")],
    label: Annotated[str | None, typer.Option(help="Who or what it is for, shown in the list.")] = None,
) -> None:
    """Issue a key and print its secret, only this once, as the one line on stdout."""
    path = locate_keys(read_settings())
    key, secret = issue_key(path, namespaces, scope, datetime.now(UTC), label)
    print(secret, flush=True)
    print(
        f"Key {key.id}: {key.rights}. The line on stdout is its secret: it is not kept and not shown again. "
        f"'{COMMAND} keys revoke {key.id}' revokes it",
        file=sys.stderr,
    )


@keys_app.command("list")
def list_command(
    as_json: Annotated[bool, typer.Option("--json", help="Print the same as one line of JSON.")] = False,
) -> None:
    """List the valid keys, the oldest first."""
    path = locate_keys(read_settings())
    keys = read_keys(path)
    if as_json:
        print(TypeAdapter(tuple[Key, ...]).dump_json(keys, exclude={"__all__": {"sha256"}}).decode())
    elif keys:
        print(f"{'id':<12}  {'scope':<9}  {'created':<20}  namespaces (label)")
        for key in keys:
            owner = f"{', '.join(key.namespaces)} ({key.label})" if key.label else ", ".join(key.namespaces)
            print(f"{key.id}  {key.scope:<9}  {key.created_at:%Y-%m-%d %H:%M UTC}  {owner}")
    else:
        print(f"No keys in {path}. '{COMMAND} keys issue --help' says how to make one", file=sys.stderr)


@keys_app.command("revoke")
def revoke_command(key_id: Annotated[str, typer.Argument(metavar="ID", help="The id, as the list has it.")]) -> None:
    """Revoke a key: the HTTP API refuses it from the next request on."""
    key = revoke_key(locate_keys(read_settings()), key_id)
    print(f"Key {key.id} is revoked: the HTTP API refuses it from now on", file=sys.stderr)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    return run_app(app, arguments, COMMAND)


if __name__ == "__main__":
    sys.exit(main())
