"""A flow that a script calls, without any of our commands around it: it works, and leaves nothing to complain of."""

import sys
from pathlib import Path

import pytest
from fakes.workspace import HANDLE, ROOT, make_workspace

pytestmark = pytest.mark.slow

SCRIPT = """
import asyncio, sys
from flows.synthesize import synthesize
print(asyncio.run(synthesize(sys.argv[1], effort="low")).status)
"""


def test_embedded_model_leaves_no_connection_open_at_the_end_of_a_script(prefect_server: str, tmp_path: Path) -> None:
    workspace = make_workspace(tmp_path)
    workspace.write_effort(exemplars_per_pole=1)
    file = tmp_path / "script.py"
    file.write_text(SCRIPT)
    started = workspace.start(
        HANDLE,
        program=(sys.executable, str(file)),
        PREFECT_API_URL=prefect_server,
        PREFECT_LOGGING_LEVEL="ERROR",
        PYTHONPATH=str(ROOT),
    )
    said, complained = started.communicate(timeout=240)

    assert ("attached\n", "") == (said, complained)
