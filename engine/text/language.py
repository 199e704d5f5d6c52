"""Detects the language of texts with py3langid, and answers only when it is sure, since short texts mislead it."""

from functools import cache
from typing import Any

from engine.domain.model import Model
from engine.text.words import count_words

# On shorter texts the identifier guesses (py3langid's own note on short texts): commands and names mislead it.
MIN_WORDS = 6
# A brief or seeds with fewer words are too short to tell their language.
MIN_SAMPLE_WORDS = 20
# A text is in another language when the expected one has a probability below DOUBTFUL and another one above SURE.
DOUBTFUL = 0.05
SURE = 0.9

NAMES = {"en": "English", "de": "German", "fr": "French", "es": "Spanish", "it": "Italian", "nl": "Dutch"} | {
    "pt": "Portuguese", "sv": "Swedish", "da": "Danish", "no": "Norwegian", "fi": "Finnish", "pl": "Polish",
    "cs": "Czech", "ru": "Russian", "uk": "Ukrainian", "tr": "Turkish", "el": "Greek", "ja": "Japanese",
    "zh": "Chinese", "ko": "Korean", "ar": "Arabic", "he": "Hebrew", "hi": "Hindi",
}  # fmt: skip


def expect_language(model: Model) -> str:
    """Returns the two-letter code of a model's language: that of its brief, else of its seeds, else ``en``."""
    brief = model.brief
    for texts in ((*brief.intent, *brief.domain, *brief.failure_modes), [seed.text for seed in model.seeds]):
        joined = " ".join(texts)
        if count_words(joined) >= MIN_SAMPLE_WORDS:
            return str(_identifier().classify(joined)[0])
    return "en"


def find_other_language(text: str, expected: str) -> str | None:
    """Returns the code of a text's language if it is surely not the expected one; None where there is any doubt."""
    if count_words(text) < MIN_WORDS:
        return None
    ranks = {str(code): float(share) for code, share in _identifier().rank(text)}
    best = max(ranks, key=lambda code: ranks[code])
    other = best != expected and ranks[best] > SURE and ranks.get(expected, 0.0) < DOUBTFUL
    return best if other else None


def name_language(code: str) -> str:
    """Returns the English name of a language for prompts; the code itself if it is not in ``NAMES``."""
    return NAMES.get(code, code)


@cache
def _identifier() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
