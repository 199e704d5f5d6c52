"""A sealed file that is torn or altered is found, whatever was altered; what was never sealed is read as it is."""

import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.store.sample_set import DIGEST_FIELD, seal, unseal

FIELDS = {"status": "attached", "counts": {"clarity": {"positive": 4}}, "note": "Grüße, \u2028 and more"}
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(st.characters(codec="utf-8")),
    lambda values: st.lists(values, max_size=3) | st.dictionaries(st.text(st.characters(codec="utf-8")), values),
    max_leaves=8,
)


@given(st.dictionaries(st.text(st.characters(codec="utf-8")), JSON_VALUES, min_size=1))
def test_whatever_is_sealed_comes_back_with_its_digest(fields: dict[str, object]) -> None:
    value = unseal(seal(fields))

    assert fields == {name: field for name, field in value.items() if name != DIGEST_FIELD}


def test_digest_is_that_of_the_file_without_its_last_line() -> None:
    *lines, digest_line, end, _ = seal(FIELDS).decode().split("\n")
    content = "\n".join([*lines, end, ""]).replace(",\n}\n", "\n}\n")

    assert hashlib.sha256(content.encode()).hexdigest() == json.loads("{" + digest_line + "}")[DIGEST_FIELD]
    assert FIELDS == json.loads(content)


def test_sealing_again_what_was_read_gives_the_same_bytes() -> None:
    assert seal(FIELDS) == seal(unseal(seal(FIELDS)))


def test_every_changed_byte_and_every_cut_is_found() -> None:
    """But for the digest's own name: without it a file counts as one that never had a digest."""
    content = seal(FIELDS)
    name = range(content.index(DIGEST_FIELD.encode()), content.index(DIGEST_FIELD.encode()) + len(DIGEST_FIELD))
    for place in set(range(len(content))) - set(name):
        changed = bytearray(content)
        changed[place] ^= 1
        for spoilt in (bytes(changed), content[:place]):
            with pytest.raises(ValueError):  # noqa: PT011 - JSON's own errors, UTF-8's, or ours
                unseal(spoilt)


@pytest.mark.parametrize("value", [{"status": "attached"}, [], "text", 1])
def test_what_has_no_digest_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="manifest_sha256"):
        unseal(json.dumps(value).encode())
