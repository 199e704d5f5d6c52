"""Parse language tags (BCP 47, RFC 5646), which name languages in ``model.yaml`` and in a run's decisions."""

from contextlib import suppress
from functools import cache

import langcodes
from langcodes.tag_parser import LanguageTagError

ALLOWED = "a language tag (BCP 47) such as de, pt-BR or zh-Hant"
# Valid tags that name no single language: several, none, undetermined, uncoded.
_NO_LANGUAGE = ("mul", "zxx", "und", "mis")
# Languages for which word lists and detectors know only a related language.
_CODES = {"nb": "no", "nn": "no", "fil": "tl", "yue": "zh", "wuu": "zh", "ary": "ar", "arz": "ar"}


def parse_tag(text: str) -> str:
    """Return a tag in its canonical form: ``de_de`` is ``de-DE``, ``iw`` is ``he``.

    Raises:
        ValueError: it is not the tag of a language; the message says what is allowed, and suggests a tag for a name
            such as "german".
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
    """Return a language's ISO 639 code as used by word lists and detectors: ``zh`` for ``cmn-Hant``."""
    code = langcodes.Language.get(tag).prefer_macrolanguage().language or tag
    return _CODES.get(code, code)


def find_script(tag: str) -> str:
    """Return the ISO 15924 script of a tag; if it names none, the most likely script of its language."""
    return langcodes.Language.get(tag).maximize().script or ""


def name_script(script: str) -> str:
    """Return the English name of an ISO 15924 script code; return any other name unchanged."""
    return langcodes.Language.make(script=script).script_name() if len(script) == 4 else script


@cache
def are_close(one: str, other: str) -> bool:
    """Return whether readers of each language can read the other: Danish and Norwegian, Czech and Slovak.

    They can if the distance in CLDR's data is below 25 in both directions ("langcodes", section "Distance").
    """
    return max(langcodes.tag_distance(one, other), langcodes.tag_distance(other, one)) < 25
