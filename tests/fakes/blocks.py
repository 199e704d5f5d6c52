"""Blocks of a document: what they are, what they print in one shell, and what of that is the same each time."""

import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

COMMANDS = ("sh", "console")
OUTPUTS = ("text", "json", "http", "markdown")
SEPARATOR = "\036"
SHELL_SECONDS = 1_500
UNSTABLE = {
    r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b": "<uuid>",
    r"\b[0-9a-f]{32}\b": "<request id>",
    r"\b[0-9a-f]{12}\b": "<key id>",
    r"\d{4}-\d\d-\d\dT[\d:.]+Z": "<time>",
    r"^date: .*": "date: <time>",
    r"^content-length: \d+": "content-length: <number>",
    r"\b(?:queued|running)\b": "<live>",
}
# What a language model has written, and what follows from it.
WRITTEN = r'"(id|text|content_sha256)": (?:\d+|".*")'


@dataclass(frozen=True)
class Block:
    """``shown`` is the block of output below it, empty where there is none."""

    language: str
    text: str
    shown: str


def find_blocks(document: str) -> list[Block]:
    found = re.findall(r"^```(\w+)\n(.*?)^```$", document, re.MULTILINE | re.DOTALL)
    below = [*found[1:], ("", "")]
    return [
        Block(language, text, next_text if language in COMMANDS and next_language in OUTPUTS else "")
        for (language, text), (next_language, next_text) in zip(found, below, strict=True)
        if language not in OUTPUTS
    ]


def run_blocks(texts: Sequence[str], folder: Path, variables: Mapping[str, str]) -> list[str]:
    """What each prints on either stream, one after the other in one session of bash."""
    script = f"\nprintf '{SEPARATOR}'\n".join(texts)
    ended = subprocess.run(
        ["bash", "-c", script],
        cwd=folder,
        env=dict(variables),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=SHELL_SECONDS,
        text=True,
        check=False,
    )
    return ended.stdout.split(SEPARATOR)


def settle(printed: str) -> str:
    """The output without what changes from run to run: ids, times, and texts that a model has written."""
    for pattern, name in UNSTABLE.items():
        printed = re.sub(pattern, name, printed, flags=re.MULTILINE)
    if '"provenance": "synthesized"' in printed:
        printed = re.sub(WRITTEN, r'"\1": <written>', printed)
    return "\n".join(line.rstrip() for line in printed.strip().splitlines())
