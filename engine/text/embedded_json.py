"""Writes data into a script element of a page."""

import json

from markupsafe import Markup


def embed_json(data: object) -> Markup:
    """JSON for a script element; only ``<`` is escaped, as it could end the element or open a comment."""
    return Markup(json.dumps(data, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c"))  # noqa: S704
