"""The console that every command prints tables and progress on: a text on it is no markup and moves no cursor."""

import getpass
from collections.abc import Callable, Iterable, Sequence

from rich.console import Console, ConsoleOptions, RenderableType
from rich.live import Live
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from engine.text.formatting import show_controls

MANY_MODELS = 20


def make_console(stderr: bool = False) -> Console:
    """A console that prints texts as they are."""
    return _PlainConsole(stderr=stderr, highlight=False, markup=False, emoji=False)


def make_live(console: Console, draw: Callable[[], RenderableType]) -> Live:
    """A display that is drawn again and again, and vanishes. What others print meanwhile goes through the guard."""
    return Live(console=console, get_renderable=draw, transient=True, redirect_stdout=False, redirect_stderr=False)


def make_table(*words: str, numbers: Sequence[str] = ()) -> Table:
    """A table without lines, with columns for words, which are folded, and for numbers after them."""
    table = Table(header_style="bold", box=None, padding=(0, 2, 0, 0))
    for name in words:
        table.add_column(name, overflow="fold")
    for name in numbers:
        table.add_column(name, justify="right")
    return table


def say_reading(models: int) -> None:
    """Says on stderr that models are read, where they are so many that it takes a while."""
    if models >= MANY_MODELS:
        make_console(stderr=True).print(f"Reading {models:,} models …")


def name_user() -> str:
    """The name of who runs the command; empty in a container whose user has none."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return ""


class _PlainConsole(Console):
    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Renders with control characters shown; a text that has some loses its inner styles."""
        if isinstance(renderable, str):
            renderable = show_controls(renderable)
        elif isinstance(renderable, Text) and (shown := show_controls(renderable.plain)) != renderable.plain:
            renderable = renderable.blank_copy(shown)
        return super().render(renderable, options)
