"""Writes samples as CSV that a spreadsheet opens without running any of it."""

import csv
from pathlib import Path

from engine.domain.formulas import quote_formulas
from engine.domain.samples import SAMPLE_SCHEMA
from engine.export.attached import AttachedSamples
from engine.export.lines import walk_entries


def write_csv(samples: AttachedSamples, file: Path) -> int:
    """Writes a row a sample below a header, with ``handle``, ``pool`` and all columns, and returns how many."""
    written = 0
    with file.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["handle", "pool", *SAMPLE_SCHEMA.names])
        for entry in walk_entries(samples):
            writer.writerow([quote_formulas(cell) if isinstance(cell, str) else cell for cell in entry.values()])
            written += 1
    return written
