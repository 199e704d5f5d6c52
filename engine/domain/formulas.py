"""Keeps spreadsheets from running the text of a CSV cell as a formula, whatever their separator, and gives it back."""

import re

QUOTE = "'"
# Where a cell may begin: with the text, and after what separates cells or rows in a spreadsheet, for which quotes of
# the file may mean nothing. A formula begins there with one of these (owasp.org/www-community/attacks/CSV_Injection).
_BEGINNING = r'((?:^|[,;|\t\r\n])[\s"]*+)'
_FORMULA = f"(?={QUOTE}*[=+\\-@＝＋－＠])"
# Without a formula too, so that what may begin a cell is passed over once, however many line breaks it has.
_RUN, _QUOTED = re.compile(f"{_BEGINNING}(?:(){_FORMULA}|)"), re.compile(f"{_BEGINNING}(?:{QUOTE}{_FORMULA}|)")


def quote_formulas(text: str) -> str:
    """Puts a single quote before whatever a spreadsheet would take for a formula."""
    return _RUN.sub(lambda found: found[0] if found[2] is None else f"{found[0]}{QUOTE}", text)


def unquote_formulas(text: str) -> str:
    """Takes off what ``quote_formulas`` has put into a text, and nothing else."""
    return _QUOTED.sub(r"\1", text)
