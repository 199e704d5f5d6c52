"""The console for the tables and progress of all commands. Texts on it are not markup and do not move the cursor."""

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
    """Return a console that prints texts unchanged."""
    return _PlainConsole(stderr=stderr, highlight=False, markup=False, emoji=False)


def make_live(console: Console, draw: Callable[[], RenderableType]) -> Live:
    """Return a display that is redrawn and finally erased. Output of other code still passes the output guard."""
    return Live(console=console, get_renderable=draw, transient=True, redirect_stdout=False, redirect_stderr=False)


def make_table(*words: str, numbers: Sequence[str] = ()) -> Table:
    """Return a table without lines: first columns for words, which wrap, then columns for numbers."""
    table = Table(header_style="bold", box=None, padding=(0, 2, 0, 0))
    for name in words:
        table.add_column(name, overflow="fold")
    for name in numbers:
        table.add_column(name, justify="right")
    return table


def say_reading(models: int) -> None:
    """Print on stderr that models are read, if there are so many that it takes a while."""
    if models >= MANY_MODELS:
        make_console(stderr=True).print(f"Reading {models:,} models …")


def name_user() -> str:
    """Return the user's name; empty in a container with an unnamed user."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return ""


class _PlainConsole(Console):
    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Render control characters visibly; a text with control characters loses its inner styles."""
        if isinstance(renderable, str):
            renderable = show_controls(renderable)
        elif isinstance(renderable, Text) and (shown := show_controls(renderable.plain)) != renderable.plain:
            renderable = renderable.blank_copy(shown)
        return super().render(renderable, options)
