"""A program that serves stand-ins as ``make serve`` serves its services: their descriptions as JSON, and a folder."""

import json
import os
import sys
from pathlib import Path
from typing import Any

from engine.errors import ExemplarsError
from engine.system.guard import run_guarded
from flows.serve import GUARDED, Service, answers, run_services

STAND_IN = Path(__file__).with_name("stand_in.py")


def make_service(told: dict[str, Any]) -> Service:
    arguments = (str(STAND_IN), str(told["port"]), *told["arguments"])
    url = f"http://127.0.0.1:{told['port']}/"
    return Service(
        told["name"],
        arguments,
        dict(os.environ),
        None if told.get("is_step") else lambda _: answers(url),
        lambda: print(f"settled {told['name']}", flush=True),
    )


def main() -> int:
    if GUARDED not in sys.argv:
        return run_guarded([sys.executable, "-m", "tests.fakes.supervised", *sys.argv[1:], GUARDED])
    stages = [[make_service(told) for told in stage] for stage in json.loads(sys.argv[2])]
    try:
        run_services(stages, Path(sys.argv[1]), "all is up", float(sys.argv[3]))
    except ExemplarsError as error:
        print(f"exemplars: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
