"""Keeps foreign texts from being obeyed by what shows them: a terminal, a spreadsheet, markdown, a page's script."""

import json
import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from markupsafe import Markup

if TYPE_CHECKING:
    from jinja2 import Template

# What a terminal obeys, or cannot be given, but a tab and a line feed: C0 and C1 (ECMA-48), delete, line and paragraph
# separators, bidirectional embeddings, overrides and isolates (trojansource.codes), and halves of surrogate pairs, as
# which Python has the bytes of a file's name that are no characters.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
# Where a cell may begin: with the text, and after what separates cells or rows in a spreadsheet, for which quotes of
# the file may mean nothing. A formula begins there with one of these (owasp.org/www-community/attacks/CSV_Injection).
_BEGINNING = r'((?:^|[,;|\t\r\n])[\s"]*+)'
_FORMULA = "(?='*[=+\\-@＝＋－＠])"
# Without a formula too, so that what may begin a cell is passed over once, however many line breaks it has.
_RUN, _QUOTED = re.compile(f"{_BEGINNING}(?:(){_FORMULA}|)"), re.compile(f"{_BEGINNING}(?:'{_FORMULA}|)")
# What within a line makes HTML, a link or an image, and a backslash, lest it escape ours (CommonMark, 2.4 and 6).
_INLINE = re.compile(r"\\|<(?=[A-Za-z/!?])|(?<=!)\[|\](?=[(\[])")
# What opens a block at the start of a line (CommonMark, sections 4 and 5): a heading, a quote, a list, a fence, a rule,
# an underline, a table, HTML. In a numbered list the mark comes after the number.
_OPENER = re.compile(r"(?=#{1,6}(?:\s|$)|[>|<]|[-+*](?:\s|$)|```|~~~|[-=*_\s]+$|\[[^\]]*\]:)")
_NUMBER = re.compile(r"(\d{1,9})(?=[.)](?:\s|$))")


def show_controls(text: str) -> str:
    """Writes the characters that a terminal would obey as JSON does, ESC as ``\\u001b``: JSON stays the same JSON."""
    return _CONTROL.sub(lambda found: f"\\u{ord(found.group()):04x}", text)


def quote_formulas(text: str) -> str:
    """Puts a single quote before whatever a spreadsheet would take for a formula."""
    return _RUN.sub(lambda found: found[0] if found[2] is None else f"{found[0]}'", text)


def unquote_formulas(text: str) -> str:
    """Takes off what ``quote_formulas`` has put into a text, and nothing else."""
    return _QUOTED.sub(r"\1", text)


def embed_json(data: object) -> Markup:
    """JSON for a script element; only ``<`` is escaped, as it could end the element or open a comment."""
    return Markup(json.dumps(data, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c"))  # noqa: S704


def render_markdown(template: Path, **values: object) -> str:
    """Renders a template file, which may use the filters ``line`` and ``cell``."""
    return _load_template(template).render(values)


def as_line(text: str) -> str:
    """Puts a text on one line and escapes what would be HTML, a link, an image, or open a block such as a heading."""
    line = _INLINE.sub(r"\\\g<0>", " ".join(text.split()))
    if _NUMBER.match(line):
        return _NUMBER.sub(r"\1\\", line, count=1)
    return f"\\{line}" if line and _OPENER.match(line) else line


def as_cell(text: str) -> str:
    """Puts a text into one cell of a table."""
    return _INLINE.sub(r"\\\g<0>", " ".join(text.split())).replace("|", "\\|")


@cache
def _load_template(template: Path) -> "Template":
    # Every command imports this module, and few render.
    import jinja2

    # Markdown for people and for the hub, which sanitizes it: escaping HTML would spoil the texts.
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, autoescape=False, trim_blocks=True)  # noqa: S701
    environment.filters |= {"line": as_line, "cell": as_cell}
    return environment.from_string(template.read_text(encoding="utf-8"))
