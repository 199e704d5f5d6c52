"""A sealed file that is torn or altered is found, whatever was altered; what was never sealed is read as it is."""

import json

import pytest

from engine.store.sample_set import DIGEST_FIELD, seal, unseal

FIELDS = {"status": "attached", "counts": {"clarity": {"positive": 4}}, "note": "Grüße, \u2028 and more"}
ODD = ("", "manifest_sha256", "\n}\n", ',\n  "manifest_sha256": "', "\u2028", "🦊")


@pytest.mark.parametrize("name", ["\n}\n", "Grüße", ""])
def test_whatever_is_sealed_comes_back_with_its_digest(name: str) -> None:
    values: tuple[object, ...] = (None, True, 1, -0.5, [], {}, *ODD, [{"a": text} for text in ODD])
    for value in values:
        content = seal({name: value})
        assert {name: value} == {key: field for key, field in unseal(content).items() if key != DIGEST_FIELD}
        assert content == seal(unseal(content))


def test_every_changed_byte_and_every_cut_is_found() -> None:
    """But for the space around it."""
    content = seal(FIELDS)
    for place in range(len(content) - 1):
        changed = bytearray(content)
        changed[place] ^= 1
        for spoilt in (bytes(changed), content[:place]):
            with pytest.raises(ValueError):  # noqa: PT011 - JSON's own errors, UTF-8's, or ours
                unseal(spoilt)


@pytest.mark.parametrize("value", [{"status": "attached"}, [], "text", 1])
def test_what_has_no_digest_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="manifest_sha256"):
        unseal(json.dumps(value).encode())
