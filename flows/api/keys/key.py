"""What the holder of a key may do at the door: a scope, the namespaces that the key owns, and the public ones."""

from dataclasses import dataclass, field
from typing import Annotated, Literal, get_args

from pydantic import AwareDatetime, ConfigDict, Field

from engine.domain.model import NAMESPACE_PATTERN

Scope = Literal["scoring", "authoring"]

SCOPES: tuple[Scope, ...] = get_args(Scope)
# The platform's contract, section 5.
PUBLIC_NAMESPACES = ("u22a8", "live", "bench")
LABEL_MAX_LENGTH = 80

_Namespace = Annotated[str, Field(pattern=NAMESPACE_PATTERN)]
_Label = Annotated[str, Field(pattern=rf"^\P{{Cc}}{{1,{LABEL_MAX_LENGTH}}}$")]


@dataclass(frozen=True, slots=True)
class Key:
    """A key without its secret: ``id`` may be shown to anybody, ``sha256`` is of the whole secret.

    Its fields are what the file of keys has for each.
    """

    # A field that is not known here might be a limit on the key: it must not be passed over.
    __pydantic_config__ = ConfigDict(extra="forbid")

    id: Annotated[str, Field(pattern="^[0-9a-f]{12}$")]
    scope: Scope
    namespaces: Annotated[tuple[_Namespace, ...], Field(min_length=1)]
    created_at: AwareDatetime
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] = field(repr=False)
    label: _Label | None = None

    def owns(self, handle: str) -> bool:
        """Whether a namespace, or the namespace of a handle, is the key's own: samples are listed only there."""
        return handle.partition(".")[0] in self.namespaces

    def may_read(self, handle: str) -> bool:
        """Whether a namespace or handle exists for this key; one that may not be read answers 404."""
        return self.owns(handle) or handle.partition(".")[0] in PUBLIC_NAMESPACES

    def may_change(self, handle: str) -> bool:
        """Whether a namespace or handle may be changed: a public one too only by a key that owns it."""
        return self.scope == "authoring" and self.owns(handle)
