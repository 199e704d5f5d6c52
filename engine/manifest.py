"""The manifest of a set in the store: without it a set does not exist for readers."""

from collections.abc import Mapping
from typing import Any

from engine.errors import StoreError
from engine.sample_set import MANIFEST
from engine.seal import unseal
from engine.system.filesystem import open_folder


def read_manifest(folder: str) -> Mapping[str, Any] | None:
    """The manifest of a set; None where there is none yet, so that the set does not exist for readers.

    Raises:
        StoreError: one that cannot be read, is torn, or was altered since it was written.
    """
    filesystem, path = open_folder(f"{folder}/{MANIFEST}")
    try:
        with filesystem.open_input_file(path) as stream:
            manifest = unseal(bytes(stream.read()))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        raise StoreError(
            f"{folder}/{MANIFEST} cannot be read: {error}. `exemplars verify` says what else is broken"
        ) from error
    return manifest if isinstance(manifest, dict) else None
