"""Negotiation: whether a request would rather have markdown than JSON (RFC 9110, section 12.5.1)."""

MARKDOWN = "text/markdown"
JSON = "application/json"


def prefers_markdown(accept: str) -> bool:
    """Whether markdown is named in an ``Accept`` header with more weight than JSON has there."""
    weights = dict(map(_read_range, accept.split(",")))
    markdown = weights.get(MARKDOWN, 0.0)
    others = [weights[name] for name in (JSON, "application/*", "*/*") if name in weights]
    # Named beside a wildcard of equal weight it is still what was asked for by name.
    return markdown > 0 and (JSON not in weights or markdown > weights[JSON]) and markdown >= max(others, default=0.0)


def _read_range(text: str) -> tuple[str, float]:
    name, *parameters = (part.strip().lower() for part in text.split(";"))
    for parameter in parameters:
        key, _, value = parameter.partition("=")
        if key.strip() == "q":
            try:
                return name, float(value)
            except ValueError:
                return name, 0.0
    return name, 1.0
