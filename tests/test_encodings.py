"""Text files are UTF-8 in every locale: each place in the code says so, also where ruff cannot tell what it reads."""

import ast
from collections.abc import Iterator

from fakes.workspace import ROOT

CODE = ("engine", "exemplars", "expectations", "flows", "tasks")
FILES = [file for folder in CODE for file in (ROOT / folder).rglob("*.py")]


def list_places(code: str) -> Iterator[int]:
    """The lines that read or write a text file without its encoding, or a process's output as text."""
    for call in (node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Call)):
        name = call.func.attr if isinstance(call.func, ast.Attribute) else ""
        given = {keyword.arg for keyword in call.keywords}
        is_file, is_process = name in ("read_text", "write_text"), name in ("run", "Popen") and "text" in given
        if "encoding" not in given and (is_file or is_process):
            yield call.lineno


def test_place_without_its_encoding_is_found() -> None:
    code = (
        "FILE.read_text()\nlog.write_text('x', errors='replace')\nsubprocess.run(['x'], text=True)\n"
        "FILE.read_text(encoding='utf-8')\nFILE.read_bytes()"
    )

    assert [1, 2, 3] == list(list_places(code))


def test_every_text_file_has_its_encoding() -> None:
    found = [f"{file.relative_to(ROOT)}:{line}" for file in FILES for line in list_places(file.read_text("utf-8"))]

    assert len(FILES) > 100
    assert [] == found
