"""Tell visible characters from invisible and invalid ones."""

import re

import regex

# Invisible characters: zero-width characters, soft hyphens, marks of direction, variation selectors (Unicode 5.21,
# Default_Ignorable_Code_Point), interlinear marks, the blank of Braille, and the Arabic tatweel, which only stretches a
# word.
UNSEEN = regex.compile(r"[\p{Default_Ignorable_Code_Point}\ufff9-\ufffb\u2800\u0640]+")
_SEEN = regex.compile(r"[^\p{C}\p{Z}\s]")
# Texts contain no NUL. Half of a surrogate pair, possible in JSON and YAML escapes, cannot be encoded as UTF-8.
INVALID_CHARACTER = re.compile("[\0\ud800-\udfff]")
INVALID, VALID = "a NUL character or half of a surrogate pair", "whole Unicode characters other than NUL"


def is_blank(text: str) -> bool:
    """Return whether a text has no visible characters."""
    return not _SEEN.search(UNSEEN.sub("", text))
