"""Finds out whether somebody else's package stands in the place of one of ours, whose names are common words."""

import importlib.util
import sys
from pathlib import Path

_OURS = Path(__file__).resolve().parents[1]


def check_packages(*names: str) -> None:
    """Checks that Python finds our packages by these names; imports none of them.

    Raises:
        ImportError: another module or package of that name comes first on ``sys.path``, or was imported before.
    """
    for name in names:
        found = _find_place(name)
        if found not in (_OURS / name, None):
            raise ImportError(
                f"Exemplars has a package {name!r}, and Python finds another of that name first: {found}. That is so "
                "where a script, a notebook or the current folder has a file or folder of this name beside it. Rename "
                "that one, or start Python in another folder; in a notebook restart the kernel then",
                name=name,
            )


def _find_place(name: str) -> Path | None:
    """The folder of a package, or the file of a module, that ``import`` would take; None if there is none."""
    if name in sys.modules:
        file = getattr(sys.modules[name], "__file__", None)
    else:
        spec = importlib.util.find_spec(name)
        file = spec.origin if spec else None
    if file is None:
        return None
    path = Path(file).resolve()
    return path.parent if path.name.startswith("__init__.") else path
