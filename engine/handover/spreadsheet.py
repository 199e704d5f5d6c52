"""Writes samples as CSV that a spreadsheet opens without running any of it."""

import csv
import re
from pathlib import Path
from typing import Any

from engine.domain.samples import SAMPLE_SCHEMA
from engine.handover.attached import AttachedSamples
from engine.handover.lines import walk_entries

QUOTE = "'"
# What a spreadsheet takes for a formula (owasp.org/www-community/attacks/CSV_Injection), also after spaces. A cell that
# begins with the quote itself gets one more, so that exactly one quote is to be taken off every cell that has any.
_FORMULA = re.compile(f"\\s*[=+\\-@＝＋－＠]|[\t\r\n{QUOTE}]")


def write_csv(samples: AttachedSamples, file: Path) -> int:
    """Writes a row a sample below a header, with ``handle``, ``pool`` and all columns, and returns how many."""
    written = 0
    with file.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["handle", "pool", *SAMPLE_SCHEMA.names])
        for entry in walk_entries(samples):
            writer.writerow(map(quote_formula, entry.values()))
            written += 1
    return written


def quote_formula(cell: Any) -> Any:
    """Puts a single quote before a text that a spreadsheet would take for a formula, or that begins with one."""
    return f"{QUOTE}{cell}" if isinstance(cell, str) and _FORMULA.match(cell) else cell
