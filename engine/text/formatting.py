"""Format numbers, costs and names for people, and escape foreign texts, so that no program that shows them obeys them.

Such a program is a terminal, a spreadsheet, a renderer of markdown, or a page's script.
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
# Durations below this are shown in seconds.
MAX_SHOWN_SECONDS = 90
# Characters that a terminal obeys or does not accept, except tab and line feed: C0 and C1 (ECMA-48), delete, line and
# paragraph separators, bidirectional embeddings, overrides and isolates (trojansource.codes), and halves of surrogate
# pairs, which Python uses for undecodable bytes of file names.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
# A cell may begin at the start of the text, and after a separator of cells or rows, because a spreadsheet may ignore
# the file's quotes. A formula begins with these characters (owasp.org/www-community/attacks/CSV_Injection).
_BEGINNING = r'((?:^|[,;|\t\r\n])[\s"]*+)'
_FORMULA = "(?='*[=+\\-@＝＋－＠])"
# Also matches beginnings without a formula, so that each is scanned once, even if it has many line breaks.
_RUN, _QUOTED = re.compile(f"{_BEGINNING}(?:(){_FORMULA}|)"), re.compile(f"{_BEGINNING}(?:'{_FORMULA}|)")
# Starts of HTML, a link or an image within a line, and a backslash, which could escape ours (CommonMark, 2.4 and 6).
_INLINE = re.compile(r"\\|<(?=[A-Za-z/!?])|(?<=!)\[|\](?=[(\[])")
# Starts of a block at the beginning of a line (CommonMark, sections 4 and 5): a heading, a quote, a list, a fence, a
# rule, an underline, a table, HTML. In a numbered list the mark follows the number.
_OPENER = re.compile(r"(?=#{1,6}(?:\s|$)|[>|<]|[-+*](?:\s|$)|```|~~~|[-=*_\s]+$|\[[^\]]*\]:)")
_NUMBER = re.compile(r"(\d{1,9})(?=[.)](?:\s|$))")


def capitalise(sentence: str) -> str:
    """Capitalise the first letter of a sentence, and leave all further letters unchanged."""
    return sentence[:1].upper() + sentence[1:]


def name_reason(code: str) -> str:
    """Return a reason code in words: ``near_duplicate`` → “near duplicate”."""
    return code.replace("_", " ")


def describe_others(rejected: int, spare: int) -> str:
    """Describe the texts that were not chosen. Surplus texts were not rejected, because nothing is wrong with them."""
    return f"{rejected:,} rejected, {spare:,} surplus" if spare else f"{rejected:,} rejected"


def shorten(text: str, most_chars: int) -> str:
    """Cut a text to ``most_chars`` characters; the last one is then “…”."""
    return text if len(text) <= most_chars else f"{text[: most_chars - 1]}…"


def quote_reply(reply: str) -> str:
    """Quote the beginning of a model's reply on one line; “an empty one” if the reply is blank."""
    folded = " ".join(reply.split())
    return f"“{shorten(folded, QUOTED_CHARS)}”" if folded else "an empty one"


def count_noun(number: int, noun: str, plural: str | None = None) -> str:
    """Format a number with its noun: “1 exemplar”, “2,048 exemplars”."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {plural or f'{noun}s'}"


def join_words(words: Sequence[str]) -> str:
    """Join words for a sentence: “forms, audiences and lengths”; no words give ""."""
    return " and ".join(part for part in (", ".join(words[:-1]), *words[-1:]) if part)


def name_some(names: Sequence[str], most: int = 3) -> str:
    """Return the first of many names, and the number of the rest: “a, b, c and 28 more”."""
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
    """Format a duration: “50 s”, “7 min”, “2 h 5 min”."""
    if seconds < MAX_SHOWN_SECONDS:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


def format_bytes(number: float) -> str:
    """Format a size in decimal units: ``491 MB``, ``1.1 GB``."""
    return f"{number / 1e9:,.1f} GB" if number >= 1e9 else f"{number / 1e6:,.0f} MB"


def show_controls(text: str) -> str:
    """Escape the characters that a terminal would obey as in JSON, ESC as ``\\u001b``: JSON keeps its meaning."""
    return _CONTROL.sub(lambda match: f"\\u{ord(match.group()):04x}", text)


def quote_formulas(text: str) -> str:
    """Put a single quote before everything that a spreadsheet would take for a formula."""
    return _RUN.sub(lambda match: match[0] if match[2] is None else f"{match[0]}'", text)


def unquote_formulas(text: str) -> str:
    """Remove the quotes that ``quote_formulas`` has put into a text, and no others."""
    return _QUOTED.sub(r"\1", text)


def embed_json(data: object) -> Markup:
    """Return JSON for a script element. Only ``<`` is escaped, because it could end the element or open a comment."""
    return Markup(json.dumps(data, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c"))  # noqa: S704


def render_markdown(template: Path, **values: object) -> str:
    """Render a template file, which may use the filters ``line`` and ``cell``."""
    return _load_template(template).render(values)


@cache
def load_pages(folder: Path) -> "Environment":
    """Return the environment of a folder's page templates. Markup in texts is escaped."""
    import jinja2

    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def as_line(text: str) -> str:
    """Put a text on one line, and escape HTML, links, images, and starts of blocks such as headings."""
    line = _INLINE.sub(r"\\\g<0>", " ".join(text.split()))
    if _NUMBER.match(line):
        return _NUMBER.sub(r"\1\\", line, count=1)
    return f"\\{line}" if line and _OPENER.match(line) else line


def as_cell(text: str) -> str:
    """Put a text into one cell of a table."""
    return _INLINE.sub(r"\\\g<0>", " ".join(text.split())).replace("|", "\\|")


@cache
def _load_template(template: Path) -> "Template":
    # Imported here, because every command imports this module, and few commands render.
    import jinja2

    # Not escaped: this is markdown for people and for the hub, which sanitizes it. Escaping would spoil the texts.
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, autoescape=False, trim_blocks=True)  # noqa: S701
    environment.filters |= {"line": as_line, "cell": as_cell}
    return environment.from_string(template.read_text(encoding="utf-8"))
