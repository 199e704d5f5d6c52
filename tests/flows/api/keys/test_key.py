"""A key reads its own namespaces and the public ones, and changes only its own, when its scope is authoring."""

from datetime import UTC, datetime

import pytest

from flows.api.keys.key import Key, Scope

DIGEST = "5ec4e7" * 10 + "abcd"


def make_key(scope: Scope, *namespaces: str) -> Key:
    return Key("0123456789ab", scope, namespaces, datetime(2026, 11, 25, tzinfo=UTC), DIGEST)


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
    key = make_key(scope, *namespaces)

    for name in (namespace, f"{namespace}.technical-writing"):
        assert (owns, reads, changes) == (key.owns(name), key.may_read(name), key.may_change(name))
    assert DIGEST not in f"{key!r} {key}"


@pytest.mark.parametrize(
    ("scope", "namespaces", "rights"),
    [
        ("scoring", ("acme",), "reads acme; reads u22a8, live, bench like every key"),
        ("authoring", ("u22a8",), "reads and changes u22a8; reads live, bench like every key"),
        ("scoring", ("u22a8", "live", "bench"), "reads u22a8, live, bench"),
    ],
)
def test_rights_are_told_with_the_public_namespaces_of_the_contract(
    scope: Scope, namespaces: tuple[str, ...], rights: str
) -> None:
    assert rights == make_key(scope, *namespaces).rights
