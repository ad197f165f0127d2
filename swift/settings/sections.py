"""What can be set: the sections of the framework, and the class that an application extends."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, Literal, Self

import msgspec

DEFAULT_PATH: Final = "system.toml"
LOG_LEVELS: Final = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


class Secret(str):
    """Text that is fit for use as any other but shows itself as `***` in a repr, so in logs of settings."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "***"


class SettingsError(ValueError):
    """The configuration is wrong; `mistakes` holds one sentence for each fault."""

    def __init__(self, mistakes: Sequence[str]) -> None:
        self.mistakes = tuple(mistakes)
        if len(self.mistakes) == 1:
            super().__init__(self.mistakes[0])
        else:
            listed = "\n".join(f"- {mistake}" for mistake in self.mistakes)
            super().__init__(f"{len(self.mistakes)} mistakes in the settings:\n{listed}")

    def __reduce__(self) -> tuple[type[SettingsError], tuple[tuple[str, ...]]]:
        return type(self), (self.mistakes,)


class Global(msgspec.Struct, frozen=True, kw_only=True):
    """`[global]`: what concerns the whole process."""

    timezone: str = "UTC"
    log_level: str = "INFO"
    debug: bool = False
    secret_key: Secret | None = None

    def __post_init__(self) -> None:
        level = self.log_level.upper()
        if level not in LOG_LEVELS:
            raise ValueError(f"log_level is none of {', '.join(LOG_LEVELS)}")
        msgspec.structs.force_setattr(self, "log_level", level)
        if self.timezone != "UTC":
            from zoneinfo import ZoneInfo

            try:
                ZoneInfo(self.timezone)
            except (KeyError, ValueError, OSError):
                raise ValueError(
                    "timezone is in no IANA database on this machine; use a name such as Europe/Zurich"
                ) from None


class Server(msgspec.Struct, frozen=True, kw_only=True):
    """`[server]`: where `swift-api run` listens; port 0 is any free one."""

    host: str = "127.0.0.1"
    port: Annotated[int, msgspec.Meta(ge=0, le=65535)] = 8000


class Http(msgspec.Struct, frozen=True, kw_only=True):
    """`[http]`: limits and policies of requests; sizes in bytes."""

    max_body_size: Annotated[int, msgspec.Meta(ge=0)] = 10 * 2**20
    trailing_slash: Literal["strict", "redirect", "merge"] = "redirect"


class Database(msgspec.Struct, frozen=True, kw_only=True):
    """`[database]`: either `url`, or its parts; `options` go to the driver as they are.

    The engine is PostgreSQL unless `path` is given (SQLite) or `engine` says otherwise.
    """

    url: Secret | None = None
    engine: Literal["postgresql", "sqlite", "mssql"] | None = None
    host: str | None = None
    port: Annotated[int, msgspec.Meta(ge=1, le=65535)] | None = None
    name: str | None = None
    user: str | None = None
    password: Secret | None = msgspec.field(default=None, name="pass")
    path: str | None = None
    options: dict[str, str | int | float | bool] = msgspec.field(default_factory=dict)

    def __post_init__(self) -> None:
        parts = [
            field.encode_name
            for field in msgspec.structs.fields(self)
            if field.name not in ("url", "options") and getattr(self, field.name) is not None
        ]
        if self.url is not None and parts:
            raise ValueError(f"url stands beside {', '.join(parts)}; keep the url or its parts")
        if self.path is not None and (self.host is not None or self.engine not in (None, "sqlite")):
            raise ValueError("path is for SQLite, which has no server; keep path, or host and engine")
        if self.engine == "sqlite" and self.path is None:
            raise ValueError("engine is sqlite but path is missing; give the file's path or :memory:")

    @property
    def dsn(self) -> Secret | None:
        """The database URL, composed from the parts when it is not given; None when nothing is configured."""
        from urllib.parse import quote, urlencode

        if self.url is not None:
            return self.url
        options = {
            name: str(value).lower() if isinstance(value, bool) else value
            for name, value in self.options.items()
        }
        query = "?" + urlencode(options) if options else ""
        if self.path is not None:
            return Secret(f"sqlite:///{self.path}{query}")
        if self.host is None and self.name is None and self.engine is None:
            return None
        authority = "" if self.user is None else quote(self.user, safe="")
        if self.password is not None:
            authority += ":" + quote(self.password, safe="")
        host = self.host or "localhost"
        authority = (authority and authority + "@") + (f"[{host}]" if ":" in host else host)
        if self.port is not None:
            authority += f":{self.port}"
        name = quote(self.name or "", safe="")
        return Secret(f"{self.engine or 'postgresql'}://{authority}/{name}{query}")


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """The framework's sections; a subclass adds fields and sections (Structs) of its own.

    `environment` is a table for values that need no declaration: `[environment]` in the file, or
    `SWIFT_ENVIRONMENT__NAME`, which gives text under the name in lower case.
    """

    global_: Global = msgspec.field(default_factory=Global, name="global")
    server: Server = msgspec.field(default_factory=Server)
    http: Http = msgspec.field(default_factory=Http)
    database: Database = msgspec.field(default_factory=Database)
    environment: dict[str, Any] = msgspec.field(default_factory=dict)

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str] = DEFAULT_PATH,
        env: Mapping[str, str] | None = None,
        prefix: str = "SWIFT_",
    ) -> Self:
        """The settings of all layers. `env` is `os.environ` unless given.

        A missing `system.toml` is an empty one; a missing file of any other name is a mistake.
        Raises SettingsError.
        """
        from .reader import Reader

        reader = Reader(os.fspath(path), prefix, optional=path == DEFAULT_PATH)
        settings = reader.read(cls, os.environ if env is None else env)
        if reader.mistakes or settings is None:
            raise SettingsError(reader.mistakes)
        return settings
