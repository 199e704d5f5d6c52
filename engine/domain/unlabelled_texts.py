"""Define an author's unlabelled texts: they show the model's use and are not samples."""

from bisect import bisect_left
from dataclasses import dataclass

# Maximum number of texts over all sources; the rest is not read.
MAX_READ = 1_000_000
# Maximum number of texts that are kept, drawn by digest: the encoder takes over a minute for them.
MAX_DRAWN = 20_000
# Number of texts that suffices for a plan.
MAX_PLANNED = 2_000
# Length of the part of each text that is embedded, since the encoder's time grows with the length.
OPENING_CHARACTERS = 300


@dataclass(frozen=True, slots=True)
class TextsFile:
    """A file or folder of texts: its path in the model's folder, its SHA-256, and the number of texts read."""

    path: str
    sha256: str
    texts: int


@dataclass(frozen=True, slots=True)
class OwnTexts:
    """All texts of a model's sources of the type ``texts``; texts with equal normal forms count once.

    Args:
        drawn: at most ``MAX_DRAWN`` texts, sorted by key (``hash_form``), so that any first part is a fair draw too.
        keys: the sorted keys of all texts, as native integers of 8 bytes.
    """

    files: tuple[TextsFile, ...] = ()
    drawn: tuple[str, ...] = ()
    keys: bytes = b""

    def has(self, key: int) -> bool:
        """Return whether a text with that key is included."""
        keys = memoryview(self.keys).cast("Q")
        place = bisect_left(keys, key)
        return place < len(keys) and keys[place] == key
