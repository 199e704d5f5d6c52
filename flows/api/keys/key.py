"""An API key and what it permits: its scope, the namespaces that it owns, and the public namespaces."""

from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import AwareDatetime, ConfigDict, Field

from engine.domain.model import NAMESPACE_PATTERN

Scope = Literal["scoring", "authoring"]

# The platform's contract, section 5.
PUBLIC_NAMESPACES = ("u22a8", "live", "bench")
LABEL_MAX_LENGTH = 80

_Namespace = Annotated[str, Field(pattern=NAMESPACE_PATTERN)]
_Label = Annotated[str, Field(pattern=rf"^\P{{Cc}}{{1,{LABEL_MAX_LENGTH}}}$")]


@dataclass(frozen=True, slots=True)
class Key:
    """A key without its secret: ``id`` may be shown to anybody, ``sha256`` is the digest of the whole secret.

    The fields are those of an entry in the file of keys.
    """

    # An unknown field might restrict the key, so it must not be ignored.
    __pydantic_config__ = ConfigDict(extra="forbid")

    id: Annotated[str, Field(pattern="^[0-9a-f]{12}$")]
    scope: Scope
    namespaces: Annotated[tuple[_Namespace, ...], Field(min_length=1)]
    created_at: AwareDatetime
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] = field(repr=False)
    label: _Label | None = None

    @property
    def rights(self) -> str:
        """What it may do, as a phrase."""
        others = [name for name in PUBLIC_NAMESPACES if name not in self.namespaces]
        own = f"{'reads and changes' if self.scope == 'authoring' else 'reads'} {', '.join(self.namespaces)}"
        return f"{own}; reads {', '.join(others)} like every key" if others else own

    def owns(self, handle: str) -> bool:
        """Whether the key owns a namespace, given as such or by a handle; it may list samples only there."""
        return handle.partition(".")[0] in self.namespaces

    def may_read(self, handle: str) -> bool:
        """Whether the key may read a namespace, given as such or by a handle; to others it must look missing (404)."""
        return self.owns(handle) or handle.partition(".")[0] in PUBLIC_NAMESPACES
