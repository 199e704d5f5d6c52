"""Split, count and fold words of any script. All modules compare texts and names in these forms.

ASCII texts, such as most English texts, are handled fast by Python's own ``re``. For all further texts, ``regex`` knows
Unicode's properties, and ICU's dictionaries find the words of scripts without spaces (docs/decisions/004-screening.md).
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from functools import cache, lru_cache

import regex
from icu4py.breakers import WordBreaker

from engine.domain.characters import UNSEEN
from engine.domain.language_tag import find_code

# PaLM counts a common run of 8 words as contamination (Chowdhery et al. 2022, section 8).
COMMON_RUN = 8
# From this Jaccard index, two texts are too near for one to be in training and one in evaluation. At .7, a copy of an
# authored text with every eighth word replaced is found in 35 of 100 cases; at .4, a copy with every fourth word
# replaced is found in 90. The most similar of 58,992 pairs of different authored texts has .25
# (docs/decisions/005-duplicates.md).
APART_JACCARD = 0.4
# C4 keeps only lines with a terminal mark at the end (Raffel et al. 2020, section 2.2). Here these are Unicode's marks,
# two Tibetan marks that Unicode does not include, and further ends of people's texts. Quotation marks and brackets may
# follow; German („…“) and Danish (»…«) close with marks that open elsewhere. The Greek question mark is a semicolon.
_END = regex.compile(r"[\p{Sentence_Terminal}།༎…:：`\"'\p{Pf}\p{Pi}]\Z|(?![\]}])\p{Pe}\Z|(?<=\p{Greek});\Z")
SPACELESS = regex.compile(r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]")
# One of these characters carries about as much information as two or three letters of an alphabet.
_DENSE = regex.compile(r"[\p{Han}\p{Hiragana}\p{Katakana}]")
_FIRST_DENSE = "\u2e80"
_ASCII_WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")
_WORD = regex.compile(r"[\p{L}\p{M}\p{N}]+(?:['’-][\p{L}\p{M}\p{N}]+)*")
# Characters that are not part of words, and stray combining marks.
_BETWEEN = regex.compile(r"[^\w\p{N}\s]|(?<![\w\p{N}])\p{M}+")
# Characters per word of ICU in languages without spaces, from the tests' Japanese samples and plain Chinese and Thai.
CHARACTERS_PER_WORD: Mapping[str, float] = {"ja": 1.7, "zh": 1.6, "th": 3.9}
# Greek and Cyrillic letters that look like Latin ones, small or capital (Unicode's confusables.txt, UTS 39).
_LOOK_ALIKES = str.maketrans("αβεζηικμνορτυχϲϳавеһіјкмнорсѕтухԁԛԝ", "abezhikmnoptyxcjabehijkmhopcstyxdqw")
# Accents and signs that do not make a different name, unlike the signs in "A+" and "A-", or "1.5" and "15".
_SLIGHT = regex.compile(r"(?:[\u0300-\u036f\s_\p{Term}\p{QMark}]|(?<=\w)\p{Pd}(?=\w))(?!(?<=\d.)\d)")
SHINGLE_LENGTH = 5
# About one word, like five letters: ICU's words have about two characters in Chinese and Japanese.
DENSE_SHINGLE_LENGTH = 2
# English function words: they carry the structure of a text, not its content.
FUNCTION_WORDS = frozenset(
    """
    a about above after again against all also although always am among an and another any anybody anyone anything
    are around as at away be because been before being below between both but by can cannot could did do does doing
    done down during each either else ever every everybody everyone everything few for from further get gets give
    given go goes got had has have having he her here hers him his how however i if in instead into is it its itself
    just keep keeps kept let like made make makes many may me might more most much must my need needs neither never
    new no nobody nor not nothing now of off often on once one only onto or other others our out over own per please
    put rather really same say see set shall she should since so some somebody someone something sometimes soon
    still such take takes than that the their them then there therefore these they thing things this those though
    three through thus to today together too two under until up upon us use used uses using very via want was way we
    well were what when where whether which while who whose why will with within without would yes yet you your
    """.split()
)


def fold(text: str) -> str:
    """Fold case, width and apostrophes (NFKC), drop invisible characters, keep white space. Turkish's two i are one."""
    if text.isascii():
        return text.casefold()
    folded = unicodedata.normalize("NFKC", UNSEEN.sub("", text)).casefold()
    return unicodedata.normalize("NFC", folded).replace("i\u0307", "i").replace("ı", "i").replace("’", "'")


def fold_name(name: str) -> str:
    """Fold a name or a label, with single spaces. Names that look the same to a reader have one form."""
    return " ".join(fold(name).split())


def fold_look(name: str) -> str:
    """Fold a name also without accents, spaces and punctuation, and with one form for letters that look alike."""
    form = _SLIGHT.sub("", unicodedata.normalize("NFD", fold(name))).translate(_LOOK_ALIKES)
    return form or fold_name(name)


def split_words(text: str) -> list[str]:
    """Split a text into lower-case words. Apostrophes and hyphens inside a word, and combining marks, belong to it."""
    if text.isascii():
        return _ASCII_WORD.findall(text.lower())
    words = _WORD.findall(UNSEEN.sub("", unicodedata.normalize("NFC", text)).lower())
    return [part for word in words for part in _segment(word)]


def is_spaceless(text: str) -> bool:
    """Return whether a text has characters of a script without spaces."""
    return not text.isascii() and SPACELESS.search(text) is not None


def drop_unseen(text: str) -> str:
    """Return a text without zero-width characters and soft hyphens, with single spaces."""
    return " ".join(UNSEEN.sub("", unicodedata.normalize("NFC", text)).split())


def count_words(text: str) -> int:
    """Count words like a reader: runs between white space, or ICU's words in scripts without spaces."""
    runs = text.split()
    if not is_spaceless(text):
        return len(runs)
    return sum(max(1, len(split_words(run))) if is_spaceless(run) else 1 for run in runs)


# Cached, because a text's form is needed three times in a row: to look it up, for its shingles, and to add it.
@lru_cache(maxsize=64)
def normalise(text: str) -> str:
    """Return the normal form for comparing texts: NFKC, case folded, without punctuation, single spaces.

    Invisible characters are dropped: zero-width characters, soft hyphens, marks of direction, variation selectors.
    """
    if text.isascii():
        return " ".join(re.sub(r"[^\w\s]", " ", text.casefold()).split())
    return " ".join(_BETWEEN.sub(" ", fold(text)).split())


def shingle(text: str) -> frozenset[str]:
    """Return the character n-grams of the normal form; a text shorter than one n-gram is its own single shingle.

    They have ``SHINGLE_LENGTH`` characters, or ``DENSE_SHINGLE_LENGTH`` if most characters are Chinese or Japanese. So
    one word changes about the same share of n-grams in any script.
    """
    form = normalise(text)
    dense = max(form, default="") >= _FIRST_DENSE and 2 * len(_DENSE.findall(form)) > len(form)
    size = DENSE_SHINGLE_LENGTH if dense else SHINGLE_LENGTH
    return frozenset(form[start : start + size] for start in range(max(1, len(form) - size + 1)))


def word_runs(text: str, size: int) -> frozenset[tuple[str, ...]]:
    """Return all runs of ``size`` consecutive words of the normal form."""
    words = [part for word in normalise(text).split() for part in _segment(word)]
    return frozenset(tuple(words[start : start + size]) for start in range(len(words) - size + 1))


def list_content_words(texts: Iterable[str], language: str = "en") -> list[str]:
    """List the words of more than two letters that are not function words, text by text, with repeats.

    In a script without spaces, words of two characters are listed too.

    Args:
        language: the tag of BCP 47 of the language with these function words.
    """
    function_words = list_function_words(language)
    return [
        word
        for text in texts
        for word in split_words(text)
        if word not in function_words and len(word) > (1 if SPACELESS.match(word) else 2)
    ]


@cache
def list_function_words(language: str) -> frozenset[str]:
    """List the function words of a language, which carry the structure of a text, not its content.

    English function words are ``FUNCTION_WORDS``. ``stopwords-iso`` has those of 57 more languages. Further languages
    have none.
    """
    code = find_code(language)
    return FUNCTION_WORDS if code == "en" else list_common_words(code)


@cache
def list_common_words(code: str) -> frozenset[str]:
    """List the words of ``stopwords-iso`` in a language. English ones include "keys" and "looks"."""
    import stopwordsiso

    known = stopwordsiso.stopwords(code) if stopwordsiso.has_lang(code) else frozenset[str]()
    return frozenset(word for words in known for word in split_words(words))


def ends_sentence(text: str) -> bool:
    """Return whether a text ends in a terminal mark of any script, which quotation marks and brackets may follow."""
    return _END.search(UNSEEN.sub("", text).rstrip()) is not None


def take_opening(text: str, count: int) -> str:
    """Return the first ``count`` words of a text in their original form, with the punctuation around them."""
    runs = text.split()
    if not is_spaceless(text):
        return " ".join(runs[:count])
    opening, words = "", 0
    for part in WordBreaker(" ".join(runs), "root"):
        if words == count:
            break
        opening += part
        words += _WORD.match(part) is not None
    return opening


def _segment(word: str) -> list[str]:
    """Split a run of a script without spaces into ICU's words; return any other word unchanged."""
    if not is_spaceless(word):
        return [word]
    return [part for part in WordBreaker(word, "root") if _WORD.search(part)]
