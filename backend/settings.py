"""The only reader of the environment.

Built once, in ``app.py``, ``cli.py`` or ``worker``, and passed on. An unknown
``TELLAPART_`` name or a bad value stops the start with the name and the accepted form.
"""

import ipaddress
import os
from pathlib import Path
from typing import Annotated, Any, Final

from dotenv import dotenv_values
from pydantic import AliasChoices, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict
from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from backend.outbound.networks import Network, parse_networks

PREFIX: Final = "TELLAPART_"
_SHORTEST_PREFIX: Final = {4: 8, 6: 16}
"""By IP version: a network with a shorter prefix holds other people's machines."""


_SHORTEST_TRUSTED: Final = {4: 8, 6: 7}
"""By IP version: no network that is anybody's own has a shorter prefix."""
_SECRETS: Final = frozenset(
    {"token", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL"}
)
"""Settings that no message shows."""


class SettingsError(Exception):
    """A setting has a name that doesn't exist or a value that can't be used."""


class Settings(BaseSettings):
    """Everything that can be set from outside."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_file=".env", extra="ignore", frozen=True)

    data: Path = Field(Path("data"), description="Folder for everything that is kept.")
    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: Annotated[int, Field(ge=1, le=65535)] = Field(8000, description="Port to listen on; a number up to 65535.")
    token: SecretStr | None = Field(
        None, description="The owner's key, 16 characters or more; without it one is made at the first start."
    )
    base_url: str | None = Field(
        None,
        pattern=r"^https?://[^/?#\s]+(/[^?#\s]*)?$",
        description="The address people use, such as https://host/tellapart; needed behind a proxy.",
    )
    weights: Path | None = Field(
        None, description="A folder of weight files that exists; without it, `weights` in the data folder."
    )
    device: str = Field("auto", pattern=r"^(auto|cpu|cuda:\d+)$", description="auto, cpu, or cuda:0, cuda:1 …")
    max_megapixels: Annotated[int, Field(ge=1, le=1000)] = Field(
        64, description="Million pixels that a picture may have, up to 1000; a JPEG may have four times as many."
    )
    examine: bool = Field(
        True, description="true or false: whether pictures are looked at in the background when they have arrived."
    )
    heatmaps_ahead: bool = Field(
        True,
        description="true or false: whether the heat maps of a model's worst test pictures are made after a training.",
    )
    standby: bool = Field(
        True, description="true or false: whether a process that has loaded PyTorch waits for the next training."
    )
    compile_networks: bool = Field(
        True, description="true or false: whether long trainings on a GPU may compile their network first."
    )
    import_roots: str = Field(
        "",
        description="Folders of this machine that exist, with commas between, such as /pictures,/mnt/scans; pictures "
        "below them can be imported.",
    )
    import_networks: str = Field(
        "",
        description="Networks besides the public internet that imports may download from, such as "
        "10.20.0.0/16,fd12::/16.",
    )
    aws_access_key_id: SecretStr | None = Field(
        None,
        validation_alias=AliasChoices("AWS_ACCESS_KEY_ID"),
        description="The key for imports from S3 that bring none of their own.",
    )
    aws_secret_access_key: SecretStr | None = Field(
        None, validation_alias=AliasChoices("AWS_SECRET_ACCESS_KEY"), description="The secret that belongs to it."
    )
    aws_session_token: SecretStr | None = Field(
        None, validation_alias=AliasChoices("AWS_SESSION_TOKEN"), description="Its session, where it has one."
    )
    aws_endpoint_url: str | None = Field(
        None,
        validation_alias=AliasChoices("AWS_ENDPOINT_URL"),
        pattern=r"^https?://[^/?#\s@]+/?$",
        description="http://host:9000 of the S3 server for which that key is; without it, Amazon's.",
    )
    database_url: str | None = Field(
        None,
        validation_alias=AliasChoices("DATABASE_URL"),
        description="postgresql://user:password@host/name; without it, an SQLite file in the data folder.",
    )
    redis_url: str | None = Field(
        None,
        validation_alias=AliasChoices("REDIS_URL"),
        pattern=r"^(rediss?|unix)://",
        description="redis://:password@host:6379/0; without it, an embedded Valkey or a poll of the ledger.",
    )
    storage_url: str | None = Field(
        None,
        validation_alias=AliasChoices("STORAGE_URL"),
        description="file:///folder for blobs; without it, the data folder.",
    )

    proxies: str | None = Field(
        None,
        validation_alias=AliasChoices("FORWARDED_ALLOW_IPS"),
        pattern=r"^[0-9A-Fa-f.:/]+(,[0-9A-Fa-f.:/]+)*$",
        description="Addresses of the proxies in front, such as 10.0.0.2,10.1.0.0/16; only they are believed about "
        "where a caller is. Neither * nor a network of everybody, such as 0.0.0.0/0, is accepted.",
    )

    @field_validator("token")
    @classmethod
    def _long_enough(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and len(value.get_secret_value()) < 16:
            raise ValueError("16 characters or more are needed")
        return value

    @field_validator("data", "weights")
    @classmethod
    def _absolute(cls, value: Path | None) -> Path | None:
        return None if value is None else value.expanduser().absolute()

    @field_validator("weights")
    @classmethod
    def _folder(cls, value: Path | None) -> Path | None:
        if value is not None and not value.is_dir():
            raise ValueError("there is no such folder")
        return value

    @field_validator("import_roots")
    @classmethod
    def _folders(cls, value: str) -> str:
        for folder in _split(value):
            if not Path(folder).is_absolute() or not Path(folder).is_dir():
                raise ValueError("there is no such folder")
        return value

    @field_validator("import_networks")
    @classmethod
    def _networks(cls, value: str) -> str:
        for network in parse_networks(value):
            if network.prefixlen < _SHORTEST_TRUSTED[network.version]:
                raise ValueError("it covers more than a network of one's own")
        return value

    @field_validator("proxies")
    @classmethod
    def _few_proxies(cls, value: str | None) -> str | None:
        for one in (value or "").split(",") if value else ():
            network = ipaddress.ip_network(one, strict=False)
            if network.prefixlen < _SHORTEST_PREFIX[network.version]:
                raise ValueError("it covers more than a network of one's own")
        return value

    @field_validator("database_url")
    @classmethod
    def _known_database(cls, value: str | None) -> str | None:
        if value is None:
            return None
        try:
            make_url(value)
        except (ArgumentError, ValueError) as error:
            raise ValueError("it is no address of a database") from error
        scheme, _, rest = value.partition("://")
        if scheme in ("postgres", "postgresql", "postgresql+psycopg"):
            return f"postgresql+psycopg://{rest}"
        if scheme == "sqlite":
            return value
        raise ValueError("it must begin with postgresql:// or sqlite:///")

    @field_validator("storage_url")
    @classmethod
    def _known_storage(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith("file:///"):
            raise ValueError("this version keeps blobs in a folder: file:///folder")
        return value

    @property
    def left_undone(self) -> frozenset[str]:
        """Kinds of jobs (``JobKind``) that no worker does with these settings."""
        off = {"examine": not self.examine, "heatmaps": not self.heatmaps_ahead}
        return frozenset(kind for kind, is_off in off.items() if is_off)

    @property
    def import_folders(self) -> tuple[Path, ...]:
        """Folders below which pictures can be imported."""
        return tuple(Path(folder) for folder in _split(self.import_roots))

    @property
    def trusted_networks(self) -> tuple[Network, ...]:
        """Networks besides the public internet that imports may download from."""
        return parse_networks(self.import_networks)

    @property
    def bucket_endpoint(self) -> str:
        """The S3 server of the environment's key; empty for Amazon's."""
        return (self.aws_endpoint_url or "").rstrip("/")

    @property
    def sql_url(self) -> str:
        """The database that is used, embedded or not."""
        # Built by SQLAlchemy, which escapes what means something in a URL, such as % and ?.
        embedded = URL.create("sqlite", database=str(self.data / "tellapart.sqlite3"))
        return self.database_url or embedded.render_as_string()

    @property
    def storage_folder(self) -> Path:
        """Where blobs, thumbnails and checkpoints lie."""
        return Path(self.storage_url.removeprefix("file://")) if self.storage_url else self.data / "storage"

    @property
    def weights_folder(self) -> Path:
        """Where files of pretrained weights lie."""
        return self.weights or self.data / "weights"

    @property
    def networks_folder(self) -> Path:
        """Where descriptions of timm's networks are kept."""
        return self.data / "networks"

    @property
    def features_folder(self) -> Path:
        """Where outputs of frozen layers are kept from run to run; may be emptied at any time."""
        return self.data / "features"

    @property
    def root_path(self) -> str:
        """Path under which a proxy serves us; empty where there is none."""
        if not self.base_url:
            return ""
        return "/" + path.rstrip("/") if (path := self.base_url.split("://", 1)[1].partition("/")[2]) else ""

    @property
    def is_secure(self) -> bool:
        """Whether people reach us by https."""
        return bool(self.base_url and self.base_url.startswith("https://"))


def _split(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def load(**overrides: Any) -> Settings:  # Any: values of several types, checked by pydantic
    """Settings from the environment, `.env` and ``overrides``.

    Raises:
        SettingsError: with the variable's name and the accepted form.
    """
    known = {PREFIX + name.upper() for name, field in Settings.model_fields.items() if not field.validation_alias}
    given = {name for name in (*os.environ, *dotenv_values(".env")) if name.startswith(PREFIX)}
    if unknown := sorted(given - known):
        raise SettingsError(f"There is no setting called {unknown[0]}. Known are: {', '.join(sorted(known))}.")
    try:
        return Settings(**overrides)
    except ValidationError as error:
        raise SettingsError("\n".join(_sentence(problem) for problem in error.errors())) from error


def _sentence(problem: Any) -> str:  # Any: pydantic's ErrorDetails
    name = str(problem["loc"][0])
    field = Settings.model_fields.get(name.lower())
    variable = name if name.isupper() else PREFIX + name.upper()
    accepted = field.description if field and field.description else problem["msg"]
    shown = "" if name in _SECRETS else f" “{problem['input']}”"
    return f"{variable} has a value that can't be used{shown}. Accepted: {accepted}"
