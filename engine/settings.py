"""Reads the settings from the environment (prefix ``EXEMPLARS_``); no other module reads it."""

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from platformdirs import user_cache_path
from pydantic import AfterValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from engine.errors import DefinitionError, Problem

_PACKAGE = Path(__file__).resolve().parent
# A wheel has the files that come with the code beside this module; a pyproject.toml there may be anybody's.
IS_CHECKOUT = not (_PACKAGE / "data").is_dir()
# Relative paths start here: at the checkout, or, if the package was installed from a wheel, in a folder of the user's.
PROJECT_ROOT = _PACKAGE.parent if IS_CHECKOUT else Path.home() / "exemplars"
# The files that come with the code are here.
SHIPPED_ROOT = _PACKAGE.parent if IS_CHECKOUT else _PACKAGE
# Price in USD per million tokens in and out: "0.40/1.60".
PRICE = re.compile(r"\d{1,9}(\.\d{1,12})?/\d{1,9}(\.\d{1,12})?", re.ASCII)
WEB_ADDRESS = re.compile(r"https?://[^\s/]+\S*")
DAY_SECONDS = 86_400.0
# No run costs a million: a limit above that is a slip of the keys.
MOST_USD = 1e6
LogFormat = Literal["text", "json"]
Style = Literal["chat", "plain"]
SHOWN = 80
# Of one part of a path: what Linux, macOS and Windows take.
MAX_FILE_NAME_BYTES = 255
# A character that ends a part of a URL is written as %40 and the like.
DATABASE_URL = re.compile(
    r"postgresql(\+psycopg)?://([^\s/@?#:]*(:[^\s/@?#:]*)?@)?(\[[^\s/@?#]*\]|[^\s/@?#:]*)(:[0-9]{1,5})?/[^\s@#]+"
    r"|sqlite:///[^\s?#]+"
)
SQLITE = "sqlite:///"
LOOPBACK_NAMES = ("127.0.0.1", "localhost", "[::1]")


def check_address(address: str) -> str:
    """Checks that the address of a server begins with http:// or https://, and that its port may be one."""
    try:
        fits = WEB_ADDRESS.fullmatch(address) and address.isprintable() and urlsplit(address).port != 0
    except ValueError:
        fits = False
    if not fits:
        raise ValueError("should be an address that begins with http:// or https://")
    return address


def check_api_base(address: str) -> str:
    """Checks the address of a model's server as ``check_address``, and that nobody signs in by it."""
    if urlsplit(check_address(address)).username is not None:
        raise ValueError("should be an address without a user: a call has one header to sign in by, for the API key")
    return address


def check_secret_address(address: SecretStr) -> SecretStr:
    """Checks an address as ``check_address``; the error does not show it, since it is a secret."""
    check_address(address.get_secret_value())
    return address


def check_path(uri: str) -> str:
    """Checks that a URI, or a local path, is one line, and that the home folder that a ``~`` stands for is known."""
    if not uri.isprintable() or not uri.strip():
        raise ValueError("should be a path or a URI, on one line")
    if any(len(os.fsencode(part)) > MAX_FILE_NAME_BYTES for part in uri.split("/")):
        raise ValueError(f"should be a path or a URI whose parts have at most {MAX_FILE_NAME_BYTES} bytes each")
    try:
        Path(uri).expanduser()
    except RuntimeError:
        raise ValueError(
            "should be a path or a URI; nobody here has that home folder: write the path without '~'"
        ) from None
    return uri


def check_local(path: str) -> str:
    """Checks that a path is one of this machine."""
    if "://" in path:
        raise ValueError("should be a path on this machine; mount the object store, or copy what is in it")
    return path


def check_price(price: str) -> str:
    """Checks that a price is two plain numbers."""
    if not PRICE.fullmatch(price):
        raise ValueError("should be the price in USD of a million tokens in and out, such as 0.40/1.60")
    return price


def check_line(text: str) -> str:
    """Checks that a name, or several with commas between, is printable and more than spaces; none may be given."""
    if not text.isprintable() or text.isspace():
        raise ValueError("should be a name, on one line")
    return text


def check_key(key: SecretStr) -> SecretStr:
    """Checks that a key may stand in a header of HTTP; the error does not show it."""
    if not re.fullmatch(r"[!-~]+", key.get_secret_value()):
        raise ValueError("should be printable ASCII without spaces")
    return key


def check_database_url(url: SecretStr) -> SecretStr:
    """Checks that a URL is one of PostgreSQL or SQLite; the error does not show it, since a password may be in it."""
    if not DATABASE_URL.fullmatch(url.get_secret_value()):
        raise ValueError(
            "should be the URL of a database, as postgresql://user:password@host:5432/name or sqlite:///path; in a "
            "user or a password, write : as %3A, / as %2F, @ as %40, # as %23 and ? as %3F"
        )
    return url


# 4,096 characters are the longest path of Linux; nothing else is longer.
Place = Annotated[str, Field(max_length=4096), AfterValidator(check_path)]
LocalPlace = Annotated[Place, AfterValidator(check_local)]
Address = Annotated[str, Field(max_length=4096), AfterValidator(check_address)]
Name = Annotated[str, Field(max_length=4096), AfterValidator(check_line)]
ListedPrice = Annotated[str, AfterValidator(check_price)]
Key = Annotated[SecretStr, AfterValidator(check_key)]
ApiBase = Annotated[str, Field(max_length=4096), AfterValidator(check_api_base)]
DatabaseUrl = Annotated[SecretStr, Field(max_length=4096), AfterValidator(check_database_url)]


@dataclass(frozen=True, slots=True)
class RepliesPlace:
    """The database that replies are kept in.

    ``url`` is SQLAlchemy's, and may hold a password; None for a SQLite file below ``cache_dir``. A database that goes
    away while it is in use is waited for ``patience_seconds``.
    """

    cache_dir: str
    url: str | None = field(default=None, repr=False)
    patience_seconds: float = 300.0

    @property
    def is_shared(self) -> bool:
        """Whether a server keeps the replies, for all machines together; each machine has SQLite files of its own."""
        return self.url is not None and not self.url.startswith(SQLITE)


@dataclass(frozen=True, slots=True)
class EmbeddedPlace:
    """Where the files of embedded models are; ``style`` is how all of them are asked, None: each in its own manner."""

    folder: Path
    style: Style | None = None


class Settings(BaseSettings):
    """The settings of a process. Relative paths start at the project's root, whatever the working directory is."""

    # The text below each setting is its description in docs/reference/settings.md.
    model_config = SettingsConfigDict(
        env_prefix="EXEMPLARS_", frozen=True, extra="ignore", env_ignore_empty=True, use_attribute_docstrings=True
    )

    models_uri: Place = "data/models"
    """The catalogue: a local folder, `s3://…` or `gs://…`, with a folder for each model."""
    samples_uri: Place = "data/samples"
    """The sample store: a local folder, `s3://…` or `gs://…`."""
    effort_file: LocalPlace = "data/effort.yaml"
    """The effort dial."""
    expectations_uri: Place = "data/expectations"
    """Suites of Great Expectations that every run's gate runs beside its own, a file `*.json` each: a local folder,
    `s3://…` or `gs://…`. The default need not be there."""
    cache_dir: LocalPlace = "data/cache"
    """The folder where this machine keeps replies, in one SQLite file, where no database is named."""
    replies_url: DatabaseUrl | None = None
    """The database of kept replies that all machines share: `postgresql://user:password@host:5432/name`. Unset, a
    SQLite file in `EXEMPLARS_CACHE_DIR`."""
    # 64 bits, signed: what a database or a provider takes for a whole number.
    seed: int = Field(default=0, ge=-(2**63), lt=2**63)
    """Another seed makes another plan."""
    synth_model: Name | None = None
    """A litellm name, `embedded`, `embedded/<name>` or `embedded/<path of a GGUF file>`. Unset, the dial's."""
    synth_style: Style | None = None
    """How an embedded model is asked: `chat`, or `plain`, a document that it goes on with. Unset, as the list of
    embedded models says, and a file of your own by `chat` where it has a chat template and a billion parameters."""
    synth_api_base: ApiBase | None = None
    """The address of the synth model's server, where it is not its provider's own."""
    synth_api_key: Key | None = None
    """The synth model's key. Prefect's Secret block `exemplars-synth-api-key` serves where it is unset."""
    judge_model: Name | None = None
    """A litellm name: it votes on every text that stands. Unset, the dial's."""
    judge_api_base: ApiBase | None = None
    """The address of the judge's server. Unset, for a judge that is the synth model, the synth model's."""
    judge_api_key: Key | None = None
    """The judge's key, or the Secret block `exemplars-judge-api-key`. Unset, for a judge that is the synth model, the
    synth model's."""
    concurrency: int = Field(default=32, ge=1, le=4096)
    """Calls in flight for one run, at most. A run slows down where the provider does, or refuses."""
    call_timeout_seconds: float = Field(default=120, gt=0, le=DAY_SECONDS)
    """How long a call waits for its whole reply; an embedded model has at least ten minutes."""
    max_cost_usd: float | None = Field(default=None, gt=0, le=MOST_USD)
    """A run's hard limit on cost. Unset, the dial's. What was paid for is kept."""
    synth_fallbacks: Name = ""
    """Further litellm names, with commas between: asked, in this order, where the one before has no answer."""
    synth_price: ListedPrice | None = None
    """The synth model's price in USD for a million tokens in and out, `0.40/1.60`; `0/0` for your own server.
    Unset, that of litellm's list."""
    judge_price: ListedPrice | None = None
    """The judge's price, as `EXEMPLARS_SYNTH_PRICE`."""
    requests_per_minute: int | None = Field(default=None, ge=1, le=10**9)
    """For all runs on one Prefect server together: at most so many requests, and one more, in any 60 seconds."""
    tokens_per_minute: int | None = Field(default=None, ge=1, le=10**12)
    """The same for tokens."""
    patience_seconds: float = Field(default=300, ge=0, le=7 * DAY_SECONDS)
    """How long a run waits for a provider that answers nothing, and for a database of kept replies that goes away."""
    cache_max_days: float = Field(default=90, gt=0, le=36_500)
    """Kept replies that were not used for so long go with the next `exemplars prune`, or night of `prune/nightly`."""
    review_days: float = Field(default=14, gt=0, le=3_650)
    """How long a proposed set waits for a person's word; then it is rejected."""
    reviews_teach: bool = True
    """Whether texts that were accepted one by one in reviews count in later runs as authored ones do: as examples for
    chat models, for the judge and for the axis between the poles."""
    cache_max_gb: float = Field(default=10, gt=0, le=10**6)
    """Where kept replies are more than this, the longest unused go with them."""
    embedded_dir: LocalPlace | None = None
    """The folder of the embedded models' files. Unset, one in the user's cache folder, which all clones share."""
    platform_key: Key | None = None
    """The key of the platform that `exemplars push` sends samples to, of the scope `authoring`."""
    mcp_key: Key | None = None
    """The key of a session of `exemplars mcp` by standard input and output: one that this machine's door issued. Unset,
    the session is this machine's own user and may do everything."""
    keys_file: Place = "data/keys.json"
    """The digests of the door's keys, mode 600. The door and the `keys` commands must be given the same file."""
    api_host: Name = "127.0.0.1"
    """The address that the door listens on."""
    api_port: int = Field(default=8000, ge=0, le=65535)
    """The port that the door listens on."""
    api_url: Address | None = None
    """The door's address as people reach it: the run page links the report there. `make serve` sets it."""
    api_allowed_hosts: Name = ""
    """Names, with commas between, that a request may have as its `Host` besides this machine's."""
    metrics_port: int | None = Field(default=None, ge=0, le=65535)
    """The port where Prometheus scrapes the door, without a key. Unset, there are no metrics."""
    log_format: LogFormat = "text"
    """`json`: each line of the log is one object, with run id, model, trait and cell."""
    image: Name | None = None
    """The image that Docker and Kubernetes pools run. Read by `make deploy`."""
    alert_url: Annotated[SecretStr, AfterValidator(check_secret_address)] | None = None
    """Where failed nightly runs are reported, as JSON. Read by `make deploy`."""

    @property
    def replies_place(self) -> RepliesPlace:
        """The database that replies are kept in; a SQLite file's path is absolute."""
        url = None if self.replies_url is None else self.replies_url.get_secret_value()
        if url is not None and url.startswith(SQLITE):
            url = SQLITE + self.locate(url.removeprefix(SQLITE))
        return RepliesPlace(self.locate(self.cache_dir), url, self.patience_seconds)

    @property
    def cache_place(self) -> Path:
        """The absolute path of the cache folder."""
        return Path(self.locate(self.cache_dir))

    @property
    def embedded_place(self) -> EmbeddedPlace:
        """Where the files of embedded models are, and how they are asked."""
        folder = user_cache_path("exemplars") / "models"
        if self.embedded_dir is not None:
            folder = Path(self.locate(self.embedded_dir))
        return EmbeddedPlace(folder, self.synth_style)

    @property
    def fallbacks(self) -> tuple[str, ...]:
        """The models that are asked, in this order, if the synth model gives no answer."""
        return tuple(name for part in self.synth_fallbacks.split(",") if (name := part.strip()))

    @property
    def allowed_hosts(self) -> tuple[str, ...]:
        """The values allowed as a request's ``Host``: loopback, ``api_host`` and ``api_allowed_hosts``."""
        named = [name.strip() for name in self.api_allowed_hosts.split(",")]
        return tuple(dict.fromkeys(name for name in (*LOOPBACK_NAMES, self.api_host, *named) if name))

    def locate(self, uri: str) -> str:
        """Returns a URI unchanged, and a local path as an absolute path from the project's root.

        Files that come with the code (the effort dial, the catalogue) are taken from there if the root has none.
        """
        own = self.locate_own(uri)
        shipped = SHIPPED_ROOT / Path(uri).expanduser()
        return str(shipped) if "://" not in uri and shipped.exists() and not Path(own).exists() else own

    def locate_own(self, uri: str) -> str:
        """Returns what ``locate`` does, but never a place among the files that come with the code."""
        return uri if "://" in uri else str(PROJECT_ROOT / Path(uri).expanduser())


class CollectorSettings(BaseSettings):
    """OpenTelemetry's own variables that decide whether metrics are sent at all; its SDK reads the others."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True)

    otel_exporter_otlp_endpoint: str | None = None
    otel_exporter_otlp_metrics_endpoint: str | None = None
    otel_exporter_otlp_metrics_temporality_preference: str | None = None
    otel_metrics_exporter: str = "otlp"
    otel_sdk_disabled: str = "false"

    @property
    def sends(self) -> bool:
        """Whether metrics are sent: an endpoint is set, and neither the SDK nor the exporter is turned off."""
        endpoint = self.otel_exporter_otlp_metrics_endpoint or self.otel_exporter_otlp_endpoint
        is_off = self.otel_sdk_disabled.strip().lower() == "true" or self.otel_metrics_exporter.strip() == "none"
        return endpoint is not None and not is_off


def read_settings() -> Settings:
    """Reads the settings of this process.

    Raises:
        DefinitionError: variables have values that are not allowed; the error names all of them.
    """
    try:
        return Settings()
    except ValidationError as error:
        raise DefinitionError("environment", [_name_variable(item) for item in error.errors()]) from None


def _name_variable(item: object) -> Problem:
    assert isinstance(item, dict)
    name, given = "_".join(str(part) for part in item["loc"]), str(item["input"])
    # An address may have a password before its @.
    is_secret = name.endswith(("_key", "alert_url", "replies_url")) or "@" in given
    said = str(item["msg"]).removeprefix("Value error, ")
    shown = "a secret" if is_secret else repr(given if len(given) <= SHOWN else f"{given[:SHOWN]}…")
    return Problem("environment", None, f"EXEMPLARS_{name.upper()}", shown, f"{said[:1].lower()}{said[1:]}")
