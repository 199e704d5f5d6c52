"""Read language tags (BCP 47, RFC 5646): ``model.yaml`` and the decision for a model name languages by them."""

from contextlib import suppress
from functools import cache

import langcodes
from langcodes.tag_parser import LanguageTagError

ALLOWED = "a language tag (BCP 47) such as de, pt-BR or zh-Hant"
# Tags that are valid and name no language: several, none, an unknown one.
_NO_LANGUAGE = ("mul", "zxx", "und", "mis")
# What word lists and detectors do not tell from the language that they know.
_CODES = {"nb": "no", "nn": "no", "fil": "tl", "yue": "zh", "wuu": "zh", "ary": "ar", "arz": "ar"}


def parse_tag(text: str) -> str:
    """Return a tag in its canonical form: ``de_de`` is ``de-DE``, ``iw`` is ``he``.

    Raises:
        ValueError: it is not a tag of a language; the message says what is allowed, and the tag of a name such as
            "german".
    """
    with suppress(LanguageTagError):
        tag = langcodes.Language.get(text)
        if tag.language and tag.language not in _NO_LANGUAGE and not tag.language.startswith("x-") and tag.is_valid():
            return tag.to_tag()
    try:
        suggestion = f"; {text} is {langcodes.find(text).to_tag()}"
    except LookupError:
        suggestion = ""
    raise ValueError(ALLOWED + suggestion)


@cache
def name_tag(tag: str) -> str:
    """Return the English name of a tag's language, with its script and region: "Portuguese (Brazil)"."""
    return langcodes.Language.get(tag).display_name()


@cache
def find_code(tag: str) -> str:
    """Return the code of ISO 639 by which word lists and detectors know a language: ``zh`` of ``cmn-Hant``."""
    code = langcodes.Language.get(tag).prefer_macrolanguage().language or tag
    return _CODES.get(code, code)


def find_script(tag: str) -> str:
    """Return the script of ISO 15924 that a tag names, else the one that its language is most likely written in."""
    return langcodes.Language.get(tag).maximize().script or ""


def name_script(script: str) -> str:
    """Return the English name of a script's code of ISO 15924; any other name of a script unchanged."""
    return langcodes.Language.make(script=script).script_name() if len(script) == 4 else script


@cache
def are_close(one: str, other: str) -> bool:
    """Whether two languages are so close that readers of either read the other: Danish and Norwegian, Czech and Slovak.

    They are from a distance of less than 25 by CLDR's data, both ways ("langcodes", section "Distance").
    """
    return max(langcodes.tag_distance(one, other), langcodes.tag_distance(other, one)) < 25
