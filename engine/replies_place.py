"""Where replies are kept: in a folder of this machine and, where one is named, on a store that outlives it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RepliesPlace:
    """``cache_dir`` has a folder for each plan; ``uri`` is a store that machines share, None where there is none."""

    cache_dir: str
    uri: str | None = None

    @property
    def local(self) -> "RepliesPlace":
        """The folder alone."""
        return RepliesPlace(self.cache_dir)
