"""The body of a synthesis request: what is read, and each way in which it may be wrong."""

import json
import re

import pytest

from engine.domain.model import EFFORTS, Effort, SynthType
from flows.api.errors import ApiError
from flows.api.routes.synthesize import SynthesisRequest, parse_body

JSON = "application/json"


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
    ("body", "content_type", "status", "said"),
    [
        (b"", JSON, 400, "There is no body"),
        (b"synth_type=diversify", JSON, 400, "not JSON"),
        (b'{"effort": NaN}', JSON, 400, "NaN is not a JSON number"),
        (b'{"effort": "low"} {}', JSON, 400, "not JSON"),
        (b"[" * 60_000, JSON, 400, "nested too deep"),
        (b'{"effort": "\xff"}', JSON, 400, "not UTF-8"),
        (b"effort=low", "text/plain", 400, "not JSON"),
        *(
            (b"{}", wrong, 422, "content type")
            for wrong in ("text/plain", "application/x-www-form-urlencoded", "", "json")
        ),
        (b"[]", JSON, 422, "must be a JSON object"),
        (b'{"synth_type": null}', JSON, 422, "synth_type is null. Use from_traits or diversify."),
        (b'{"synth_type": "enrich"}', JSON, 422, "enrich is internal and not available over HTTP"),
        (b'{"synth_type": "From_Traits"}', JSON, 422, "synth_type is 'From_Traits'"),
        (b'{"synth_type": {"a": 1}}', JSON, 422, "synth_type is an object"),
        (b'{"effort": "highest"}', JSON, 422, "effort is 'highest'. Use one of low, medium, high, xhigh, max"),
        (b'{"effort": true}', JSON, 422, "effort is true or false"),
        (b'{"effort": "\\ud800"}', JSON, 422, r"effort is '\ud800'"),
        (b'{"effort": "low", "effort": "high"}', JSON, 422, "effort twice"),
        (b'{"synth_type": "diversify", "effort": null, "synth_type": "diversify"}', JSON, 422, "synth_type twice"),
    ],
)
def test_body_that_is_not_json_is_400_and_other_json_422(
    body: bytes, content_type: str, status: int, said: str
) -> None:
    with pytest.raises(ApiError, match=re.escape(said)) as refused:
        parse_body(body, content_type)

    code = "invalid_json" if status == 400 else "invalid_request"
    assert (status, code) == (refused.value.status, refused.value.code)


@pytest.mark.parametrize("content_type", ["Application/JSON; charset=utf-8", "application/problem+json", None])
def test_json_by_any_of_its_names_is_taken(content_type: str | None) -> None:
    assert SynthesisRequest() == parse_body(b"{}", content_type)


@pytest.mark.parametrize(("synth_type", "effort"), [("diversify", "low"), *(("from_traits", each) for each in EFFORTS)])
def test_both_fields_are_read(synth_type: SynthType, effort: Effort) -> None:
    body = json.dumps({"synth_type": synth_type, "effort": effort}).encode()

    assert SynthesisRequest(synth_type, effort) == parse_body(body, JSON)
