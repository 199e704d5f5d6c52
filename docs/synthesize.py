"""Ask the HTTP API for samples of a model, wait until they are attached, and print all samples as JSON lines."""

import json
import os
import sys
import time
from typing import Any

import httpx

api = httpx.Client(base_url=os.environ["API"], headers={"Authorization": f"Bearer {os.environ['KEY']}"}, timeout=90)
model = f"/models/{sys.argv[1]}"


def ask(method: str, path: str, **options: Any) -> httpx.Response:
    """Retry while Prefect does not answer; exit on a refusal, unless it names a run to wait for."""
    while (answer := api.request(method, path, **options)).status_code == 503:
        time.sleep(int(answer.headers.get("Retry-After", "5")))
    if answer.is_error and "X-Run-Id" not in answer.headers:
        sys.exit(answer.json()["error"]["message"])
    return answer


busy = True
while busy:
    answer = ask("POST", f"{model}/samples/synthesize", json={"effort": "low"})
    while (last := ask("GET", model).json()["last_operation"])["status"] in ("queued", "running"):
        time.sleep(2)
    # A different synthesis was under way and has ended: ask again. An identical one counts as ours.
    busy = answer.is_error and answer.json()["error"]["code"] == "model_busy"
if last["status"] != "succeeded":
    sys.exit(f"Run {last['run_id']} ended as {last['status']}: {last['error']}")

query = {"limit": "100"}
while query:
    page = ask("GET", f"{model}/samples", params=query).json()
    for sample in page["items"]:
        print(json.dumps(sample))
    query = {**query, "cursor": page["next_cursor"]} if page["next_cursor"] else {}
