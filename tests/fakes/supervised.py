"""A program that supervises stand-ins: stages of parts as JSON, and the folder of the logs."""

import json
import os
import sys
from collections.abc import Collection
from pathlib import Path
from typing import Any

from engine.errors import ExemplarsError
from flows.serve.ports import answers
from flows.serve.service import Service
from flows.serve.supervisor import supervise

STAND_IN = Path(__file__).with_name("stand_in.py")


def make_part(told: dict[str, Any]) -> Service:
    port = told.get("port", 0)

    def note_settled(runs: Collection[str]) -> None:
        print(f"settled {told['name']}: {', '.join(sorted(runs))}", flush=True)

    return Service(
        told["name"],
        tuple(told.get("command") or (sys.executable, str(STAND_IN), str(port), *told["arguments"])),
        dict(os.environ),
        told.get("stop_seconds", 2.0),
        told.get("start_seconds", 60.0),
        once=told.get("once", False),
        ask_ready=lambda _: answers(f"http://127.0.0.1:{port}/"),
        settle=note_settled,
    )


def main() -> int:
    stages = [[make_part(part) for part in stage] for stage in json.loads(sys.argv[2])]
    try:
        supervise(stages, Path(sys.argv[1]), "all is up")
    except ExemplarsError as error:
        print(f"exemplars: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
