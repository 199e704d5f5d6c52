"""The walk of docs/guides/http.md with a key in hand: each block prints what stands below it."""

import shutil
import sys
from pathlib import Path

import pytest
from fakes.blocks import find_blocks, run_blocks, settle
from fakes.stack import Stack
from fakes.workspace import ROOT

WALK = [block for block in find_blocks((ROOT / "docs/guides/http.md").read_text()) if block.language == "sh"]
API = "http://127.0.0.1:8000/v1"


@pytest.mark.usefixtures("taken_here")
def test_every_block_prints_what_is_shown(stack: Stack) -> None:
    workspace, variables = stack.workspace, {**stack.http_api.variables, "TMPDIR": str(stack.workspace.folder)}
    variables["PATH"] = f"{Path(sys.executable).parent}:{variables['PATH']}"
    for name in ("u22a8.technical-writing", "u22a8.support-reply"):
        shutil.copytree(ROOT / "data/models" / name, workspace.model.with_name(name))
    shutil.copy(ROOT / "data/effort.yaml", workspace.folder)
    printed = run_blocks([block.text.replace(API, stack.http_api.url) for block in WALK], ROOT, variables)
    workspace.write_effort()

    for block, told in zip(WALK, printed, strict=True):
        assert settle(block.shown) == settle(told.replace(f"{workspace.folder}/", "data/")), block.text
