"""A key reads its own namespaces and the public ones, and changes only its own, when its scope is authoring."""

from datetime import UTC, datetime

import pytest

from flows.api.keys.key import PUBLIC_NAMESPACES, Key, Scope

DIGEST = "5ec4e7" * 10 + "abcd"


@pytest.mark.parametrize(
    ("scope", "namespaces", "namespace", "owns", "reads", "changes"),
    [
        ("authoring", ("acme", "beta"), "beta", True, True, True),
        ("authoring", ("acme",), "live", False, True, False),
        ("authoring", ("acme",), "acm", False, False, False),
        ("authoring", ("acme",), "acme2", False, False, False),
        ("scoring", ("acme",), "acme", True, True, False),
        ("scoring", ("acme",), "", False, False, False),
    ],
)
def test_scope_and_namespaces_say_what_a_key_may_do(
    scope: Scope, namespaces: tuple[str, ...], namespace: str, owns: bool, reads: bool, changes: bool
) -> None:
    key = Key("0123456789ab", scope, namespaces, datetime(2026, 11, 25, tzinfo=UTC), DIGEST)

    for name in (namespace, f"{namespace}.technical-writing"):
        assert (owns, reads, changes) == (key.owns(name), key.may_read(name), key.may_change(name))
    assert DIGEST not in f"{key!r} {key}"


def test_public_namespaces_are_those_of_the_contract() -> None:
    assert ("u22a8", "live", "bench") == PUBLIC_NAMESPACES
