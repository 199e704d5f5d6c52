"""Read the settings from the environment (prefix ``EXEMPLARS_``), and places from a project's ``exemplars.toml``.

No other module reads either.
"""

import os
import re
import tomllib
from contextlib import suppress
from functools import partial
from pathlib import Path
from stat import S_ISVTX
from typing import Annotated, Any, Literal, TypeVar

from platformdirs import user_cache_path
from pydantic import AfterValidator, Field, PrivateAttr, SecretStr, ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, EnvSettingsSource, SettingsConfigDict

from engine.errors import DefinitionError, Problem

_PACKAGE = Path(__file__).resolve().parent
# In a wheel, the files that come with the code are next to this module; a pyproject.toml there may be anybody's.
IS_CHECKOUT = not (_PACKAGE / "data").is_dir()
# Relative paths start here: at the checkout, or in the user's home if the package was installed from a wheel.
PROJECT_ROOT = _PACKAGE.parent if IS_CHECKOUT else Path.home() / "exemplars"
# The files that come with the code are here.
SHIPPED_ROOT = _PACKAGE.parent if IS_CHECKOUT else _PACKAGE
# A user's own project has this file in its root. It may name only places, so that a working folder never decides where
# keys are sent.
PROJECT_FILE = "exemplars.toml"
# Set by commands that start services, because services run in other working directories.
ROOT_VARIABLE = "EXEMPLARS_ROOT"
PLACES = ("models_uri", "samples_uri", "effort_file", "expectations_uri", "cache_dir")
# Places that also come with the code, for a root without them.
SHIPPED = ("models_uri", "effort_file")
DAY_SECONDS = 86_400.0
# No run costs a million, so a higher limit is a typing mistake.
MOST_USD = 1e6
LogFormat = Literal["text", "json"]
Style = Literal["chat", "plain"]
JudgeStyle = Literal["chat", "decision"]
SHOWN = 80
SQLITE, REPLIES_FILE = "sqlite:///", "replies.sqlite"
LOOPBACK_NAMES = ("127.0.0.1", "localhost", "[::1]")
Text = TypeVar("Text", str, SecretStr)


def check_address(address: Text) -> Text:
    """Check that a server's address begins with http:// or https://, and is one line."""
    return _check(r"https?://[^\s/]+\S*", "an address that begins with http:// or https://", address)


def _check(pattern: str, allowed: str, value: Text) -> Text:
    """Check that a value matches a pattern and is one line. The error does not show the value: it may be a secret."""
    text = value if isinstance(value, str) else value.get_secret_value()
    if not re.fullmatch(pattern, text) or not text.isprintable():
        raise ValueError(f"should be {allowed}")
    return value


def _fits(pattern: str, allowed: str) -> AfterValidator:
    return AfterValidator(partial(_check, pattern, allowed))


# 4,096 characters are the longest path on Linux; no other value is longer.
Line = Annotated[str, Field(max_length=4096)]
StorageUri = Annotated[Line, _fits(r".*\S.*", "a path or a URI, on one line")]
LocalPlace = Annotated[StorageUri, _fits(r"(?!.*://).*", "a path on this machine; mount the object store")]
Address = Annotated[Line, AfterValidator(check_address)]
ApiBase = Annotated[
    Address,
    _fits(r"https?://[^@/]+(/.*)?", "an address without a user: a call has one header to sign in by, for the API key"),
]
Name = Annotated[Line, _fits(r"|.*\S.*", "a name, on one line")]
ListedPrice = Annotated[
    Line,
    _fits(
        r"\d{1,9}(\.\d{1,12})?/(\d{1,9}(\.\d{1,12})?|query)",
        "the price in USD of a million tokens in and out, 0.40/1.60, or of a request, 0.001/query",
    ),
]
Key = Annotated[SecretStr, _fits(r"[!-~]+", "printable ASCII without spaces")]
DatabaseUrl = Annotated[
    SecretStr,
    Field(max_length=4096),
    _fits(
        r"postgresql(\+psycopg)?://([^\s/@?#:]*(:[^\s/@?#:]*)?@)?[^\s/@?#]*/[^\s@#]+|sqlite:///[^\s?#]+",
        "the URL of a database, as postgresql://user:password@host:5432/name or sqlite:///path; in a user or a "
        "password, write : as %3A, / as %2F, @ as %40, # as %23 and ? as %3F",
    ),
]


def find_root() -> Path:
    """Return ``EXEMPLARS_ROOT``, else the nearest folder upwards with an ``exemplars.toml``, else ``PROJECT_ROOT``."""
    if root := os.environ.get(ROOT_VARIABLE):
        return Path(root).absolute()
    # The working directory may have been removed.
    with suppress(OSError):
        current = Path.cwd()
        for folder in (current, *current.parents):
            # A file in a folder that everybody may write to, such as /tmp, may be anybody's.
            if (folder / PROJECT_FILE).is_file() and not folder.stat().st_mode & S_ISVTX:
                return folder
            if folder == PROJECT_ROOT:
                break
    return PROJECT_ROOT


def _read_places() -> dict[str, Any]:
    file = find_root() / PROJECT_FILE
    try:
        places = tomllib.loads(file.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise DefinitionError.of_file(str(file), str(error), "a file of TOML, in UTF-8") from None
    allowed = f"{', '.join(PLACES)}; other settings are environment variables"
    if unknown := [Problem(str(file), None, name, "no place", allowed) for name in places if name not in PLACES]:
        raise DefinitionError(str(file), unknown)
    return places


def locate_own(place: str) -> str:
    """Return a URI unchanged, and a local path as an absolute path from the root."""
    path = Path(place)
    # An unknown user in ``~user`` stays as written.
    with suppress(RuntimeError):
        path = path.expanduser()
    return place if "://" in place else str(find_root() / path)


def _locate_shipped(place: str) -> str:
    """Return the place as ``locate_own`` does; if it exists only among the code's files, the place there."""
    located, shipped = locate_own(place), SHIPPED_ROOT / place
    # The path may be too long for the file system.
    with suppress(OSError):
        if "://" not in place and shipped.exists() and not Path(located).exists():
            return str(shipped)
    return located


class Settings(BaseSettings):
    """The settings of a process. Places are URIs or absolute paths; relative paths start at ``find_root()``."""

    # The string below each setting is its description in docs/reference/settings.md.
    model_config = SettingsConfigDict(
        env_prefix="EXEMPLARS_", frozen=True, extra="ignore", env_ignore_empty=True, use_attribute_docstrings=True
    )

    _written: dict[str, str] = PrivateAttr(default_factory=dict)

    models_uri: StorageUri = "data/models"
    """The catalogue: a local folder, `s3://…` or `gs://…`, with a folder for each model."""
    samples_uri: StorageUri = "data/samples"
    """The sample store: a local folder, `s3://…` or `gs://…`."""
    effort_file: LocalPlace = "data/effort.yaml"
    """The effort dial."""
    expectations_uri: StorageUri = "data/expectations"
    """Suites of Great Expectations that every run's gate runs beside its own, a file `*.json` each: a local folder,
    `s3://…` or `gs://…`. The default need not be there."""
    cache_dir: LocalPlace = "data/cache"
    """The folder where this machine keeps replies, in one SQLite file, where no database is named."""
    replies_url: DatabaseUrl | None = None
    """The database of kept replies that all machines share: `postgresql://user:password@host:5432/name`. Unset, a
    SQLite file in `EXEMPLARS_CACHE_DIR`."""
    # A signed integer of 64 bits, the range that databases and providers accept.
    seed: int = Field(default=0, ge=-(2**63), lt=2**63)
    """Another seed makes another plan."""
    synth_model: Name | None = None
    """A litellm name, `embedded`, `embedded/<name>` or `embedded/<path of a GGUF file>`. Unset, the dial's."""
    synth_style: Style | None = None
    """How an embedded model is asked: `chat`, or `plain`, a document that it continues. Unset, as the list of
    embedded models says, and a file of your own by `chat` where it has a chat template and at least 550 MB."""
    synth_api_base: ApiBase | None = None
    """The address of the synth model's server, where it is not its provider's own."""
    synth_api_key: Key | None = None
    """The synth model's key. Unset, the variable that the provider's own library reads."""
    judge_model: Name | None = None
    """A litellm name: it votes on every text that stands. Unset, the dial's."""
    judge_style: JudgeStyle | None = None
    """How the judge is asked: `chat`, or `decision`, one request a text by litellm's `decisions`. Unset, as litellm's
    list says: a model of the mode `decisions` or `evaluation` is asked so."""
    judge_api_base: ApiBase | None = None
    """The address of the judge's server. Unset, for a judge that is the synth model, the synth model's."""
    judge_api_key: Key | None = None
    """The judge's key. Unset, for a judge that is the synth model, the synth model's."""
    concurrency: int = Field(default=32, ge=1, le=4096)
    """Calls in flight for one run, at most. A run slows down where the provider does, or refuses."""
    call_timeout_seconds: float = Field(default=120, gt=0, le=DAY_SECONDS)
    """How long a call waits for its whole reply; an embedded model has at least ten minutes."""
    max_cost_usd: float | None = Field(default=None, gt=0, le=MOST_USD)
    """A run's hard limit on cost. Unset, the dial's. What was paid for is kept."""
    synth_price: ListedPrice | None = None
    """The synth model's price in USD for a million tokens in and out, `0.40/1.60`, or that of a request, `0.001/query`;
    `0/0` for your own server. Unset, that of litellm's list."""
    judge_price: ListedPrice | None = None
    """The judge's price, as `EXEMPLARS_SYNTH_PRICE`."""
    requests_per_minute: int | None = Field(default=None, ge=1, le=10**9)
    """For all runs on one Prefect server together: at most so many requests, and one more, in any 60 seconds."""
    tokens_per_minute: int | None = Field(default=None, ge=1, le=10**12)
    """The same for tokens."""
    patience_seconds: float = Field(default=300, ge=0, le=7 * DAY_SECONDS)
    """How long a run waits for a provider that answers nothing."""
    cache_max_days: float = Field(default=90, gt=0, le=36_500)
    """Replies unused for this time are deleted by the next `exemplars prune` or run of `prune/nightly`."""
    review_days: float = Field(default=14, gt=0, le=3_650)
    """How long a proposed set waits for a decision; then it is rejected."""
    reviews_teach: bool = True
    """Whether texts that were accepted one by one in reviews count in later runs as authored ones do: as examples for
    chat models, for the judge and for the axis between the poles."""
    cache_max_gb: float = Field(default=10, gt=0, le=10**6)
    """Where kept replies are more than this, the longest unused go with them."""
    embedded_dir: LocalPlace = Field(default="", validate_default=False)
    """The folder of the embedded models' files. Unset, one in the user's cache folder, which all clones share."""
    platform_key: Key | None = None
    """The key of the platform that `exemplars push` sends samples to, of the scope `authoring`."""
    mcp_key: Key | None = None
    """The key of a session of `exemplars mcp` by standard input and output: one that its HTTP API issued. Unset,
    the session is this machine's own user and may do everything."""
    keys_file: StorageUri = "data/keys.json"
    """The digests of the HTTP API's keys, mode 600. It and the `keys` commands must be given the same file."""
    api_host: Name = "127.0.0.1"
    """The address that the HTTP API listens on."""
    api_port: int = Field(default=8000, ge=0, le=65535)
    """The port that the HTTP API listens on."""
    api_url: Address | None = None
    """The HTTP API's address as people reach it: the run page links the report there. `make serve` sets it."""
    api_allowed_hosts: Name = ""
    """Names, with commas between, that a request may have as its `Host` besides this machine's."""
    metrics_port: int | None = Field(default=None, ge=0, le=65535)
    """The port where Prometheus scrapes the HTTP API, without a key. Unset, there are no metrics."""
    log_format: LogFormat = "text"
    """`json`: each line of the log is one object, with run id, model, trait and cell."""
    image: Name | None = None
    """The image that Docker and Kubernetes pools run. Read by `make deploy`."""
    alert_url: Annotated[SecretStr, AfterValidator(check_address)] | None = None
    """Where each morning's news, failed nightly runs and missing nights are told, as JSON. Read by `make deploy`
    and `make serve`."""

    def model_post_init(self, _: Any) -> None:
        """Replace the places by their URIs or absolute paths."""
        for name in (*PLACES, "keys_file", "embedded_dir"):
            self._written[name] = getattr(self, name) or str(user_cache_path("exemplars") / "models")
            locate = _locate_shipped if name in SHIPPED else locate_own
            self.__dict__[name] = locate(self._written[name])

    def get_written(self, name: str) -> str:
        """Return a place as the user wrote it, for messages."""
        return self._written[name]

    @property
    def replies_place(self) -> DatabaseUrl:
        """Return the URL of the database of kept replies; the path after ``SQLITE`` is absolute and not escaped."""
        given = self.replies_url.get_secret_value() if self.replies_url else f"{SQLITE}{self.cache_dir}/{REPLIES_FILE}"
        return SecretStr(SQLITE + locate_own(given.removeprefix(SQLITE)) if given.startswith(SQLITE) else given)

    @property
    def allowed_hosts(self) -> tuple[str, ...]:
        """Return the values allowed as a request's ``Host``: loopback, ``api_host`` and ``api_allowed_hosts``."""
        named = [name.strip() for name in self.api_allowed_hosts.split(",")]
        return tuple(dict.fromkeys(name for name in (*LOOPBACK_NAMES, self.api_host, *named) if name))


def read_settings() -> Settings:
    """Read the settings of this process.

    Raises:
        DefinitionError: variables, or entries of an ``exemplars.toml``, are not allowed; the error names all of them.
    """
    try:
        return Settings(**{**_read_places(), **EnvSettingsSource(Settings)()})
    except ValidationError as error:
        problems = [_name_variable(item) for item in error.errors()]
        raise DefinitionError(problems[0].file, problems) from None


def _name_variable(item: ErrorDetails) -> Problem:
    name, given = "_".join(str(part) for part in item["loc"]), str(item["input"])
    # An address may have a password before its @.
    is_secret = name.endswith(("_key", "alert_url", "replies_url")) or "@" in given
    message = item["msg"].removeprefix("Value error, ")
    place, written = "environment", f"EXEMPLARS_{name.upper()}"
    if given == str(_read_places().get(name)):
        place, written = str(find_root() / PROJECT_FILE), name
    shown = "a secret" if is_secret else repr(given if len(given) <= SHOWN else f"{given[:SHOWN]}…")
    return Problem(place, None, written, shown, f"{message[:1].lower()}{message[1:]}")
