"""``make serve`` with a stand-in for the HTTP door."""

import sys
from pathlib import Path

from flows.serve.__main__ import main
from flows.serve.ports import answers
from flows.serve.service import Service
from flows.serve.services import Site

STAND_IN = Path(__file__).with_name("stand_in.py")


def make_door(site: Site) -> Service:
    command = (sys.executable, str(STAND_IN), str(site.door_port))
    return Service("door", command, site.variables, 2.0, ask_ready=lambda _: answers(f"{site.door}/v1/health"))


if __name__ == "__main__":
    sys.exit(main(make_door))
