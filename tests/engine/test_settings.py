"""Settings come from EXEMPLARS_ variables alone, are checked by name, and never show a secret."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest
from pydantic.fields import FieldInfo

from engine.errors import DefinitionError, Problem
from engine.settings import PROJECT_ROOT, RepliesPlace, Settings, read_settings

SECRET = "sk-" + "do-not-show-me"


def list_types(field: FieldInfo) -> Iterator[object]:
    """The types that a setting may have, ``None`` and annotations left out."""
    waiting: list[object] = [field.annotation]
    while waiting:
        kind = waiting.pop()
        waiting.extend(get_args(kind))
        yield kind


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.upper().startswith("EXEMPLARS_"):
            monkeypatch.delenv(name)


def find_problems() -> tuple[Problem, ...]:
    with pytest.raises(DefinitionError) as caught:
        read_settings()
    return caught.value.problems


def test_defaults_are_those_of_the_design() -> None:
    settings = read_settings()

    assert {
        "models_uri": "data/models",
        "samples_uri": "data/samples",
        "effort_file": "data/effort.yaml",
        "seed": 0,
        "synth_model": None,
        "synth_api_base": None,
        "synth_api_key": None,
        "judge_model": None,
        "judge_api_base": None,
        "judge_api_key": None,
        "concurrency": 32,
        "call_timeout_seconds": 120,
        "max_cost_usd": None,
        "cache_dir": "data/cache",
        "replies_url": None,
    }.items() <= settings.model_dump().items()


@pytest.mark.parametrize(
    ("name", "text", "field", "value"),
    [
        ("MODELS_URI", "s3://bucket/models", "models_uri", "s3://bucket/models"),
        ("SAMPLES_URI", "/tmp/samples", "samples_uri", "/tmp/samples"),
        ("EFFORT_FILE", "my.yaml", "effort_file", "my.yaml"),
        ("CACHE_DIR", "kept", "cache_dir", "kept"),
        ("SEED", "-7", "seed", -7),
        ("SYNTH_MODEL", "openai/gpt", "synth_model", "openai/gpt"),
        ("SYNTH_API_BASE", "http://127.0.0.1:1", "synth_api_base", "http://127.0.0.1:1"),
        ("JUDGE_MODEL", "openai/judge", "judge_model", "openai/judge"),
        ("JUDGE_API_BASE", "http://127.0.0.1:2", "judge_api_base", "http://127.0.0.1:2"),
        ("CONCURRENCY", "4", "concurrency", 4),
        ("CALL_TIMEOUT_SECONDS", "0.5", "call_timeout_seconds", 0.5),
        ("MAX_COST_USD", "2.5", "max_cost_usd", 2.5),
    ],
)
def test_variable_with_the_prefix_sets_its_field(
    monkeypatch: pytest.MonkeyPatch, name: str, text: str, field: str, value: object
) -> None:
    monkeypatch.setenv(name, "999")
    assert value != getattr(read_settings(), field)

    monkeypatch.setenv(f"EXEMPLARS_{name}", text)
    assert value == getattr(read_settings(), field)


def test_variables_of_others_are_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    before = read_settings()
    monkeypatch.setenv("EXEMPLARS_OF_SOMETHING_ELSE", "x")

    assert before == read_settings()


def test_empty_variable_counts_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SEED", "MAX_COST_USD", "SYNTH_MODEL", "SYNTH_API_KEY"):
        monkeypatch.setenv(f"EXEMPLARS_{name}", "")

    settings = read_settings()
    assert (0, None, None, None) == (
        settings.seed,
        settings.max_cost_usd,
        settings.synth_model,
        settings.synth_api_key,
    )


def test_relative_path_is_relative_to_the_root_wherever_a_worker_stands(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)

    assert str(PROJECT_ROOT / "data" / "models") == read_settings().locate("data/models")
    assert (PROJECT_ROOT / "engine" / "settings.py").is_file()


@pytest.mark.parametrize("uri", ["s3://bucket/models", "gs://bucket/x", "file:///tmp/x", "/tmp/x"])
def test_uri_and_absolute_path_stay_as_they_are(uri: str) -> None:
    assert uri == read_settings().locate(uri)


def test_replies_are_kept_in_a_file_or_where_a_url_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXEMPLARS_CACHE_DIR", "/tmp/kept")
    monkeypatch.setenv("EXEMPLARS_PATIENCE_SECONDS", "7")
    assert RepliesPlace("/tmp/kept", None, 7) == read_settings().replies_place
    for url, located in (
        ("postgresql://ann:p%40ss@db:5432/replies?sslmode=require",) * 2,
        ("postgresql+psycopg:///replies?host=/run/postgresql",) * 2,
        ("postgresql://ann@[::1]:5432/replies",) * 2,
        ("sqlite:////tmp/other.sqlite", "sqlite:////tmp/other.sqlite"),
        ("sqlite:///other.sqlite", f"sqlite:///{PROJECT_ROOT}/other.sqlite"),
    ):
        monkeypatch.setenv("EXEMPLARS_REPLIES_URL", url)
        assert RepliesPlace("/tmp/kept", located, 7) == read_settings().replies_place


@pytest.mark.parametrize(
    "url",
    [
        "s3://bucket/replies",
        "mysql://ann:hush-hush@db/replies",
        "postgresql+asyncpg://ann:hush-hush@db/replies",
        "sqlite+aiosqlite:///hush-hush",
        "postgresql://ann:hush-hush@@db/replies",
        "postgresql://ann:hush/hush-hush@db/replies",
        "postgresql://ann:hush-hush@db",
        "postgresql://ann@db:hush-hush/replies",
        "hush-hush",
    ],
)
def test_url_that_is_none_of_a_database_is_refused_and_not_shown(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("EXEMPLARS_REPLIES_URL", url)
    with pytest.raises(DefinitionError, match=r"EXEMPLARS_REPLIES_URL: found a secret; .*postgresql://user:") as caught:
        read_settings()

    assert "hush" not in str(caught.value)


def test_url_of_a_database_is_shown_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXEMPLARS_REPLIES_URL", "postgresql://ann:hush-hush@db/replies")
    settings = read_settings()

    assert "hush" not in f"{settings!r} {settings} {settings.replies_place!r} {settings.model_dump()}"


def test_home_folder_is_resolved(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))

    assert str(tmp_path / "models") == read_settings().locate("~/models")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        *(("SEED", text) for text in ("x", "1.5")),
        *(("CONCURRENCY", text) for text in ("0", "-1", "4097", "many", "2.5")),
        *(("CALL_TIMEOUT_SECONDS", text) for text in ("0", "-1", "nan", "soon")),
        *(("MAX_COST_USD", text) for text in ("0", "-0.1", "nan", "free")),
    ],
)
def test_wrong_value_names_its_variable(monkeypatch: pytest.MonkeyPatch, name: str, text: str) -> None:
    monkeypatch.setenv(f"EXEMPLARS_{name}", text)
    (problem,) = find_problems()

    assert ("environment", None, f"EXEMPLARS_{name}", repr(text)) == (
        problem.file,
        problem.line,
        problem.field,
        problem.found,
    )
    assert problem.allowed.startswith("input should be ")


def test_every_wrong_value_is_named_at_once_and_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXEMPLARS_SYNTH_API_KEY", SECRET)
    monkeypatch.setenv("EXEMPLARS_SEED", "x")
    monkeypatch.setenv("EXEMPLARS_CONCURRENCY", "0")
    with pytest.raises(DefinitionError) as caught:
        read_settings()

    assert ["EXEMPLARS_SEED", "EXEMPLARS_CONCURRENCY"] == [problem.field for problem in caught.value.problems]
    assert SECRET not in str(caught.value)
    assert SECRET not in repr(caught.value)
    # What a traceback would print: neither a cause nor a context that is shown.
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_secret_is_there_to_use_and_not_to_see(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXEMPLARS_SYNTH_API_KEY", SECRET)
    settings = read_settings()

    assert settings.synth_api_key is not None
    assert SECRET == settings.synth_api_key.get_secret_value()
    for shown in (repr(settings), str(settings), str(settings.model_dump()), settings.model_dump_json()):
        assert SECRET not in shown
        assert "*****" in shown


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        read_settings().seed = 3  # type: ignore[misc]


@pytest.mark.parametrize("address", ["ftp://token", "hooks.example.com/token", "http://", "https:// token"])
def test_address_of_alerts_that_is_none_is_not_shown(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setenv("EXEMPLARS_ALERT_URL", address)
    (problem,) = find_problems()

    assert ("EXEMPLARS_ALERT_URL", "a secret") == (problem.field, problem.found)
    assert problem.allowed.endswith("should be an address that begins with http:// or https://")


def test_address_of_alerts_is_there_to_use_and_not_to_see(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXEMPLARS_ALERT_URL", "http://127.0.0.1:9/hook?token=abc")
    settings = read_settings()

    assert settings.alert_url is not None
    assert "http://127.0.0.1:9/hook?token=abc" == settings.alert_url.get_secret_value()
    assert "hook" not in repr(settings)


HOSTILE = (
    "inf",
    "-inf",
    "nan",
    "1e400",
    "-1e400",
    "1" + "0" * 30,
    "9" * 5000,
    "~nouser-of-that-name/x",
    "a\nb",
    " ",
    "\u202e",
    "\x7f",
    "x" * 300,
    "http://host:99999",
    "http://[::1",
    "ftp://host/x",
    "1/1e9",
    "1" * 400 + "/1",
)
# One setting of each type: its validators are those of all others of the type.
FIELDS = tuple(
    {str(field.annotation) + str(field.metadata): name for name, field in Settings.model_fields.items()}.values()
)
NUMBERS = tuple(name for name, field in Settings.model_fields.items() if {int, float} & set(list_types(field)))
PLACES = ("models_uri", "samples_uri", "effort_file", "cache_dir", "keys_file")


@pytest.mark.parametrize("value", HOSTILE, ids=lambda value: repr(value[:24]))
@pytest.mark.parametrize("name", FIELDS)
def test_hostile_value_is_refused_in_words_or_harmless(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(f"EXEMPLARS_{name.upper()}", value)
    settings = refused = None
    try:
        settings = read_settings()
    except DefinitionError as error:
        refused = error

    if settings is not None:
        assert name not in NUMBERS
        assert str(getattr(settings, name)).isprintable()
        assert all(settings.locate(uri) for field in PLACES if (uri := getattr(settings, field)))
    if refused is not None:
        (problem,) = refused.problems
        assert (f"EXEMPLARS_{name.upper()}", 2) == (problem.field, refused.exit_code)
        assert len(str(refused)) < 400
        assert not any(word in str(refused) for word in ("Value error", "value error", "\\d", "Traceback"))


@pytest.mark.parametrize("value", ["inf", "-inf", "nan", "1e400", "-1e400", "1" + "0" * 30, "-1" + "0" * 30])
@pytest.mark.parametrize("name", NUMBERS)
def test_number_has_a_least_and_a_greatest_value(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(f"EXEMPLARS_{name.upper()}", value)
    (problem,) = find_problems()

    assert (f"EXEMPLARS_{name.upper()}", repr(value)) == (problem.field, problem.found)


def test_numbers_are_found_by_their_types() -> None:
    assert {"seed", "call_timeout_seconds", "cache_max_days", "metrics_port", "max_cost_usd"} <= set(NUMBERS)
    assert not {"models_uri", "synth_price", "log_format", "synth_api_key"} & set(NUMBERS)


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("CACHE_MAX_DAYS", "inf", "input should be less than or equal to 36500"),
        ("CALL_TIMEOUT_SECONDS", "inf", "input should be less than or equal to 86400"),
        (
            "MODELS_URI",
            "~nouser/x",
            "should be a path or a URI; nobody here has that home folder: write the path without '~'",
        ),
        *(
            (name, "s3://bucket/x", "should be a path on this machine; mount the object store, or copy what is in it")
            for name in ("EMBEDDED_DIR", "CACHE_DIR", "EFFORT_FILE")
        ),
        ("SAMPLES_URI", "x" * 256, "should be a path or a URI whose parts have at most 255 bytes each"),
        ("SYNTH_API_BASE", "localhost:8080", "should be an address that begins with http:// or https://"),
        ("SYNTH_PRICE", "cheap", "should be the price in USD of a million tokens in and out, such as 0.40/1.60"),
    ],
)
def test_refusal_says_what_is_allowed(monkeypatch: pytest.MonkeyPatch, name: str, value: str, allowed: str) -> None:
    monkeypatch.setenv(f"EXEMPLARS_{name}", value)
    (problem,) = find_problems()

    assert allowed == problem.allowed


def test_address_with_a_password_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXEMPLARS_SYNTH_API_BASE", f"https://me:{SECRET}@ho st/v1")
    (problem,) = find_problems()

    assert "a secret" == problem.found
