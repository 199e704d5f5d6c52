"""The hint about ignored fields: one header and one log line, whatever the fields are called."""

import logging
from collections.abc import Sequence

import pytest
from fakes.surface import Surface
from fakes.workspace import HANDLE

from flows.api.envelope import write_ignored
from flows.api.errors import IGNORED

NGINX_HEAD_BYTES, SMILE = 4096, "%F0%9F%98%80"


@pytest.mark.parametrize(
    ("names", "written"),
    [
        (["efort", "", "efort", "prio"], "efort, prio"),
        (["a\r\nSet-Cookie: x=1"], "a%0D%0ASet-Cookie%3A%20x%3D1"),
        (["a, b", "Größe"], "a%2C%20b, Gr%C3%B6%C3%9Fe"),
        (["\0"], "%00"),
        (["x" * 32, "x" * 33], f"{'x' * 32}, {'x' * 31}%E2%80%A6"),
        ([*"abcdefghijkl"], "a, b, c, d, e, f, g, h, i, j"),
        (["\U0001f600" * 31 + str(number) for number in range(10)], ", ".join(f"{SMILE * 31}{n}" for n in range(10))),
    ],
)
def test_names_are_one_header(names: Sequence[str], written: str) -> None:
    assert written == write_ignored({"state": {IGNORED: names}})
    assert len(written) < NGINX_HEAD_BYTES


def test_mistyped_field_is_named_with_the_run_that_it_starts_and_once_in_the_log(
    surface: Surface, caplog: pytest.LogCaptureFixture
) -> None:
    answer = surface.synthesize(efort="low")
    [run] = surface.orchestrator.runs.values()
    with caplog.at_level(logging.INFO, "flows.api"):
        again = surface.synthesize(efort="low")

    assert [(202, "efort"), (409, "efort")] == [(each.status_code, each.headers[IGNORED]) for each in (answer, again)]
    assert {"handle": HANDLE, "synth_type": "from_traits", "effort": "high"} == run["parameters"]
    assert 1 == caplog.text.count(f"{again.headers['X-Request-Id']} ignored: efort")


@pytest.mark.parametrize(
    ("path", "ignored"),
    [
        (f"/models/{HANDLE}/samples?trai=clarity&limit=1", "trai"),
        (f"/models/{HANDLE}?a%0D%0Ab=1&secret", "a%0D%0Ab"),
        ("/models?Limit=1", "Limit"),
        (f"/models/{HANDLE}/samples?trait=clarity&limit=1", None),
        ("/models?namespace=u22a8&limit=1&state=draft&kind=scoring", None),
    ],
)
@pytest.mark.parametrize("accept", ["*/*", "text/markdown"])
def test_mistyped_parameter_is_named_and_what_is_read_whole_has_no_such_header(
    surface: Surface, path: str, ignored: str | None, accept: str
) -> None:
    assert ignored == surface.author.get(path, headers={"Accept": accept}).headers.get(IGNORED)
