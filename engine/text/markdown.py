"""Pages in markdown: the templates of the cards, and texts of other people that stay within their line of a page."""

import re
from functools import cache
from pathlib import Path

import jinja2

# What opens a block at the beginning of a line (CommonMark, sections 4 and 5): a heading, a quote, a list, a fence, a
# rule, an underline, a table, HTML; after a number the mark stands behind it.
_OPENER = re.compile(r"(?=#{1,6}(?:\s|$)|[>|<]|[-+*](?:\s|$)|```|~~~|[-=*_\s]+$|\[[^\]]*\]:)")
_NUMBER = re.compile(r"(\d{1,9})(?=[.)](?:\s|$))")


def render_markdown(template: Path, **values: object) -> str:
    """The page that a template file makes of values; it has the filters ``line`` and ``cell``."""
    return _load_template(template).render(values)


@cache
def _load_template(template: Path) -> jinja2.Template:
    # Markdown for people and for the hub, which sanitizes it: escaping HTML would spoil the texts.
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, autoescape=False, trim_blocks=True)  # noqa: S701
    environment.filters |= {"line": as_line, "cell": as_cell}
    return environment.from_string(template.read_text())


def as_line(text: str) -> str:
    """A text as one line that opens no block of its own, such as a heading or a list."""
    line = " ".join(text.split())
    if _NUMBER.match(line):
        return _NUMBER.sub(r"\1\\", line, count=1)
    return f"\\{line}" if line and _OPENER.match(line) else line


def as_cell(text: str) -> str:
    """A text as one cell of a table."""
    return " ".join(text.split()).replace("|", "\\|")
