"""Settings come from EXEMPLARS_ variables alone, are checked by name, and never show a secret."""

import os
from pathlib import Path

import pytest

from engine.errors import DefinitionError
from engine.settings import PROJECT_ROOT, Settings, read_settings

SECRET = "hush-" + "do-not-show-me"


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.upper().startswith("EXEMPLARS_"):
            monkeypatch.delenv(name)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("SEED", "-7", -7),
        ("CALL_TIMEOUT_SECONDS", "0.5", 0.5),
        ("SYNTH_API_KEY", "", None),
    ],
)
def test_prefixed_variable_sets_its_field(monkeypatch: pytest.MonkeyPatch, name: str, text: str, value: object) -> None:
    before = read_settings()
    monkeypatch.setenv(name, text)
    monkeypatch.setenv("EXEMPLARS_OF_SOMETHING_ELSE", "x")
    assert before == read_settings()

    monkeypatch.setenv(f"EXEMPLARS_{name}", text)
    assert value == getattr(read_settings(), name.lower())


@pytest.mark.parametrize(
    ("written", "located"),
    [
        ("data/models", f"{PROJECT_ROOT}/data/models"),
        ("~/models", "{home}/models"),
        ("s3://bucket/models", "s3://bucket/models"),
        ("/tmp/x", "/tmp/x"),
    ],
)
def test_place_is_located_and_known_as_it_was_set(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, written: str, located: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("EXEMPLARS_MODELS_URI", written)
    settings = read_settings()

    assert (located.format(home=tmp_path), written) == (settings.models_uri, settings.get_written("models_uri"))


def test_project_of_ones_own_says_where_things_lie(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    places = 'models_uri = "models"\nsamples_uri = "s3://bucket/samples"\n'
    # As some editors begin a file.
    (tmp_path / "exemplars.toml").write_text(places, encoding="utf-8-sig")
    (tmp_path / "notebooks").mkdir()
    monkeypatch.chdir(tmp_path / "notebooks")
    monkeypatch.setenv("EXEMPLARS_CACHE_DIR", "kept")
    # The checkout has such a file.
    monkeypatch.setenv("EXEMPLARS_KEYS_FILE", "pyproject.toml")
    settings = read_settings()

    assert str(tmp_path / "models") == settings.models_uri
    assert str(tmp_path / "pyproject.toml") == settings.keys_file
    assert "s3://bucket/samples" == settings.samples_uri
    assert str(tmp_path / "kept") == settings.cache_dir
    # The dial that the project has not is taken from the code.
    assert str(PROJECT_ROOT / "data" / "effort.yaml") == settings.effort_file
    monkeypatch.setenv("EXEMPLARS_SAMPLES_URI", "elsewhere")
    assert str(tmp_path / "elsewhere") == read_settings().samples_uri
    # In a folder that everybody may write to it is anybody's.
    tmp_path.chmod(0o1777)
    assert str(PROJECT_ROOT / "data" / "models") == read_settings().models_uri


@pytest.mark.parametrize(
    ("text", "field", "allowed"),
    [
        ("models_uri = models", "file", "a file of TOML, in UTF-8"),
        ('synth_api_base = "https://example.org"', "synth_api_base", "models_uri, samples_uri, effort_file, "),
        ("models_uri = 7", "models_uri", "input should be a valid string"),
        ('cache_dir = "s3://bucket/x"', "cache_dir", "should be a path on this machine"),
    ],
)
def test_file_of_a_project_is_refused_by_its_name(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str, field: str, allowed: str
) -> None:
    (tmp_path / "exemplars.toml").write_text(text)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DefinitionError) as caught:
        read_settings()
    (problem,) = caught.value.problems

    assert (str(tmp_path / "exemplars.toml"), field) == (problem.file, problem.field)
    assert problem.allowed.startswith(allowed)


@pytest.mark.parametrize(
    ("url", "located"),
    [
        ("", "sqlite:////tmp/kept/replies.sqlite"),
        ("postgresql://ann:p%40ss@db:5432/replies?sslmode=require",) * 2,
        ("sqlite:////tmp/other.sqlite",) * 2,
        ("sqlite:///other.sqlite", f"sqlite:///{PROJECT_ROOT}/other.sqlite"),
    ],
)
def test_replies_are_kept_where_a_url_says(monkeypatch: pytest.MonkeyPatch, url: str, located: str) -> None:
    for name, value in (("CACHE_DIR", "/tmp/kept"), ("REPLIES_URL", url)):
        monkeypatch.setenv(f"EXEMPLARS_{name}", value)

    assert located == read_settings().replies_place.get_secret_value()


DATABASE = "should be the URL of a database"
HTTP = "should be an address that begins with http:// or https://"


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("SEED", "x", "input should be a valid integer"),
        ("CONCURRENCY", "0", "input should be greater than or equal to 1"),
        ("CALL_TIMEOUT_SECONDS", "inf", "input should be less than or equal to 86400"),
        ("CACHE_DIR", "s3://bucket/x", "should be a path on this machine"),
        ("SYNTH_API_BASE", "localhost:8080", HTTP),
        ("SYNTH_PRICE", "cheap", "should be the price in USD of a million tokens"),
        # What may be a secret is not shown.
        ("REPLIES_URL", f"postgresql://ann:{SECRET}@db", DATABASE),
        ("ALERT_URL", f"https:// {SECRET}", HTTP),
        ("SYNTH_API_BASE", f"https://me:{SECRET}@ho st/v1", HTTP),
        ("JUDGE_API_BASE", f"https://me:{SECRET}@host/v1", "should be an address without a user"),
        ("SYNTH_API_KEY", f"{SECRET} {SECRET}", "should be printable ASCII without spaces"),
    ],
)
def test_refusal_says_what_is_allowed(monkeypatch: pytest.MonkeyPatch, name: str, value: str, allowed: str) -> None:
    monkeypatch.setenv(f"EXEMPLARS_{name}", value)
    with pytest.raises(DefinitionError) as caught:
        read_settings()
    (problem,) = caught.value.problems

    assert ("environment", None, f"EXEMPLARS_{name}") == (problem.file, problem.line, problem.field)
    assert problem.allowed.startswith(allowed)
    assert ("a secret" if "hush" in value else repr(value)[:60].rstrip("'")) in problem.found
    assert "hush" not in str(problem)


def test_every_wrong_value_is_named_at_once_and_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("SYNTH_API_KEY", SECRET), ("SEED", "x"), ("CONCURRENCY", "0")):
        monkeypatch.setenv(f"EXEMPLARS_{name}", value)
    with pytest.raises(DefinitionError) as caught:
        read_settings()

    assert ["EXEMPLARS_SEED", "EXEMPLARS_CONCURRENCY"] == [problem.field for problem in caught.value.problems]
    # A traceback would print a cause or a context.
    assert (None, True) == (caught.value.__cause__, caught.value.__suppress_context__)


def test_secret_is_there_to_use_and_not_to_see(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXEMPLARS_REPLIES_URL", f"postgresql://ann:{SECRET}@db/replies")
    monkeypatch.setenv("EXEMPLARS_ALERT_URL", f"http://127.0.0.1:9/hook?token={SECRET}")
    settings = read_settings()
    shown = (settings, settings.model_dump(), settings.model_dump_json(), settings.replies_place)

    assert settings.alert_url
    assert settings.alert_url.get_secret_value().endswith(SECRET)
    assert SECRET in settings.replies_place.get_secret_value()
    assert SECRET not in "".join(f"{part} {part!r}" for part in shown)


# One setting of each type: its validators are those of all others of the type.
FIELDS = tuple(
    {str(field.annotation) + str(field.metadata): name for name, field in Settings.model_fields.items()}.values()
)
NUMBERS = (int, float, int | None, float | None)
HUGE = ("inf", "-inf", "nan", "-1e400", "1" + "0" * 30, "-1" + "0" * 30, "9" * 5000, "1" * 400 + "/1", "x" * 300)
HOSTILE = ("~nouser-of-that-name/x", "a\nb", " ", "\u202e", "\x7f", "http://host:99999", "http://[::1", "1/1e9")


def read_or_refuse() -> Settings | DefinitionError:
    try:
        return read_settings()
    except DefinitionError as error:
        return error


@pytest.mark.parametrize("name", FIELDS)
def test_hostile_value_is_refused_in_words_or_harmless(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    for value in (*HUGE, *HOSTILE):
        monkeypatch.setenv(f"EXEMPLARS_{name.upper()}", value)
        read = read_or_refuse()
        if isinstance(read, Settings):
            assert Settings.model_fields[name].annotation not in NUMBERS
            assert str(getattr(read, name)).isprintable()
        else:
            assert [f"EXEMPLARS_{name.upper()}"] == [problem.field for problem in read.problems]
            assert len(str(read)) < 400
