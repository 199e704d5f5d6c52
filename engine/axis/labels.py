"""Tells which labels of a pair say nothing of what its poles are about, so that no axis is drawn between them.

A sentence encoder places a negated label beside the label that it negates, and "Yes", "Low" or "1" beside everything
and nothing (docs/decisions/029-an-axis-by-what-it-shows.md).
"""

import itertools
import unicodedata
from typing import Literal

import regex

LabelFault = Literal["negated", "bare"]

# What separates the words of a label. A hyphen does, since "non-urgent" negates as "not urgent" does. A mark, as most
# vowels of Hindi are, belongs to its letter.
_SEPARATORS = regex.compile(r"[^\w\p{M}'’]+")
# Words by which the languages of the sentence encoder negate others.
_NEGATING = frozenset(
    # English, German, French, Spanish, Portuguese, Italian
    "no not non never none neither nor without lacks cannot can't don't doesn't isn't aren't "
    "nicht kein keine keinen keiner ohne nie niemals pas sans aucun aucune jamais ne "
    "sin nunca ningún ninguna jamás não sem nenhum nenhuma senza nessuno nessuna mai "
    # Dutch, Polish, Russian, Turkish, Arabic, Korean; and Hindi, which the encoder does not know
    "niet geen zonder nooit nie bez brak не нет без ни değil yok لا ليس ليست غير بدون عدم "
    "않다 않은 않음 않는 없다 없음 없는 아니다 아님 아닌 안 नहीं न बिना".split()
)
# The same at the ends of Japanese words and at the start of Thai ones, whose labels have no spaces.
_NEGATING_ENDS = ("くない", "ではない", "でない", "じゃない", "がない", "しない", "ません", "なし")
_NEGATING_STARTS = ("ไม่",)
# Words that answer or grade a question which only the trait's name or its description asks, and the default labels of
# claims and outliers.
_BARE = frozenset(
    "yes no true false right wrong high low higher lower more less most least much little on off pass fail present "
    "absent strong weak large small big always sometimes related unrelated other others agrees contradicts confirmed "
    "contradicted typical unusual "
    "ja nein wahr falsch hoch niedrig viel wenig mehr weniger an aus stark schwach "
    "oui non vrai faux élevé élevée haut bas faible fort plus moins "
    "sí si verdadero falso alto alta bajo baja más menos sim não verdadeiro baixo baixa mais menos "
    "sì vero basso bassa più meno nee waar onwaar hoog laag meer minder "
    "tak nie prawda fałsz wysoki niski wysokie niskie więcej mniej "
    "да нет правда ложь высокий низкий высокая низкая больше меньше evet hayır doğru yanlış yüksek düşük çok az "
    "نعم لا صحيح خطأ مرتفع منخفض "
    "はい いいえ 真 偽 高い 低い 高 低 多い 少ない 是 否 对 错 假 多 少 예 네 아니요 아니오 참 거짓 높음 낮음 "
    "ใช่ จริง เท็จ สูง ต่ำ हाँ हां नहीं सही गलत ग़लत उच्च निम्न अधिक कम ज़्यादा".split()
)
_JOINING = frozenset("a an the of very is it and or than to der die das le la el il о и".split())
# Two words are of one stem if one of them begins or ends with the other, or if they begin with the same letters, so
# many at least and half of the longer word: "clear" and "unclear", "harmful" and "harmless".
_MIN_STEM = 4
# An ideogram says as much as several letters.
_MIN_STEM_BEYOND_LATIN = 2


def is_bare(label: str) -> bool:
    """Whether no word of a label says anything by itself: "Yes", "High", "1", or nothing at all."""
    return all(_is_bare_word(word) for word in _split_label(label))


def find_label_fault(positive: str, negative: str) -> LabelFault | None:
    """Finds why the difference between two labels is no direction between poles; None if it may be one.

    "negated": one of them says no more than what the other is not ("Not rude"; "Unclear" beside "Clear"). "bare": what
    they do not share says nothing by itself ("Yes" and "No", "High risk" and "Low risk").
    """
    one, two = _split_label(positive), _split_label(negative)
    own, other = _drop_shared(one, two), _drop_shared(two, one)
    if own and other and all(map(_is_bare_word, (*own, *other))):
        return "bare"
    if is_negation(positive, negative) or any(map(_negates, (*one, *two))):
        return "negated"
    return "bare" if all(map(_is_bare_word, own)) or all(map(_is_bare_word, other)) else None


def is_negation(positive: str, negative: str) -> bool:
    """Whether one of two texts has no word but those that they share and words that negate them.

    Paraphrases may negate something and still be told apart by the rest: "Gives no reason and lists the files."
    """
    one, two = _split_label(positive), _split_label(negative)
    return any(all(map(_negates, _drop_shared(*pair))) for pair in ((one, two), (two, one)))


def _split_label(label: str) -> list[str]:
    words = [word for word in _SEPARATORS.split(unicodedata.normalize("NFKC", label).casefold()) if word]
    return [word for word in words if word not in _JOINING] or words


def _is_bare_word(word: str) -> bool:
    return word in _BARE or word.isdecimal() or (len(word) == 1 and word.isascii())


def _negates(word: str) -> bool:
    return word in _NEGATING or word.startswith(_NEGATING_STARTS) or word.endswith(_NEGATING_ENDS)


def _drop_shared(words: list[str], others: list[str]) -> list[str]:
    return [word for word in words if not any(_share_stem(word, other) for other in others)]


def _share_stem(one: str, other: str) -> bool:
    short, long = sorted((one, other), key=len)
    if short == long:
        return True
    least = _MIN_STEM if short.isascii() else _MIN_STEM_BEYOND_LATIN
    beginning = sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], zip(short, long, strict=False)))
    if beginning >= least and 2 * beginning >= len(long):
        return True
    return len(short) >= least and (long.endswith(short) or (not short.isascii() and short in long))
