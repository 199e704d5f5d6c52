"""The body of a synthesis request: what is read, and each way in which it may be wrong."""

import json

import pytest

from engine.domain.model import EFFORTS, Effort, SynthType
from flows.api.errors import ApiError
from flows.api.routes.synthesize import SynthesisRequest, parse_body

JSON = "application/json"


def refuse(body: bytes, content_type: str | None = JSON) -> tuple[int, str, str]:
    """Status, code and message of the refusal."""
    with pytest.raises(ApiError) as caught:
        parse_body(body, content_type)
    return caught.value.status, caught.value.code, caught.value.message


@pytest.mark.parametrize(
    ("body", "ignored"),
    [
        (b'\xef\xbb\xbf{"effort": null}', ()),
        (b'  {"other": {"synth_type": 1, "synth_type": 2}, "x": 1, "x": 2}\n', ("other", "x")),
        (b'{"huge": ' + b"9" * 5000 + b"}", ("huge",)),
        (b'{"half": "\\ud800"}', ("half",)),
        (b'{"Effort": "low", "efort": "low", "SYNTH_TYPE": 1}', ("Effort", "efort", "SYNTH_TYPE")),
    ],
)
def test_defaults_hold_and_unknown_fields_are_named(body: bytes, ignored: tuple[str, ...]) -> None:
    assert SynthesisRequest(ignored=ignored) == parse_body(body, JSON)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "There is no body"),
        (b"synth_type=diversify", "not JSON"),
        (b'{"effort": NaN}', "NaN is not a JSON number"),
        (b'{"effort": "low"} {}', "not JSON"),
        (b"[" * 60_000, "nested too deep"),
        (b'{"effort": "\xff"}', "not UTF-8"),
        ('{"effort": "low"}'.encode("utf-16"), "not UTF-8"),
    ],
)
def test_what_is_not_json_is_400(body: bytes, said: str) -> None:
    status, code, message = refuse(body)

    assert (400, "invalid_json") == (status, code)
    assert said in message


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"[]", "must be a JSON object"),
        (b'{"synth_type": null}', "synth_type is null. Use from_traits or diversify."),
        (b'{"synth_type": "enrich"}', "enrich is internal and not available over HTTP"),
        (b'{"synth_type": "From_Traits"}', "synth_type is 'From_Traits'"),
        (b'{"synth_type": {"a": 1}}', "synth_type is an object"),
        (b'{"effort": "highest"}', "effort is 'highest'. Use one of low, medium, high, xhigh, max"),
        (b'{"effort": true}', "effort is true or false"),
        (b'{"effort": "\\ud800"}', r"effort is '\ud800'"),
        (b'{"effort": "low", "effort": "high"}', "effort twice"),
        (b'{"synth_type": "diversify", "effort": null, "synth_type": "diversify"}', "synth_type twice"),
    ],
)
def test_json_that_is_no_request_is_422(body: bytes, said: str) -> None:
    status, code, message = refuse(body)

    assert (422, "invalid_request") == (status, code)
    assert said in message


def test_json_by_any_of_its_names_is_taken_and_another_content_type_is_422() -> None:
    for content_type in ("Application/JSON; charset=utf-8", "application/problem+json", None):
        assert SynthesisRequest() == parse_body(b"{}", content_type)
    for content_type in ("text/plain", "application/x-www-form-urlencoded", "", "json"):
        assert (422, 400) == (refuse(b"{}", content_type)[0], refuse(b"effort=low", content_type)[0])


@pytest.mark.parametrize(("synth_type", "effort"), [("diversify", "low"), *(("from_traits", each) for each in EFFORTS)])
def test_both_fields_are_read(synth_type: SynthType, effort: Effort) -> None:
    body = json.dumps({"synth_type": synth_type, "effort": effort}).encode()

    assert SynthesisRequest(synth_type, effort) == parse_body(body, JSON)
