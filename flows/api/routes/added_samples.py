"""The route that adds samples to a draft: all of a request or none, and each sample once however often it is sent."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.concurrency import run_in_threadpool

from engine.definitions.loader import check_traits, load_outline
from engine.definitions.outline import Outline
from engine.domain.model import SURROGATE, Effort, Seed, digest_text
from engine.domain.samples import make_id
from engine.errors import SampleConflictError
from engine.store.added_samples import MAX_TEXT_CHARACTERS, add_samples, choose_new
from engine.store.earlier.rows import find_qualities
from engine.store.store import translate_errors
from engine.store.writers import lock_model
from flows.api.ignored_fields import note_ignored
from flows.api.openapi.document import BY_PREFECT, OF_MODEL, describe_answers, link
from flows.api.openapi.examples import TEXT_EXAMPLE
from flows.api.routes.changes import change_draft
from flows.api.routes.dependencies import Storage, find_changeable_model, get_storage
from flows.api.routes.json_body import JsonObject, check_once, describe_value, parse_object, refuse_field
from flows.api.routes.samples import index_traits
from flows.api.schemas import AddedSamples

router = APIRouter(tags=["Changing"])

MOST_SAMPLES = 500
MAX_URL_CHARACTERS = 2048
# What Python calls space and JSON Schema's regular expressions do not, too.
NOT_BLANK = r"[^\s\x1c-\x1f\x85]"
READ_FIELDS = ("trait", "text", "quality", "source_url", "content_sha256")
BODY = {
    "required": True,
    "description": "Fields that are not named here are ignored, and the answer's `X-Ignored-Fields` names them. At "
    "most 8 MiB.",
    "content": {
        "application/json": {
            "schema": {
                "title": "AddSamplesRequest",
                "type": "object",
                "required": ["samples"],
                "properties": {
                    "samples": {
                        "type": "array",
                        "minItems": 1,
                        "maxItems": MOST_SAMPLES,
                        "items": {
                            "type": "object",
                            "required": ["trait", "text", "quality"],
                            "properties": {
                                "trait": {"type": "string", "description": "The trait, by its key or its name."},
                                "text": {
                                    "type": "string",
                                    "minLength": 1,
                                    "maxLength": MAX_TEXT_CHARACTERS,
                                    "pattern": NOT_BLANK,
                                    "description": "The text; it is kept without the space around it.",
                                },
                                "quality": {
                                    "type": "number",
                                    "minimum": 0,
                                    "maximum": 1,
                                    "description": "1 is the trait's positive pole, 0 its negative one.",
                                },
                                "source_url": {
                                    "anyOf": [
                                        {"type": "string", "maxLength": MAX_URL_CHARACTERS, "pattern": NOT_BLANK},
                                        {"type": "null"},
                                    ],
                                    "description": "Where the text was found.",
                                },
                                "content_sha256": {
                                    "anyOf": [{"type": "string", "pattern": "^[0-9a-f]{64}$"}, {"type": "null"}],
                                    "description": "SHA-256 of the UTF-8 text as it is sent, in hexadecimal: a text "
                                    "that was altered on its way is refused.",
                                },
                            },
                        },
                    }
                },
            },
            "examples": {
                "one": {
                    "summary": "One sample at the positive pole.",
                    "value": {"samples": [{"trait": "clarity", "text": TEXT_EXAMPLE, "quality": 1.0}]},
                },
                "whole": {
                    "summary": "With all that may be said of it.",
                    "value": {
                        "samples": [
                            {
                                "trait": "Clarity",
                                "text": "Actuate the control.",
                                "quality": 0.25,
                                "source_url": "https://example.org/manual",
                                "content_sha256": digest_text("Actuate the control."),
                            }
                        ]
                    },
                },
            },
        }
    },
}


@dataclass(frozen=True, slots=True)
class AddRequest:
    """The parsed body of a request, traits as they were named; ``ignored`` are fields that nobody reads."""

    samples: tuple[Seed, ...]
    ignored: tuple[str, ...] = ()


@router.post(
    "/models/{handle}/samples",
    operation_id="add_samples",
    responses=describe_answers(
        AddedSamples,
        *OF_MODEL,
        (403, "forbidden"),
        (422, "invalid_request"),
        (422, "no_traits"),
        (409, "model_busy"),
        (409, "model_not_draft"),
        *BY_PREFECT,
        links={"samples": link("list_samples", "The samples of the model.", handle="$request.path.handle")},
    ),
    openapi_extra={"requestBody": BODY},
    summary="Add samples",
)
async def add_model_samples(request: Request, handle: Annotated[str, Depends(find_changeable_model)]) -> AddedSamples:
    """Adds samples to a draft, with the provenance `authored`: 1 to 500 at a time, all of them or none.

    Sending the same request again is safe: a sample that is there already (same trait, text and quality; authored,
    added or attached) answers with its id. The same trait and text with another quality, in the model or twice in one
    request, is 422. The `details` of a 422 have the `index` of the first sample that was refused.
    """
    body, content_type = await request.body(), request.headers.get("content-type")
    wanted = await run_in_threadpool(parse_body, body, content_type)
    note_ignored(request.scope, wanted.ignored)
    storage = get_storage(request)
    samples, own = await run_in_threadpool(check_model, storage, handle, wanted.samples)
    return AddedSamples(ids=await change_draft(request, handle, own, lambda: _add(storage, handle, samples)))


def check_model(storage: Storage, handle: str, samples: Sequence[Seed]) -> tuple[list[Seed], Effort | None]:
    """Checks that a model can take the samples; returns them, their traits by keys, and the model's own effort.

    Raises:
        NoTraitsError, DefinitionError: the model's definition does not permit it.
        ApiError: 422, a trait that the model has not, or a text that has another quality already.
    """
    outline = load_outline(storage.models_uri, handle)
    check_traits(outline)
    found = _find_traits(outline, samples)
    with _refusing_conflicts():
        choose_new(storage.models_uri, outline, found, _find_attached(storage, handle, found))
    return found, outline.effort


def parse_body(body: bytes, content_type: str | None) -> AddRequest:
    """Parses the body of a request.

    Raises:
        ApiError: 400 if it is not JSON, 422 if it is JSON but not a valid request.
    """
    value = parse_object(body, content_type, 'Send a JSON object: {"samples": […]}')
    check_once("The body", value, ["samples"])
    given = value.fields.get("samples")
    if not isinstance(given, list):
        raise refuse_field(f"samples is {describe_value(given)}. Send a list of objects.", "samples")
    if not 1 <= len(given) <= MOST_SAMPLES:
        raise refuse_field(f"There are {len(given)} samples. Send 1 to {MOST_SAMPLES} at a time.", "samples")
    ignored = dict.fromkeys(name for name in value.fields if name != "samples")
    samples = []
    for index, item in enumerate(given):
        if not isinstance(item, JsonObject):
            raise refuse_field(f"Sample {index} is {describe_value(item)}. Send an object.", "samples", index=index)
        samples.append(_read_sample(item, index))
        ignored |= dict.fromkeys(f"samples.{name}" for name in item.fields if name not in READ_FIELDS)
    return AddRequest(tuple(samples), tuple(ignored))


def _read_sample(item: JsonObject, index: int) -> Seed:
    check_once(f"Sample {index}", item, READ_FIELDS, index=index)
    problem = next(_find_problems(item.fields), None)
    if problem is not None:
        field, said = problem
        raise refuse_field(f"Sample {index}: {field} {said}.", field, index=index)
    fields = item.fields
    return Seed(fields["trait"], fields["text"].strip(), fields["quality"], source_url=fields.get("source_url"))


def _find_problems(fields: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yields what is wrong with the fields of a sample, each by its name."""
    trait, text, quality = (fields.get(name) for name in READ_FIELDS[:3])
    url, digest = (fields.get(name) for name in READ_FIELDS[3:])
    if not isinstance(trait, str):
        yield "trait", f"is {describe_value(trait)}: send its key or its name"
    if not isinstance(text, str) or not text.strip():
        yield "text", f"is {describe_value(text)}: send a text that is not empty"
    elif len(text) > MAX_TEXT_CHARACTERS:
        yield "text", f"has {len(text):,} characters: send {MAX_TEXT_CHARACTERS:,} at most"
    elif SURROGATE.search(text):
        yield "text", "has half of a surrogate pair: send whole Unicode characters"
    elif digest is not None and digest != digest_text(text):
        yield "content_sha256", "is not the SHA-256 of the UTF-8 text: send that, in lower-case hexadecimal, or none"
    if isinstance(quality, bool) or not isinstance(quality, float) or not 0 <= quality <= 1:
        shown = f"{quality:g}" if isinstance(quality, float) else describe_value(quality)
        yield "quality", f"is {shown}: send a number from 0 to 1"
    if url is not None and (not isinstance(url, str) or not url.strip() or SURROGATE.search(url)):
        yield "source_url", f"is {describe_value(url)}: send an address, or leave it out"
    elif url is not None and len(url) > MAX_URL_CHARACTERS:
        yield "source_url", f"has {len(url):,} characters: send {MAX_URL_CHARACTERS:,} at most"


def _find_traits(outline: Outline, samples: Sequence[Seed]) -> list[Seed]:
    """The samples with their traits by keys.

    Raises:
        ApiError: 422, the model has no such trait.
    """
    keys = index_traits(outline)
    for index, sample in enumerate(samples):
        if sample.trait not in keys:
            listed = ", ".join(trait.key for trait in outline.traits)
            said = f"Sample {index}: {outline.handle} has no trait {sample.trait[:60]!r}. It has: {listed}."
            raise refuse_field(said, "trait", index=index)
    return [replace(sample, trait=keys[sample.trait]) for sample in samples]


def _add(storage: Storage, handle: str, samples: Sequence[Seed]) -> list[int]:
    place = f"{storage.samples_uri.rstrip('/')}/handle={handle}"
    # A run of another Prefect server may be about to attach the same text.
    with _refusing_conflicts(), translate_errors(place, "Permit writing; nothing was added"), lock_model(place):
        return add_samples(storage.models_uri, handle, samples, _find_attached(storage, handle, samples))


def _find_attached(storage: Storage, handle: str, samples: Sequence[Seed]) -> dict[int, set[float]]:
    ids = [make_id(handle, sample.trait, sample.text) for sample in samples]
    return find_qualities(storage.samples_uri, handle, ids)


@contextmanager
def _refusing_conflicts() -> Iterator[None]:
    try:
        yield
    except SampleConflictError as error:
        raise refuse_field(f"{error}.", "quality", index=error.index) from None
