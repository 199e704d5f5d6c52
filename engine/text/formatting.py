"""Format numbers, costs and names for people, and keeps foreign texts from being obeyed by what shows them.

That is a terminal, a spreadsheet, markdown, or a page's script.
"""

import json
import math
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from markupsafe import Markup

if TYPE_CHECKING:
    from jinja2 import Environment, Template

QUOTED_CHARS = 120
# Below this many seconds they are shown as such.
MAX_SHOWN_SECONDS = 90
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


def capitalise(sentence: str) -> str:
    """Make the first letter of a sentence a capital and leaves the others as they are."""
    return sentence[:1].upper() + sentence[1:]


def name_reason(code: str) -> str:
    """Name a reason code in words: ``near_duplicate`` → “near duplicate”, ``surplus`` → “to spare”."""
    return "to spare" if code == "surplus" else code.replace("_", " ")


def describe_others(rejected: int, spare: int) -> str:
    """Describe what was not chosen; what is to spare was not rejected, since nothing is wrong with it."""
    return f"{rejected:,} rejected, {spare:,} to spare" if spare else f"{rejected:,} rejected"


def shorten(text: str, most_chars: int) -> str:
    """Cut a text at so many characters, with “…” as the last of them."""
    return text if len(text) <= most_chars else f"{text[: most_chars - 1]}…"


def quote_reply(said: str) -> str:
    """Quote the beginning of a model's reply in one line; “an empty one” where there is nothing in it."""
    folded = " ".join(said.split())
    return f"“{shorten(folded, QUOTED_CHARS)}”" if folded else "an empty one"


def count_noun(number: int, noun: str, plural: str | None = None) -> str:
    """Format a number with its noun: “1 exemplar”, “2,048 exemplars”."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {plural or f'{noun}s'}"


def join_words(words: Sequence[str]) -> str:
    """Join words as a sentence does: “forms, audiences and lengths”; an empty text for none."""
    return " and ".join(part for part in (", ".join(words[:-1]), *words[-1:]) if part)


def name_some(names: Sequence[str], most: int = 3) -> str:
    """Name the first of many: “a, b, c and 28 more”."""
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return f"{', '.join(names[:most])}{more}"


def format_cost(cost_usd: float | None) -> str:
    """Format a cost in US dollars, “not known” for None; a cost below $0.10 keeps at least two significant digits."""
    if cost_usd is None:
        return "not known"
    if cost_usd == 0 or cost_usd >= 0.1:
        return f"${cost_usd:,.2f}"
    return f"${cost_usd:.{max(4, 1 - math.floor(math.log10(cost_usd)))}f}"


def format_seconds(seconds: float) -> str:
    """“50 s”, “7 min”, “2 h 5 min”."""
    if seconds < MAX_SHOWN_SECONDS:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


def format_bytes(number: float) -> str:
    """A size in decimal units: ``491 MB``, ``1.1 GB``."""
    return f"{number / 1e9:,.1f} GB" if number >= 1e9 else f"{number / 1e6:,.0f} MB"


def show_controls(text: str) -> str:
    """Write the characters that a terminal would obey as JSON does, ESC as ``\\u001b``: JSON stays the same JSON."""
    return _CONTROL.sub(lambda found: f"\\u{ord(found.group()):04x}", text)


def quote_formulas(text: str) -> str:
    """Put a single quote before whatever a spreadsheet would take for a formula."""
    return _RUN.sub(lambda found: found[0] if found[2] is None else f"{found[0]}'", text)


def unquote_formulas(text: str) -> str:
    """Take off what ``quote_formulas`` has put into a text, and nothing else."""
    return _QUOTED.sub(r"\1", text)


def embed_json(data: object) -> Markup:
    """JSON for a script element; only ``<`` is escaped, as it could end the element or open a comment."""
    return Markup(json.dumps(data, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c"))  # noqa: S704


def render_markdown(template: Path, **values: object) -> str:
    """Render a template file, which may use the filters ``line`` and ``cell``."""
    return _load_template(template).render(values)


@cache
def load_pages(folder: Path) -> "Environment":
    """The templates of pages in a folder, in which markup in texts is escaped."""
    import jinja2

    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def as_line(text: str) -> str:
    """Put a text on one line and escapes what would be HTML, a link, an image, or open a block such as a heading."""
    line = _INLINE.sub(r"\\\g<0>", " ".join(text.split()))
    if _NUMBER.match(line):
        return _NUMBER.sub(r"\1\\", line, count=1)
    return f"\\{line}" if line and _OPENER.match(line) else line


def as_cell(text: str) -> str:
    """Put a text into one cell of a table."""
    return _INLINE.sub(r"\\\g<0>", " ".join(text.split())).replace("|", "\\|")


@cache
def _load_template(template: Path) -> "Template":
    # Every command imports this module, and few render.
    import jinja2

    # Markdown for people and for the hub, which sanitizes it: escaping HTML would spoil the texts.
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, autoescape=False, trim_blocks=True)  # noqa: S701
    environment.filters |= {"line": as_line, "cell": as_cell}
    return environment.from_string(template.read_text(encoding="utf-8"))
