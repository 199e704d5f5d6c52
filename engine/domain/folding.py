"""Folds texts to the form in which names, labels and words of any script are compared."""

import unicodedata

import regex

# What is not seen: zero-width characters, soft hyphens, marks of direction, variation selectors (Unicode 5.21,
# Default_Ignorable_Code_Point), interlinear marks, the blank of Braille, and the Arabic tatweel, which only stretches a
# word.
UNSEEN = regex.compile(r"[\p{Default_Ignorable_Code_Point}\ufff9-\ufffb\u2800\u0640]+")
_SEEN = regex.compile(r"[^\p{C}\p{Z}\s]")


def fold(text: str) -> str:
    """Folds case, width, apostrophes and what is not seen (NFKC); white space stays. Turkish's two i count as one."""
    if text.isascii():
        return text.casefold()
    folded = unicodedata.normalize("NFKC", UNSEEN.sub("", text)).casefold()
    return unicodedata.normalize("NFC", folded).replace("i\u0307", "i").replace("ı", "i").replace("’", "'")


def fold_name(name: str) -> str:
    """Folds a name or a label, with single spaces: two that are the same to a reader have one form."""
    return " ".join(fold(name).split())


def is_blank(text: str) -> bool:
    """Whether nothing of a text is seen."""
    return not _SEEN.search(UNSEEN.sub("", text))
