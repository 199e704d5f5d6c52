"""The process around a part of ``make serve``: it ends the part, and all that it started, when its own parent ends.

It is told to by the end of its standard input, which comes with ``kill -9`` of the parent too.
"""

import os
import subprocess
import sys
import threading

from flows.serve.processes import MARK, stop_marked


def main() -> int:
    """Runs ``<mark> <seconds> <command …>``: what the command starts has so long to end. Exits as a shell does."""
    mark, seconds, command = sys.argv[1], float(sys.argv[2]), sys.argv[3:]
    try:
        # A session of its own: Ctrl-C goes to the foreground group, and the parts end one after the other.
        process = subprocess.Popen(
            command, env={**os.environ, MARK: mark}, stdin=subprocess.DEVNULL, start_new_session=True
        )
    except OSError as error:
        print(f"{command[0]}: {error.strerror}", file=sys.stderr)
        return 127
    stopping = threading.Event()
    stopper = threading.Thread(target=_stop_with_parent, args=(process.pid, mark, seconds, stopping), daemon=True)
    stopper.start()
    code = process.wait()
    if stopping.is_set():
        # The command has ended, what it started perhaps not yet.
        stopper.join()
    return code if code >= 0 else 128 - code


def _stop_with_parent(pid: int, mark: str, seconds: float, stopping: threading.Event) -> None:
    # Not through sys.stdin: a buffer that a thread waits in cannot be given up when the interpreter ends.
    os.read(0, 1)
    stopping.set()
    stop_marked(mark, pid, seconds)


if __name__ == "__main__":
    sys.exit(main())
