"""Try the patterns of an author's suite before Great Expectations does, in a process with a time limit.

Python's regular expressions backtrack, some endlessly, and hold Python's lock while they do: nothing in the same
process could end them. A pattern that ends in the trial ends in the gate too, because both take the same steps.
"""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator

import pandas as pd

from engine.definitions.mistakes import format_value
from engine.domain.model import OwnSuite
from engine.errors import Problem

# The limit is processor time, so it does not depend on the machine's load. Great Expectations reports the errors of
# patterns.
PROGRAM = """
import json, re, signal, sys, warnings
warnings.simplefilter("ignore")
signal.signal(signal.SIGPROF, signal.SIG_DFL)
seconds, texts, patterns = json.load(sys.stdin)
signal.setitimer(signal.ITIMER_PROF, seconds)
for number, (column, pattern) in enumerate(patterns):
    print(number, flush=True)
    try:
        for text in texts[column]:
            re.search(pattern, text)
    except Exception:
        continue
"""


def find_endless_pattern(suite: OwnSuite, frame: pd.DataFrame, seconds: float) -> Problem | None:
    """Return the first pattern of a suite that does not end on a frame; None if all end.

    Args:
        seconds: the processor time for all patterns of the suite together.
    """
    patterns = [item for item in _list_patterns(suite) if item[1] in frame]
    if not patterns:
        return None
    # Great Expectations also matches values that are not texts, in the form that pandas gives them.
    texts = {column: frame[column].dropna().astype(str).unique().tolist() for _, column, _ in patterns}
    work = json.dumps([seconds, texts, [item[1:] for item in patterns]])
    process = subprocess.run(
        [sys.executable, "-ISc", PROGRAM], input=work, capture_output=True, encoding="utf-8", check=False
    )
    if process.returncode == 0:
        return None
    path, _, pattern = patterns[int((process.stdout.split() or ["0"])[-1])]
    why = f"was not done with the texts after {seconds:g} s"
    if process.returncode != -signal.SIGPROF:
        why = f"ended the process that tried it ({process.returncode}: {process.stderr[-200:].strip()})"
    value = f"{format_value(pattern)}, which {why}"
    return Problem(suite.place, None, path, value, "a pattern with no repetition inside a repetition, such as (a+)+")


def _list_patterns(suite: OwnSuite) -> Iterator[tuple[str, str, str]]:
    for number, item in enumerate(suite.expectations):
        arguments, path = item["kwargs"], f"expectations.{number}.kwargs"
        regex_list = arguments.get("regex_list")
        patterns = {f"{path}.regex": arguments.get("regex")}
        patterns |= {
            f"{path}.regex_list.{index}": pattern
            for index, pattern in enumerate(regex_list if isinstance(regex_list, list) else ())
        }
        for pattern_path, pattern in patterns.items():
            if isinstance(pattern, str):
                yield pattern_path, str(arguments.get("column")), pattern
