"""Reads the settings from the environment (prefix ``EXEMPLARS_``); no other module reads it."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from engine.errors import DefinitionError, Problem

_PACKAGE = Path(__file__).resolve().parent
IS_CHECKOUT = (_PACKAGE.parent / "pyproject.toml").is_file()
# Relative paths start here: at the checkout, or, if the package was installed from a wheel, in a folder of the user's.
PROJECT_ROOT = _PACKAGE.parent if IS_CHECKOUT else Path.home() / "exemplars"
# The files that come with the code are here; in a wheel pyproject.toml puts them beside this module.
SHIPPED_ROOT = _PACKAGE.parent if IS_CHECKOUT else _PACKAGE
# Price in USD per million tokens in and out: "0.40/1.60".
PRICE_PATTERN = r"^\d+(\.\d+)?/\d+(\.\d+)?$"
WEB_ADDRESS = re.compile(r"https?://[^\s/]+\S*")
LogFormat = Literal["text", "json"]
LOOPBACK_NAMES = ("127.0.0.1", "localhost", "[::1]")


def check_web_address(address: SecretStr) -> SecretStr:
    """Checks that an address begins with http:// or https://; the error does not show it, since it is a secret."""
    if not WEB_ADDRESS.fullmatch(address.get_secret_value()):
        raise ValueError("should be an address that begins with http:// or https://")
    return address


@dataclass(frozen=True, slots=True)
class RepliesPlace:
    """Where replies are kept.

    ``cache_dir`` has a folder for each plan. ``uri`` is a store that machines share; None if there is none.
    """

    cache_dir: str
    uri: str | None = None

    @property
    def local(self) -> "RepliesPlace":
        """The local folder alone, without the shared store."""
        return RepliesPlace(self.cache_dir)


class Settings(BaseSettings):
    """The settings of a process. Relative paths start at the project's root, whatever the working directory is."""

    model_config = SettingsConfigDict(env_prefix="EXEMPLARS_", frozen=True, extra="ignore", env_ignore_empty=True)

    models_uri: str = "data/models"
    samples_uri: str = "data/samples"
    effort_file: str = "data/effort.yaml"
    cache_dir: str = "data/cache"
    replies_uri: str | None = None
    seed: int = 0
    synth_model: str | None = None
    synth_api_base: str | None = None
    synth_api_key: SecretStr | None = None
    judge_model: str | None = None
    judge_api_base: str | None = None
    judge_api_key: SecretStr | None = None
    concurrency: int = Field(default=32, ge=1, le=4096)
    call_timeout_seconds: float = Field(default=120, gt=0)
    max_cost_usd: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    synth_fallbacks: str = ""
    synth_price: str | None = Field(default=None, pattern=PRICE_PATTERN)
    judge_price: str | None = Field(default=None, pattern=PRICE_PATTERN)
    requests_per_minute: int | None = Field(default=None, ge=1)
    tokens_per_minute: int | None = Field(default=None, ge=1)
    patience_seconds: float = Field(default=300, ge=0, allow_inf_nan=False)
    cache_max_days: float = Field(default=90, gt=0)
    cache_max_gb: float = Field(default=10, gt=0)
    keys_file: str = "data/keys.json"
    api_host: str = "127.0.0.1"
    api_port: int = Field(default=8000, ge=0, le=65535)
    api_url: str | None = None
    api_allowed_hosts: str = ""
    metrics_port: int | None = Field(default=None, ge=0, le=65535)
    log_format: LogFormat = "text"
    image: str | None = None
    alert_url: Annotated[SecretStr, AfterValidator(check_web_address)] | None = None

    @property
    def replies_place(self) -> RepliesPlace:
        """The places where replies are kept, as absolute paths."""
        uri = None if self.replies_uri is None else self.locate(self.replies_uri).rstrip("/")
        return RepliesPlace(self.locate(self.cache_dir), uri)

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
        if "://" in uri:
            return uri
        path = Path(uri).expanduser()
        own, shipped = PROJECT_ROOT / path, SHIPPED_ROOT / path
        return str(shipped if shipped.exists() and not own.exists() else own)


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
    name = "EXEMPLARS_" + "_".join(str(part) for part in item["loc"]).upper()
    shown = "a secret" if "KEY" in name or "ALERT" in name else repr(item["input"])
    return Problem("environment", None, name, shown, str(item["msg"]).lower())
