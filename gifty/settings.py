"""Typed settings from the environment or `.env`."""

from __future__ import annotations

import ipaddress
import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, TypeAlias, cast
from urllib.parse import urlsplit

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

SECRET_NAMES: Final = ("GIFTY_SECRET_KEY", "GIFTY_JWT_SECRET", "INTERNAL_API_TOKEN", "ANALYTICS_API_TOKEN")
LAST_PORT: Final = 65535
_SHORTEST_SECRET: Final = 32
_FEWEST_DIFFERENT_CHARACTERS: Final = 8
_WELL_KNOWN: Final = (
    "changeme",
    "change-me",
    "change_me",
    "default",
    "secret",
    "password",
    "admin123",
    "example",
    "test",
)
_SWITCH: Final = {
    "on": True,
    "true": True,
    "1": True,
    "yes": True,
    "off": False,
    "false": False,
    "0": False,
    "no": False,
}


class SettingsError(Exception):
    """One or more settings are wrong; `problems` has one line for each."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Settings:
    """What an operator decides. Secrets never show in `repr`."""

    env: Literal["dev", "production"]
    home: Path
    host: str
    port: int
    public_url: str
    database_url: str | None = field(repr=False)
    secret_key: str = field(repr=False)
    jwt_secret: str = field(repr=False)
    internal_api_token: str = field(repr=False)
    analytics_api_token: str = field(repr=False)
    cors_origins: tuple[str, ...]
    trusted_proxies: tuple[Network, ...]
    rate_limit: bool
    rate_limit_store: str = field(repr=False)
    embedder: Literal["local", "openai", "sentence-transformers"]
    embedder_base_url: str
    embedder_api_key: str = field(repr=False)
    embedder_model: str
    crawl_allow_private: bool

    @property
    def is_production(self) -> bool:
        """Whether strangers use this process."""
        return self.env == "production"

    @property
    def embeds_database(self) -> bool:
        """Whether Gifty runs its own PostgreSQL."""
        return self.database_url is None


def load_settings(environ: Mapping[str, str] | None = None, dotenv: Path = Path(".env")) -> Settings:
    """Settings from the environment, then `.env`, then defaults. Raises `SettingsError` with everything that is wrong.

    In dev, missing secrets are made once and kept in `GIFTY_HOME/secrets.json`, readable by its owner alone.
    """
    values = {**_read_dotenv(dotenv), **(os.environ if environ is None else environ)}
    return _Reader(values).read()


def _read_dotenv(path: Path) -> dict[str, str]:
    if not path.is_file():
        return {}
    lines = (line.strip() for line in path.read_text(encoding="utf-8").splitlines())
    pairs = (line.removeprefix("export ").split("=", 1) for line in lines if "=" in line and not line.startswith("#"))
    return {name.strip(): value.strip().strip("\"'") for name, value in pairs}


class _Reader:
    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = values
        self._problems: list[str] = []

    def read(self) -> Settings:
        env = self._choice("GIFTY_ENV", ("dev", "production"), "dev")
        home = Path(self._text("GIFTY_HOME", ".gifty")).expanduser().resolve()
        host, port = self._text("GIFTY_HOST", "127.0.0.1"), self._port()
        keys = self._secrets(env, home)
        settings = Settings(
            env=cast("Literal['dev', 'production']", env),
            home=home,
            host=host,
            port=port,
            public_url=self._url("GIFTY_PUBLIC_URL", f"http://{host}:{port}"),
            database_url=self._database_url(),
            secret_key=keys["GIFTY_SECRET_KEY"],
            jwt_secret=keys["GIFTY_JWT_SECRET"],
            internal_api_token=keys["INTERNAL_API_TOKEN"],
            analytics_api_token=keys["ANALYTICS_API_TOKEN"],
            cors_origins=tuple(self._origin(item) for item in self._list("GIFTY_CORS_ORIGINS")),
            trusted_proxies=self._networks("GIFTY_TRUSTED_PROXIES"),
            rate_limit=self._switch("GIFTY_RATE_LIMIT", default=True),
            rate_limit_store=self._text("GIFTY_RATE_LIMIT_STORE", "memory"),
            embedder=cast(
                "Literal['local', 'openai', 'sentence-transformers']",
                self._choice("GIFTY_EMBEDDER", ("local", "openai", "sentence-transformers"), "local"),
            ),
            embedder_base_url=self._url("GIFTY_EMBEDDER_BASE_URL", ""),
            embedder_api_key=self._text("GIFTY_EMBEDDER_API_KEY", ""),
            embedder_model=self._text("GIFTY_EMBEDDER_MODEL", "BAAI/bge-m3"),
            crawl_allow_private=self._switch("GIFTY_CRAWL_ALLOW_PRIVATE", default=False),
        )
        if settings.is_production and settings.crawl_allow_private:
            self._problems.append("GIFTY_CRAWL_ALLOW_PRIVATE is for development; take it out in production")
        if settings.embedder == "openai" and not settings.embedder_base_url:
            self._problems.append("GIFTY_EMBEDDER_BASE_URL is needed with GIFTY_EMBEDDER=openai")
        if self._problems:
            raise SettingsError(self._problems)
        return settings

    def _text(self, name: str, default: str) -> str:
        return self._values.get(name, "").strip() or default

    def _list(self, name: str) -> list[str]:
        return [item.strip() for item in self._text(name, "").split(",") if item.strip()]

    def _choice(self, name: str, choices: tuple[str, ...], default: str) -> str:
        value = self._text(name, default)
        if value not in choices:
            self._problems.append(f"{name} is {value!r}; it takes {', '.join(choices)}")
            return default
        return value

    def _switch(self, name: str, *, default: bool) -> bool:
        value = self._text(name, "on" if default else "off").lower()
        if value not in _SWITCH:
            self._problems.append(f"{name} is {value!r}; it takes on or off")
        return _SWITCH.get(value, default)

    def _port(self) -> int:
        value = self._text("GIFTY_PORT", "8080")
        if not value.isdecimal() or int(value) > LAST_PORT:
            self._problems.append(f"GIFTY_PORT is {value!r}; it takes a number from 0 to 65535")
            return 8080
        return int(value)

    def _url(self, name: str, default: str) -> str:
        value = self._text(name, default).rstrip("/")
        if value and (urlsplit(value).scheme not in {"http", "https"} or not urlsplit(value).netloc):
            self._problems.append(f"{name} is {value!r}; it takes an http or https address")
        return value

    def _origin(self, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in {"http", "https"} or not parts.netloc or parts.path not in {"", "/"}:
            self._problems.append(f"GIFTY_CORS_ORIGINS has {value!r}; an origin is like https://shop.example")
        return f"{parts.scheme}://{parts.netloc}"

    def _networks(self, name: str) -> tuple[Network, ...]:
        networks: list[Network] = []
        for item in self._list(name):
            try:
                networks.append(ipaddress.ip_network(item, strict=False))
            except ValueError:
                self._problems.append(f"{name} has {item!r}; it takes addresses and networks such as 10.0.0.0/8")
        return tuple(networks)

    def _database_url(self) -> str | None:
        value = self._text("DATABASE_URL", "")
        if value and urlsplit(value).scheme not in {"postgres", "postgresql"}:
            self._problems.append("DATABASE_URL is not a postgresql:// address")
        return value or None

    def _secrets(self, env: str, home: Path) -> dict[str, str]:
        given = {name: self._text(name, "") for name in SECRET_NAMES}
        if env == "dev":
            kept = _kept_secrets(home, [name for name, value in given.items() if not value])
            return {name: value or kept[name] for name, value in given.items()}
        for name, value in given.items():
            if problem := _weakness(value):
                self._problems.append(f"{name} {problem}; for example: openssl rand -hex 32")
        used = [value for value in given.values() if value]
        if len(set(used)) < len(used):
            self._problems.append("two of the secrets are the same; give each its own")
        return given


def _weakness(secret: str) -> str | None:
    if not secret:
        return "is missing"
    if len(secret) < _SHORTEST_SECRET:
        return f"is shorter than {_SHORTEST_SECRET} characters"
    if len(set(secret)) < _FEWEST_DIFFERENT_CHARACTERS or any(word in secret.lower() for word in _WELL_KNOWN):
        return "is easy to guess"
    return None


def _kept_secrets(home: Path, missing: list[str]) -> dict[str, str]:
    if not missing:
        return {}
    path = home / "secrets.json"
    kept: dict[str, str] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    if all(name in kept for name in missing):
        return kept
    complete = {name: secrets.token_urlsafe(32) for name in SECRET_NAMES} | kept
    home.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f"secrets.{os.getpid()}.new")
    with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(complete, file, indent=2)
    unfinished.replace(path)
    return complete
