"""The seal: the last line of a sealed JSON file is the digest of the rest, so that a torn or altered one is found."""

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

FIELD = "manifest_sha256"
_END = b"\n}\n"
_SEALED_END = re.compile(rb',\n  "' + FIELD.encode() + rb'": "([0-9a-f]{64})"\n}\n\Z')


def seal(fields: Mapping[str, Any]) -> bytes:
    """The bytes of a JSON object with, in its last line, the SHA-256 of those that it has without that line.

    Args:
        fields: at least one; a digest among them, as of a file that was read, is left out.
    """
    rest = {name: value for name, value in fields.items() if name != FIELD}
    content = (json.dumps(rest, indent=2, ensure_ascii=False) + "\n").encode()
    line = f',\n  "{FIELD}": "{hashlib.sha256(content).hexdigest()}"'
    return content.removesuffix(_END) + line.encode() + _END


def unseal(content: bytes) -> Any:
    """The JSON value; one that has no digest, as those from before there were any, is taken as it is.

    Raises:
        ValueError: it is no JSON, or not what was sealed.
    """
    value = json.loads(content)
    if not isinstance(value, dict) or FIELD not in value:
        return value
    sealed = _SEALED_END.search(content)
    if sealed is None or sealed[1].decode() != hashlib.sha256(content[: sealed.start()] + _END).hexdigest():
        raise ValueError(f"it was altered since it was written: {FIELD} is the digest of another content")
    return value
