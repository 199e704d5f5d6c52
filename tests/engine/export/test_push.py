"""A push sends all samples, in order and 500 a request, waits for what may pass, and says what does not."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fakes.platform import KEY, FakePlatform, cut_off, refuse, serve_platform
from fakes.stored import HANDLE, attach_set, write_model
from fastapi import Response
from fastapi.responses import JSONResponse

from engine.definitions.loader import load_outline
from engine.domain.samples import make_id
from engine.errors import (
    ExemplarsError,
    FrozenModelError,
    InputError,
    ModelBusyError,
    PlatformError,
    RetryablePlatformError,
    UnknownModelError,
)
from engine.export.lines import find_attached, walk_bodies
from engine.export.platform import Platform, find_base

# Two sets of both traits, and those of a pool and a status that are not pushed.
ROWS = (700, 520)
SECOND = make_id(HANDLE, "safety", "a 1")


@pytest.fixture
def platform() -> FakePlatform:
    return FakePlatform()


@pytest.fixture
def url(platform: FakePlatform) -> Iterator[str]:
    with serve_platform(platform) as served:
        yield served


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("place")
    write_model(folder / "models")
    for run_id, rows in zip("ab", ROWS, strict=True):
        attach_set(folder / "samples", run_id, rows, ("clarity", "safety"))
    attach_set(folder / "samples", "held-out", 6, pool="eval")
    attach_set(folder / "samples", "no", 0, status="rejected", rejected=5)
    return folder


def push(place: Path, url: str, **options: Any) -> list[str]:
    """What was told."""
    outline = load_outline(str(place / "models"), HANDLE)
    sets = find_attached(str(place / "samples"), HANDLE, ["train"])
    told: list[str] = []
    given: dict[str, Any] = {"timeout_seconds": 60.0, "patience_seconds": 60.0, "tell": told.append} | options
    with Platform(find_base(url), HANDLE, KEY, wait_seconds=0.01, **given) as platform:
        for entries in walk_bodies(outline, sets):
            platform.add_samples(entries)
    return told


def name_texts() -> list[str]:
    return [f"{run_id} {number}" for run_id, rows in zip("ab", ROWS, strict=True) for number in range(rows)]


def test_samples_go_in_order_500_a_request_with_the_key(place: Path, platform: FakePlatform, url: str) -> None:
    assert [] == push(place, url)
    assert [500, 500, 220] == platform.added
    assert name_texts() == [sample["text"] for sample in platform.samples.values()]
    assert {f"Bearer {KEY}"} == platform.keys
    first = next(iter(platform.samples.values()))
    assert ("clarity", 1.0, "a 0") == (first["trait"], first["quality"], first["text"])
    assert {"trait", "text", "quality", "content_sha256"} == set(first)


@pytest.mark.parametrize(
    ("fate", "asked_seconds"),
    [
        (Response("busy", 503), 0.0),
        (refuse(429, "rate_limited", headers={"Retry-After": "1"}), 1.0),
        (refuse(409, "model_busy", "u22a8.test is busy with run r.", {"X-Run-Id": "r"}, run_id="r"), 0.0),
        (cut_off, 0.0),
    ],
)
def test_what_may_pass_is_waited_for(
    place: Path, platform: FakePlatform, url: str, fate: Any, asked_seconds: float
) -> None:
    """At the first body, and at one in the midst."""
    platform.fates = [fate, None, fate]
    told = push(place, url)
    waits = [float(re.findall(r"again in ([\d.]+) s$", line)[0]) for line in told]

    assert name_texts() == [sample["text"] for sample in platform.samples.values()]
    assert 2 == len(waits)
    assert all(asked_seconds <= wait < asked_seconds + 1 for wait in waits)


@pytest.mark.parametrize(
    ("fate", "kind", "said"),
    [
        (refuse(401, "unauthorized"), PlatformError, "EXEMPLARS_PLATFORM_KEY must be a valid key of that platform"),
        (refuse(403, "forbidden"), PlatformError, "of the scope authoring, that owns u22a8"),
        (
            refuse(429, "slow", headers={"Retry-After": "86400"}),
            RetryablePlatformError,
            "answered 429: No. Push again later if",
        ),
        (refuse(400, "odd", "Two\nlines " + "and more " * 99), PlatformError, "answered 400: Two lines and more and"),
        (refuse(404, "model_not_found"), UnknownModelError, f"Create {HANDLE} there first"),
        (refuse(404, "not_found"), InputError, "Give the address of a platform's API"),
        (refuse(409, "model_not_draft", "It is ready."), FrozenModelError, "accepts no samples: It is ready."),
        (Response(status_code=308, headers={"Location": f"http://x.test/{KEY}"}), InputError, "x.test/[redacted]"),
        (Response("<h1>Welcome</h1>", 200), PlatformError, "did not answer with an id"),
        (JSONResponse([]), PlatformError, "did not answer with an id"),
        (JSONResponse({"ids": [1] * 499}), PlatformError, "an id for each of the 500"),
        (
            refuse(422, "invalid_request", "Sample 1: it is quality 0.", index=1),
            InputError,
            f"or remove it here ('exemplars remove {HANDLE} {SECOND}')",
        ),
        (refuse(422, "invalid_request"), InputError, "refused the request: No. Correct it there, and"),
        (Response("<h1>Request Entity Too Large</h1>", 413), PlatformError, "ask its operator why"),
    ],
)
def test_what_does_not_pass_ends_the_push_with_its_remedy(
    place: Path, platform: FakePlatform, url: str, fate: Any, kind: type[Exception], said: str
) -> None:
    platform.fates = [fate]
    with pytest.raises(ExemplarsError) as raised:
        push(place, url)

    assert kind is type(raised.value)
    assert said in str(raised.value)
    assert 1 == len(platform.requests)


def test_patience_ends(place: Path, platform: FakePlatform, url: str) -> None:
    platform.fates = [refuse(409, "model_busy", "It is busy with run r.")] * 1000
    with pytest.raises(ModelBusyError, match="It is busy with run r"):
        push(place, url, patience_seconds=0.3)
    platform.fates = [Response("down", 503)] * 1000
    with pytest.raises(PlatformError, match="503"):
        push(place, url, patience_seconds=0.3)


def test_key_that_is_echoed_is_not_told(place: Path, platform: FakePlatform, url: str) -> None:
    echo = f"No such key: {KEY}, {json.dumps(KEY)}"
    platform.fates = [Response(echo, 503), Response(echo, 401)]
    told: list[str] = []
    with pytest.raises(PlatformError, match="No such key") as raised:
        push(place, url, tell=told.append)

    assert KEY[:12] not in f"{told} {raised.value}"


def test_address_is_taken_with_or_without_its_version() -> None:
    for ending in ("", "/", "/v1", "/v1/"):
        assert "http://127.0.0.1:8000/v1" == find_base(f"http://127.0.0.1:8000{ending}")


@pytest.mark.parametrize(
    "url", ["http://", "https://me:hunter2@x/v1", "https://x/?key=1", "http://platform.example/v1"]
)
def test_address_that_is_none_is_refused_without_what_is_secret(url: str) -> None:
    with pytest.raises(InputError, match="--to") as raised:
        find_base(url)

    assert "hunter2" not in str(raised.value)
    assert "key=1" not in str(raised.value)
