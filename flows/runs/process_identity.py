"""Which process a flow run is in, in a name that tells whether that process is still there."""

import os
import socket
from pathlib import Path

# No system gives out process ids of more digits.
_PID_DIGITS = 10


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
        started = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip()
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
        state, *fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return ""
    return "ended" if state in "ZX" else fields[18]
