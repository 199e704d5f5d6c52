"""A key reads its own namespaces and the public ones, and changes only its own, when its scope is authoring."""

from datetime import UTC, datetime

import pytest

from flows.api.keys.key import PUBLIC_NAMESPACES, Key, Scope

DIGEST = "5ec4e7" * 10 + "abcd"


def make_key(scope: Scope, *namespaces: str) -> Key:
    return Key("0123456789ab", scope, namespaces, datetime(2026, 11, 25, tzinfo=UTC), DIGEST)


@pytest.mark.parametrize(
    ("scope", "namespace", "owns", "reads", "changes"),
    [
        ("authoring", "acme", True, True, True),
        ("authoring", "live", False, True, False),
        *(("authoring", namespace, False, False, False) for namespace in ("acm", "acme2", "")),
        ("scoring", "acme", True, True, False),
    ],
)
def test_scope_and_namespaces_say_what_a_key_may_do(
    scope: Scope, namespace: str, owns: bool, reads: bool, changes: bool
) -> None:
    key = make_key(scope, "beta", "acme")

    for name in (namespace, f"{namespace}.technical-writing"):
        assert (owns, reads, changes) == (key.owns(name), key.may_read(name), key.may_change(name))
    assert DIGEST not in f"{key!r} {key}"


def test_owner_of_all_public_namespaces_reads_no_others() -> None:
    assert "reads u22a8, live, bench" == make_key("scoring", *PUBLIC_NAMESPACES).rights
