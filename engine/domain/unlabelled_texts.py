"""Define the texts that an author has without labels: what the model is for, and no samples of it."""

from bisect import bisect_left
from dataclasses import dataclass

# Of more, in all sources together, the rest is not read.
MAX_READ = 1_000_000
# So many are kept, drawn by their digests: the encoder takes over a minute for them.
MAX_DRAWN = 20_000
# So many are enough to plan by.
MAX_PLANNED = 2_000
# So much of each is placed by the encoder, whose time grows with the length.
OPENING_CHARACTERS = 300


@dataclass(frozen=True, slots=True)
class TextsFile:
    """A file or folder of texts: its path in the model's folder, its SHA-256, and how many texts were read of it."""

    path: str
    sha256: str
    texts: int


@dataclass(frozen=True, slots=True)
class OwnTexts:
    """All texts of a model's sources of the type ``texts``; those of one normal form count once.

    Args:
        drawn: at most ``MAX_DRAWN``, in the order of their keys (``hash_form``): the first of them are a fair draw too.
        keys: the keys of all, sorted, as native integers of 8 bytes.
    """

    files: tuple[TextsFile, ...] = ()
    drawn: tuple[str, ...] = ()
    keys: bytes = b""

    def has(self, key: int) -> bool:
        """Whether a text of that key is among them."""
        keys = memoryview(self.keys).cast("Q")
        place = bisect_left(keys, key)
        return place < len(keys) and keys[place] == key
