"""A program that stands in for a part of ``make serve``: it answers every GET with 200, or misbehaves as it is told."""

import argparse
import os
import signal
import subprocess
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        return


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("--fails", action="store_true", help="says why, and ends with 4")
    parser.add_argument("--mute", action="store_true", help="never answers")
    parser.add_argument("--deaf", action="store_true", help="is not ended by SIGTERM")
    parser.add_argument("--run", help="starts a process for the flow run of this id, and one that this one starts")
    told = parser.parse_args()
    if told.deaf:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if told.fails:
        print("first words\nthe cellar is flooded", flush=True)
        sys.exit(4)
    if told.run:
        nested = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import time; time.sleep(600)'])"
        environment = {**os.environ, "PREFECT__FLOW_RUN_ID": told.run}
        subprocess.Popen([sys.executable, "-c", nested], env=environment, start_new_session=True)
    if told.mute:
        time.sleep(600)
    print("up", flush=True)
    ThreadingHTTPServer(("127.0.0.1", told.port), Handler).serve_forever()


if __name__ == "__main__":
    main()
