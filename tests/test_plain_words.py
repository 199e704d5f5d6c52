"""Docstrings open with an imperative or a noun phrase, and names are nouns in standard terms."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("engine", "flows", "tasks", "expectations", "exemplars", "scripts")
VERBS = """Adds Applies Asks Attaches Builds Calls Checks Collects Compares Computes Copies Counts Creates Deletes
Describes Draws Drops Ends Examines Explains Exports Fills Finds Fits Gathers Gives Gets Handles Has Hands Holds Issues
Joins Keeps Lays Lets Lists Loads Looks Makes Marks Measures Moves Names Notes Offers Opens Packs Parses Passes Picks
Prints Projects Puts Queues Raises Reads Receives Records Removes Renders Replaces Reports Returns Revokes Runs Saves
Says Searches Sends Serves Sets Shows Sorts Splits Starts Stores Surveys Takes Tells Tries Turns Updates Verifies Waits
Warns Words Works Writes Yields""".split()
# These are plurals too: a docstring may open with "Counts of …" and "Names of …", but not with "Counts how …".
NOUNS = r"(?!,| (?:of|that|for|and|from|over|to)\b)"
CLAUSE = re.compile(
    r"(?:What|Whether|Where|How|Why|Who|Those|That|Of|By)\b|" + rf"(?:{'|'.join(VERBS)})\b{NOUNS}|.*\bis said to\b"
)
BETTER = {
    "said": "message",
    "told": "message",
    "found": "matches, result",
    "wanted": "requested",
    "asked": "request",
    "made": "generated",
    "came": "received",
    "stood": "passed",
    "standing": "candidate",
    "lacking": "missing",
    "beside": "against",
    "untold": "inseparable",
    "settled": "deduplicated",
    "morning": "daily_summary",
    "leftovers": "garbage",
}
# Names that files, the HTTP API or the command line fix.
PUBLIC = {
    "only_lacking": "option --only-lacking and parameter of the flows",
    "OnlyLackingOption": "the same",
    "found": "JSON key of a problem in a definition",
    "ModelNotFoundError": "HTTP's own term",
}
ATTRIBUTES = {
    "made": "key of embedded_models.yaml",
    "said": "JSON key of a decision, column of the batches",
    "wanted": "JSON key of a plan, a verdict and a backfill's row, parameter of the suites",
    "standing": "JSON key of ``exemplars show``",
}


def find_coined(source: str) -> Iterator[tuple[int, str, str]]:
    """Yield line, word and better word of each docstring and name that a reader has to translate."""
    tree = ast.parse(source)
    kinds = [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    fields = {id(line.target) for kind in kinds for line in kind.body if isinstance(line, ast.AnnAssign)}
    for node in ast.walk(tree):
        match node:
            case ast.Module() | ast.ClassDef() | ast.FunctionDef() | ast.AsyncFunctionDef():
                opener = CLAUSE.match(ast.get_docstring(node) or "")
                if opener:
                    yield getattr(node, "lineno", 1), opener[0], "an imperative, or a noun phrase"
        match node:
            case ast.Name(id=name, ctx=ast.Store()):
                allowed = PUBLIC | ATTRIBUTES if id(node) in fields else PUBLIC
            case ast.arg(arg=name):
                allowed = PUBLIC
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                allowed = PUBLIC
            case _:
                continue
        words = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower().split("_")
        for word in words:
            if word in BETTER and name not in allowed:
                yield node.lineno, name, BETTER[word]


def test_code_reads_at_first_sight() -> None:
    places = [
        f"{path.relative_to(ROOT)}:{line}: {word}: {better}"
        for folder in FOLDERS
        for path in sorted((ROOT / folder).rglob("*.py"))
        for line, word, better in find_coined(path.read_text())
    ]

    assert [] == places


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ('"""What a run asks for."""', ["What"]),
        ('def load():\n    """Reads a model."""', ["Reads"]),
        ('def load():\n    """Read a model: what it lacks is an error."""', []),
        ('"""Names of traits."""', []),
        ("def find(wanted, count):\n    said = count", ["wanted", "said"]),
        ("class Standing:\n    made: str\n    told: str", ["Standing", "told"]),
        ('class Writer:\n    """Writes rows."""', ["Writes"]),
        ("message = found_texts", []),
        ("found_texts = 1", ["found_texts"]),
    ],
)
def test_coined_words_are_found(source: str, words: list[str]) -> None:
    assert sorted(words) == sorted(word for _, word, _ in find_coined(source))
