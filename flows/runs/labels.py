"""The tags and labels of a flow run in Prefect, by which the HTTP door and other runs know which model it works on.

A tag names the model. Labels, which the UI does not show, say which lease the run holds or held, and in which process.
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
AGAIN = "The replies so far are kept: a new run of this model asks only for what is missing."
LIVE_TYPES = ("SCHEDULED", "PENDING", "RUNNING", "PAUSED", "CANCELLING")
# Runs that the HTTP door asked for: its chain of idempotency keys goes over these alone.
DOOR_TAG = "http"
# SQLite's json_array takes 127 arguments, which is what Prefect makes of a list of tags.
TAGS_AT_ONCE = 50

_LEASE = "exemplars.lease"
_LEASED_AT = "exemplars.leased_at"
_PROCESS = "exemplars.process"
# No system gives out process ids of more digits.
_PID_DIGITS = 10


@dataclass(frozen=True, slots=True)
class LeaseLabels:
    """The labels of a run that holds or held a lease; ``lease_id`` is empty once the lease was released."""

    lease_id: str
    leased_at: datetime
    process: str

    def released(self) -> "LeaseLabels":
        """The labels of the same run after it has released the lease."""
        return replace(self, lease_id="")

    def to_labels(self) -> dict[str, str]:
        """The labels as Prefect has them, by name."""
        return {_LEASE: self.lease_id, _LEASED_AT: self.leased_at.isoformat(), _PROCESS: self.process}


# The labels of a run that never held the lease after all.
NO_LEASE_LABELS: Mapping[str, str] = {_LEASE: "", _LEASED_AT: ""}


def name_tag(handle: str) -> str:
    """The tag that all runs of a model have."""
    return f"model:{handle}"


def read_lease_labels(labels: Mapping[str, object]) -> LeaseLabels | None:
    """The labels of a run that holds or held its model's lease; None for one that never did.

    Anybody may write labels: those that cannot be read count as none.
    """
    try:
        moment = datetime.fromisoformat(str(labels[_LEASED_AT])).astimezone(UTC)
    except (KeyError, ValueError, OverflowError):
        return None
    return LeaseLabels(str(labels.get(_LEASE, "")), moment, str(labels.get(_PROCESS, "")))


def name_process() -> str:
    """The name of this process: where it runs, its id, and when it began, since ids are used again."""
    return f"{_name_place()}/{os.getpid()}/{_read_begin(os.getpid())}"


def describe_process(process: str) -> str:
    """A process in words for a person: “process 4711 on host-1”."""
    place, _, pid = process.rpartition("/")[0].rpartition("/")
    return f"process {pid} on {place.partition('|')[0]}"


def is_gone(process: str) -> bool | None:
    """Whether a process has ended; None where that cannot be known from this machine."""
    place, _, pid = process.rpartition("/")[0].rpartition("/")
    begin = process.rpartition("/")[2]
    if place != _name_place() or not pid.isascii() or not pid.isdigit() or len(pid) > _PID_DIGITS:
        return None
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass
    except OverflowError:
        return None
    now = _read_begin(int(pid))
    # A system may hide other users' processes.
    return None if begin and not now else now != begin


def _name_place() -> str:
    """The host, the start of its system, and its namespace of process ids: containers may share all but the last."""
    try:
        started = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        namespace = str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        # No such system: the host's name has to do.
        started = namespace = ""
    return f"{socket.gethostname()}|{started}|{namespace}"


def _read_begin(pid: int) -> str:
    """Clock ticks from the system's start to the process's (proc(5), field 22 of stat); ``ended`` for a zombie.

    Empty where it cannot be read; without ``/proc`` the process id has to do.
    """
    try:
        state, *fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "ended" if state in "ZX" else fields[18]
