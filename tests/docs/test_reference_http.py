"""The tables of docs/reference/http.md are complete, and the program of the guide is the file beside it."""

import re
from typing import get_args

from fakes.blocks import find_blocks
from fakes.workspace import ROOT

from engine.settings import Settings
from flows.api.app import make_app
from flows.api.errors import Code

DOCUMENT = (ROOT / "docs/reference/http.md").read_text()
PROGRAM = (ROOT / "docs/guides/http/program.md").read_text()


def test_program_of_the_document_is_the_file() -> None:
    [block] = [block for block in find_blocks(PROGRAM) if block.language == "python"]

    assert (ROOT / "docs/synthesize.py").read_text() == block.text
    assert block.text.count("\n") < 40


def test_statuses_and_codes_of_the_document_are_those_of_the_door() -> None:
    table = DOCUMENT.split("| status |")[1].split("\n\n")[0]
    written = {(status, code) for status, code in re.findall(r"^\| (\d+) \| `(\w+)` \|", table, re.MULTILINE)}
    described = {
        (status, code)
        for path in make_app(Settings()).openapi()["paths"].values()
        for operation in path.values()
        for status, answer in operation["responses"].items()
        for code in re.findall(r"`(\w+)`", answer["description"].partition("Codes: ")[2])
    }

    assert set(get_args(Code)) == {code for _, code in written}
    assert set() == described - written
