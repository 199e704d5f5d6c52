"""Stands in for the package ``regex``: Python's own ``re``, with the characters of each Unicode property written out.

Only the patterns that the copied modules compile are known; ``expectations.gx_project.code`` writes them.
"""

import json
import re
from pathlib import Path

PATTERNS_FILE = "patterns.json"


def compile(pattern: str) -> re.Pattern[str]:  # noqa: A001 (it is called as in ``regex``)
    """Compiles one of the patterns that were written out."""
    written: dict[str, str] = json.loads((Path(__file__).parent / PATTERNS_FILE).read_text(encoding="utf-8"))
    return re.compile(written[pattern])
