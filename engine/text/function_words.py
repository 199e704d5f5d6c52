"""Tells function words, which build a text in some language, from the words that say what it is about."""

from collections.abc import Iterable
from functools import cache

import stopwordsiso

from engine.domain.language_tag import find_code
from engine.text.words import is_spaceless, split_words

# English function words: they tell how a text is built, not what it is about.
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


def list_content_words(texts: Iterable[str], language: str = "en") -> list[str]:
    """Lists the words longer than two letters that are not function words, text by text, with repeats.

    Of a script without spaces words of two characters are listed too.

    Args:
        language: a tag of BCP 47, whose function words are left out.
    """
    function_words = list_function_words(language)
    return [
        word
        for text in texts
        for word in split_words(text)
        if word not in function_words and len(word) > (1 if is_spaceless(word) else 2)
    ]


@cache
def list_function_words(language: str) -> frozenset[str]:
    """Lists the words of a language that tell how a text is built, not what it is about.

    English ones are ``FUNCTION_WORDS``; those of 57 more languages come from ``stopwords-iso``; else there are none.
    """
    code = find_code(language)
    if code == "en":
        return FUNCTION_WORDS
    known = stopwordsiso.stopwords(code) if stopwordsiso.has_lang(code) else frozenset[str]()
    return frozenset(word for words in known for word in split_words(words))
