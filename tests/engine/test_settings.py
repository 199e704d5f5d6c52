"""Settings come from EXEMPLARS_ variables alone, are checked by name, and never show a secret."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest
from pydantic.fields import FieldInfo

from engine.errors import DefinitionError, Problem
from engine.settings import PROJECT_ROOT, RepliesPlace, Settings, read_settings

SECRET = "hush-" + "do-not-show-me"


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.upper().startswith("EXEMPLARS_"):
            monkeypatch.delenv(name)


def find_problems() -> tuple[Problem, ...]:
    with pytest.raises(DefinitionError) as caught:
        read_settings()
    return caught.value.problems


def list_types(field: FieldInfo) -> Iterator[object]:
    """The types that a setting may have, ``None`` and annotations left out."""
    waiting: list[object] = [field.annotation]
    while waiting:
        kind = waiting.pop()
        waiting.extend(get_args(kind))
        yield kind


# One setting of each type: its validators are those of all others of the type.
FIELDS = tuple(
    {str(field.annotation) + str(field.metadata): name for name, field in Settings.model_fields.items()}.values()
)
NUMBERS = tuple(name for name, field in Settings.model_fields.items() if {int, float} & set(list_types(field)))
PLACES = ("models_uri", "samples_uri", "effort_file", "cache_dir", "keys_file")


def test_defaults_are_those_of_the_design() -> None:
    defaults: dict[str, object] = {
        "models_uri": "data/models",
        "samples_uri": "data/samples",
        "effort_file": "data/effort.yaml",
    }
    defaults |= {"cache_dir": "data/cache", "seed": 0, "concurrency": 32, "call_timeout_seconds": 120}
    unset = {"synth_model", "synth_api_base", "synth_api_key", "judge_model", "judge_api_base", "judge_api_key"}
    settings = read_settings().model_dump()

    assert defaults.items() <= settings.items()
    assert [None] == list({settings[name] for name in unset | {"max_cost_usd", "replies_url"}})


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("MODELS_URI", "s3://bucket/models", "s3://bucket/models"),
        ("SEED", "-7", -7),
        ("CONCURRENCY", "1", 1),
        ("CONCURRENCY", "4096", 4096),
        ("CALL_TIMEOUT_SECONDS", "0.5", 0.5),
        ("SYNTH_PRICE", "0.40/1.60", "0.40/1.60"),
    ],
)
def test_variable_with_the_prefix_sets_its_field(
    monkeypatch: pytest.MonkeyPatch, name: str, text: str, value: object
) -> None:
    before = read_settings()
    monkeypatch.setenv(name, text)
    monkeypatch.setenv("EXEMPLARS_OF_SOMETHING_ELSE", "x")
    assert before == read_settings()

    monkeypatch.setenv(f"EXEMPLARS_{name}", text)
    assert value == getattr(read_settings(), name.lower())


def test_empty_variable_counts_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SEED", "MAX_COST_USD", "SYNTH_MODEL", "SYNTH_API_KEY"):
        monkeypatch.setenv(f"EXEMPLARS_{name}", "")

    assert Settings.model_construct() == read_settings()


def test_relative_path_is_relative_to_the_root_wherever_a_worker_stands(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    settings = read_settings()

    assert (PROJECT_ROOT / "engine" / "settings.py").is_file()
    assert str(PROJECT_ROOT / "data" / "models") == settings.locate("data/models")
    assert str(tmp_path / "models") == settings.locate("~/models")
    for uri in ("s3://bucket/models", "gs://bucket/x", "file:///tmp/x", "/tmp/x"):
        assert uri == settings.locate(uri)


@pytest.mark.parametrize(
    ("url", "located"),
    [
        (None, None),
        ("postgresql://ann:p%40ss@db:5432/replies?sslmode=require",) * 2,
        ("postgresql+psycopg:///replies?host=/run/postgresql",) * 2,
        ("postgresql://ann@[::1]:5432/replies",) * 2,
        ("sqlite:////tmp/other.sqlite", "sqlite:////tmp/other.sqlite"),
        ("sqlite:///other.sqlite", f"sqlite:///{PROJECT_ROOT}/other.sqlite"),
    ],
)
def test_replies_are_kept_in_a_file_or_where_a_url_says(
    monkeypatch: pytest.MonkeyPatch, url: str | None, located: str | None
) -> None:
    monkeypatch.setenv("EXEMPLARS_CACHE_DIR", "/tmp/kept")
    monkeypatch.setenv("EXEMPLARS_PATIENCE_SECONDS", "7")
    if url is not None:
        monkeypatch.setenv("EXEMPLARS_REPLIES_URL", url)

    assert RepliesPlace("/tmp/kept", located, 7) == read_settings().replies_place


DATABASE = "should be the URL of a database, as postgresql://user:"
HTTP = "should be an address that begins with http:// or https://"
LOCAL = "should be a path on this machine; mount the object store, or copy what is in it"


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("SEED", "1.5", "input should be a valid integer"),
        ("SEED", "x", "input should be a valid integer"),
        *(("CONCURRENCY", value, "input should be greater than or equal to 1") for value in ("0", "-1")),
        ("CONCURRENCY", "4097", "input should be less than or equal to 4096"),
        ("CALL_TIMEOUT_SECONDS", "0", "input should be greater than 0"),
        ("CALL_TIMEOUT_SECONDS", "inf", "input should be less than or equal to 86400"),
        ("MAX_COST_USD", "0", "input should be greater than 0"),
        ("CACHE_MAX_DAYS", "inf", "input should be less than or equal to 36500"),
        ("MODELS_URI", "~nouser/x", "should be a path or a URI; nobody here has that home folder: write the path"),
        ("SAMPLES_URI", "x" * 256, "should be a path or a URI whose parts have at most 255 bytes each"),
        *((name, "s3://bucket/x", LOCAL) for name in ("EMBEDDED_DIR", "CACHE_DIR", "EFFORT_FILE")),
        ("SYNTH_API_BASE", "localhost:8080", HTTP),
        ("SYNTH_PRICE", "cheap", "should be the price in USD of a million tokens in and out, such as 0.40/1.60"),
    ],
)
def test_refusal_names_the_variable_and_says_what_is_allowed(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, allowed: str
) -> None:
    monkeypatch.setenv(f"EXEMPLARS_{name}", value)
    (problem,) = find_problems()

    assert ("environment", None, f"EXEMPLARS_{name}") == (problem.file, problem.line, problem.field)
    assert repr(value)[:60].rstrip("'") in problem.found
    assert problem.allowed.startswith(allowed)


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        *(
            ("REPLIES_URL", value, DATABASE)
            for value in (
                f"s3://{SECRET}/replies",
                f"mysql://ann:{SECRET}@db/replies",
                f"postgresql+asyncpg://ann:{SECRET}@db/replies",
                f"sqlite+aiosqlite:///{SECRET}",
                f"postgresql://ann:{SECRET}@@db/replies",
                f"postgresql://ann:hush/{SECRET}@db/replies",
                f"postgresql://ann:{SECRET}@db",
                f"postgresql://ann@db:{SECRET}/replies",
            )
        ),
        *(("ALERT_URL", value, HTTP) for value in (f"ftp://{SECRET}", f"example.com/{SECRET}", f"https:// {SECRET}")),
        ("SYNTH_API_BASE", f"https://me:{SECRET}@ho st/v1", ""),
        ("SYNTH_API_KEY", f"{SECRET} {SECRET}", "should be printable ASCII without spaces"),
    ],
)
def test_what_may_be_a_secret_is_refused_and_not_shown(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, allowed: str
) -> None:
    monkeypatch.setenv(f"EXEMPLARS_{name}", value)
    (problem,) = find_problems()

    assert (f"EXEMPLARS_{name}", "a secret") == (problem.field, problem.found)
    assert allowed in problem.allowed
    assert "hush" not in str(problem)


def test_every_wrong_value_is_named_at_once_and_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXEMPLARS_SYNTH_API_KEY", SECRET)
    monkeypatch.setenv("EXEMPLARS_SEED", "x")
    monkeypatch.setenv("EXEMPLARS_CONCURRENCY", "0")
    with pytest.raises(DefinitionError) as caught:
        read_settings()

    assert ["EXEMPLARS_SEED", "EXEMPLARS_CONCURRENCY"] == [problem.field for problem in caught.value.problems]
    assert SECRET not in f"{caught.value} {caught.value!r}"
    # What a traceback would print: neither a cause nor a context that is shown.
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SYNTH_API_KEY", SECRET),
        ("ALERT_URL", f"http://127.0.0.1:9/hook?token={SECRET}"),
        ("REPLIES_URL", f"postgresql://ann:{SECRET}@db/replies"),
    ],
)
def test_secret_is_there_to_use_and_not_to_see(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(f"EXEMPLARS_{name}", value)
    settings = read_settings()

    assert value == getattr(settings, name.lower()).get_secret_value()
    for shown in (repr(settings), str(settings.model_dump()), settings.model_dump_json(), repr(settings.replies_place)):
        assert SECRET not in shown


HOSTILE = ("nan", "-1e400", "9" * 5000, "~nouser-of-that-name/x", "a\nb", " ", "\u202e", "\x7f", "x" * 300)
HOSTILE_URLS = ("http://host:99999", "http://[::1", "ftp://host/x", "1/1e9", "1" * 400 + "/1")


@pytest.mark.parametrize("name", FIELDS)
def test_hostile_value_is_refused_in_words_or_harmless(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    for value in (*HOSTILE, *HOSTILE_URLS):
        monkeypatch.setenv(f"EXEMPLARS_{name.upper()}", value)
        settings, refused = try_to_read()
        if settings is not None:
            assert name not in NUMBERS
            assert str(getattr(settings, name)).isprintable()
            assert all(settings.locate(uri) for field in PLACES if (uri := getattr(settings, field)))
        if refused is not None:
            (problem,) = refused.problems
            assert (f"EXEMPLARS_{name.upper()}", 2) == (problem.field, refused.exit_code)
            assert len(str(refused)) < 400
            assert not any(word in str(refused) for word in ("alue error", "\\d", "Traceback"))


def try_to_read() -> tuple[Settings | None, DefinitionError | None]:
    try:
        return read_settings(), None
    except DefinitionError as error:
        return None, error


@pytest.mark.parametrize("name", NUMBERS)
def test_number_has_a_least_and_a_greatest_value(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    for value in ("inf", "-inf", "nan", "1e400", "1" + "0" * 30, "-1" + "0" * 30):
        monkeypatch.setenv(f"EXEMPLARS_{name.upper()}", value)
        (problem,) = find_problems()

        assert (f"EXEMPLARS_{name.upper()}", repr(value)) == (problem.field, problem.found)
