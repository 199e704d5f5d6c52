"""The process around a service of ``make serve``: it stops the service and its processes when its own parent ends.

It notices that by the end of its standard input, which closes even if the parent is killed with ``kill -9``.
"""

import os
import subprocess
import sys
import threading

from flows.serve.processes import MARK, stop_marked


def main() -> int:
    """Runs ``<mark> <seconds> <command …>`` and returns the command's exit code as a shell would.

    ``seconds`` is how long the command and its processes have to stop.
    """
    mark, seconds, command = sys.argv[1], float(sys.argv[2]), sys.argv[3:]
    try:
        # A session of its own: Ctrl-C goes to the whole foreground group, but the services have to stop in order.
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
        # The command has ended, but perhaps not yet all that it started.
        stopper.join()
    return code if code >= 0 else 128 - code


def _stop_with_parent(pid: int, mark: str, seconds: float, stopping: threading.Event) -> None:
    # Not through sys.stdin: the interpreter cannot end while a thread waits in its buffer.
    os.read(0, 1)
    stopping.set()
    stop_marked(mark, pid, seconds)


if __name__ == "__main__":
    sys.exit(main())
