"""Marks: what a flow run says of itself in Prefect, so that the door and other runs know which model it works on.

A tag names the model. Labels, which the UI does not show, say which lease the run holds or held and in which process.
"""

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

FLOW = "synthesize"
# In the last line of a failed run's message, before a path on the machine that it ran on.
KEPT = "The rejected rows and the report are kept"
LIVE_TYPES = ("SCHEDULED", "PENDING", "RUNNING", "PAUSED", "CANCELLING")

_LEASE = "exemplars.lease"
_LEASED_AT = "exemplars.leased_at"
_PROCESS = "exemplars.process"


@dataclass(frozen=True, slots=True)
class Mark:
    """A lease that a run holds or held: ``lease_id`` is empty once it was given back."""

    lease_id: str
    leased_at: datetime
    process: str

    def given_back(self) -> "Mark":
        """The mark of the same run when it holds the lease no more."""
        return replace(self, lease_id="")

    def to_labels(self) -> dict[str, str]:
        """The labels of the flow run."""
        return {_LEASE: self.lease_id, _LEASED_AT: self.leased_at.isoformat(), _PROCESS: self.process}


# The labels of a run that never held the lease after all.
NO_MARK: Mapping[str, str] = {_LEASE: "", _LEASED_AT: ""}


def name_tag(handle: str) -> str:
    """The tag of the runs of a model."""
    return f"model:{handle}"


def read_mark(labels: Mapping[str, object]) -> Mark | None:
    """The mark of a run that holds or held its model's lease; None for one that never did."""
    leased_at = labels.get(_LEASED_AT)
    if not isinstance(leased_at, str) or not leased_at:
        return None
    moment = datetime.fromisoformat(leased_at).astimezone(UTC)
    return Mark(str(labels.get(_LEASE, "")), moment, str(labels.get(_PROCESS, "")))


def name_process() -> str:
    """This process, as host, process id and when it began: ids are given again, after a restart at the latest."""
    return f"{socket.gethostname()}/{os.getpid()}/{_read_begin(os.getpid())}"


def is_gone(process: str) -> bool | None:
    """Whether a process has ended; None where that cannot be known from this host."""
    if process.count("/") != 2:
        return None
    host, pid, begin = process.split("/")
    if host != socket.gethostname() or not pid.isdigit():
        return None
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass
    return _read_begin(int(pid)) != begin


def _read_begin(pid: int) -> str:
    """Clock ticks from the host's start to the process's (proc(5), field 22 of stat); ``ended`` for a zombie."""
    try:
        state, *fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        # No /proc on this system: the process id has to do.
        return ""
    return "ended" if state in "ZX" else fields[18]
