"""Renders markdown from templates, and keeps foreign texts within one line or one table cell of the page."""

import re
from functools import cache
from pathlib import Path

import jinja2

# What within a line makes HTML, a link or an image, and a backslash, lest it escape ours (CommonMark, 2.4 and 6).
_INLINE = re.compile(r"\\|<(?=[A-Za-z/!?])|(?<=!)\[|\](?=[(\[])")
# What opens a block at the start of a line (CommonMark, sections 4 and 5): a heading, a quote, a list, a fence, a rule,
# an underline, a table, HTML. In a numbered list the mark comes after the number.
_OPENER = re.compile(r"(?=#{1,6}(?:\s|$)|[>|<]|[-+*](?:\s|$)|```|~~~|[-=*_\s]+$|\[[^\]]*\]:)")
_NUMBER = re.compile(r"(\d{1,9})(?=[.)](?:\s|$))")


def render_markdown(template: Path, **values: object) -> str:
    """Renders a template file, which may use the filters ``line`` and ``cell``."""
    return _load_template(template).render(values)


@cache
def _load_template(template: Path) -> jinja2.Template:
    # Markdown for people and for the hub, which sanitizes it: escaping HTML would spoil the texts.
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, autoescape=False, trim_blocks=True)  # noqa: S701
    environment.filters |= {"line": as_line, "cell": as_cell}
    return environment.from_string(template.read_text(encoding="utf-8"))


def as_line(text: str) -> str:
    """Puts a text on one line and escapes what would be HTML, a link, an image, or open a block such as a heading."""
    line = _INLINE.sub(r"\\\g<0>", " ".join(text.split()))
    if _NUMBER.match(line):
        return _NUMBER.sub(r"\1\\", line, count=1)
    return f"\\{line}" if line and _OPENER.match(line) else line


def as_cell(text: str) -> str:
    """Puts a text into one cell of a table."""
    return _INLINE.sub(r"\\\g<0>", " ".join(text.split())).replace("|", "\\|")
