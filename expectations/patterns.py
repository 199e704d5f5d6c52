"""Tries the patterns of an author's suite before Great Expectations does, in a process that the system ends in time.

Python's patterns go back and try again, some without an end, and hold Python's lock meanwhile: nothing in the same
process could end them. What comes to its end there comes to its end here too, since both take the same steps.
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

# The process has its seconds of the processor, however busy the machine is. An error of a pattern is for Great
# Expectations to tell.
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
    """Finds the pattern at which a suite does not come to its end over a frame; None if it does.

    Args:
        seconds: of the processor, that all patterns of the suite have together.
    """
    patterns = [found for found in _list_patterns(suite) if found[1] in frame]
    if not patterns:
        return None
    # As Great Expectations matches: what is no text, as the text that pandas makes of it.
    texts = {column: frame[column].dropna().astype(str).unique().tolist() for _, column, _ in patterns}
    work = json.dumps([seconds, texts, [found[1:] for found in patterns]])
    ended = subprocess.run(
        [sys.executable, "-ISc", PROGRAM], input=work, capture_output=True, encoding="utf-8", check=False
    )
    if ended.returncode == 0:
        return None
    place, _, pattern = patterns[int((ended.stdout.split() or ["0"])[-1])]
    why = f"was not done with the texts after {seconds:g} s"
    if ended.returncode != -signal.SIGPROF:
        why = f"ended the process that tried it ({ended.returncode}: {ended.stderr[-200:].strip()})"
    found = f"{format_value(pattern)}, which {why}"
    return Problem(suite.place, None, place, found, "a pattern with no repetition inside a repetition, such as (a+)+")


def _list_patterns(suite: OwnSuite) -> Iterator[tuple[str, str, str]]:
    for number, item in enumerate(suite.expectations):
        arguments, at = item["kwargs"], f"expectations.{number}.kwargs"
        listed = arguments.get("regex_list")
        given = {f"{at}.regex": arguments.get("regex")}
        given |= {
            f"{at}.regex_list.{place}": its for place, its in enumerate(listed if isinstance(listed, list) else ())
        }
        for place, pattern in given.items():
            if isinstance(pattern, str):
                yield place, str(arguments.get("column")), pattern
