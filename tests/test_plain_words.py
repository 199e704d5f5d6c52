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
NOUNS = r"(?! (?:of|that|for|and|from)\b)"
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
    "found": "JSON key of a problem in a definition",
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
