"""Stands in for ``icu4py.breakers`` where that is not installed: nothing else knows the words of Chinese or Thai."""

from collections.abc import Iterator

try:
    from icu4py.breakers import WordBreaker
except ImportError:
    # In the place of the one that is not there.
    class WordBreaker:  # type: ignore[no-redef]
        """Refuses, so that an expectation which has to count such words fails, and says what to install."""

        def __init__(self, text: str, locale: str) -> None:
            raise ModuleNotFoundError(
                f"The words of {text[:20]!r} are written without spaces, and only ICU finds them: pip install icu4py"
            )

        def __iter__(self) -> Iterator[str]:
            return iter(())


__all__ = ["WordBreaker"]
