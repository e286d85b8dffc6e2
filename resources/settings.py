"""Settings from the environment or a ``.env`` file, and where each database is.

Precedence: the process environment, then ``.env`` in the working directory, then the default. A setting that is not
given for a database falls back to the embedded servers of ``DRIVETRAIN_HOME``, if they were ever started.
"""

from __future__ import annotations

import datetime as dt
import os
import re
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from pathlib import Path

from dotenv import dotenv_values
from psycopg import conninfo

from demo.servers import SYSTEMS, Servers
from warehouse.catalog import Catalog, load_catalog
from warehouse.catalog.age import Age, parse_age
from warehouse.erasure.caches import Cache
from warehouse.errors import ConfigurationError, DrivetrainError
from warehouse.lake.store import Store
from warehouse.postgres.sessions import Dsn
from warehouse.tiering.map import Prices

#: The folder that holds ``workspace.yaml`` and ``dbt_project/``.
PROJECT = Path(__file__).resolve().parent.parent

#: Every setting that is read, and what it is for; ``<SYSTEM>`` is a catalog system's name in capitals.
KNOWN = {
    "DRIVETRAIN_HOME": "directory of the embedded servers, Dagster's files and logs (default .drivetrain)",
    "DRIVETRAIN_CATALOG": f"directories of catalog files, separated by {os.pathsep!r}, in place of the project's own",
    "DRIVETRAIN_WAREHOUSE_DSN": "the warehouse database",
    "DRIVETRAIN_OFFICER_DSN": "the warehouse as the officer who handles requests of persons: a login of one's own",
    "DRIVETRAIN_VERIFIER_DSN": "the warehouse as who verifies that erased persons are nowhere: reads all",
    "DRIVETRAIN_DAGSTER_DSN": "the database of Dagster's own storage",
    "DRIVETRAIN_<SYSTEM>_DSN": "a system's operational database",
    "DRIVETRAIN_<SYSTEM>_MAINTENANCE_DSN": "the same, as a member of its tables' owner: for its partitions",
    "DRIVETRAIN_<SYSTEM>_CAPTURE_DSN": "the same, with the attribute REPLICATION: for its log, if changes are captured",
    "DRIVETRAIN_<SYSTEM>_REPLICA_DSN": "its replica, which ingestion prefers",
    "DRIVETRAIN_<SYSTEM>_REDIS_URL": "its cache, which an erasure reaches: redis:// or rediss://",
    "DRIVETRAIN_LAKE_URL": "the cold tier: file:// or s3://",
    "DRIVETRAIN_TIER_GRACE": "how long what moved down a tier is kept where it was (default 7 days)",
    "DRIVETRAIN_REHYDRATE_LIMIT": "room in the warehouse for months that are back from the lake (default 10 GB)",
    "DRIVETRAIN_PRICE_<TIER>": "what a gigabyte costs a month: HOT (0.23), WARM (0.115), COLD (0.023)",
    "DRIVETRAIN_PRICE_CURRENCY": "in which currency (default USD)",
    "AWS_<...>": "credentials and endpoint of s3://, as every tool for S3 reads them",
    "DRIVETRAIN_OBJECTS_URL": "buckets of documents and media: file:// or s3://",
    "DRIVETRAIN_KEYS": "keys that seal and sign erasure requests (default <DRIVETRAIN_HOME>/keys/erasure.json)",
    "DRIVETRAIN_ERASURE_WINDOW": "how long an erasure waits for others to write the lake anew with (default 0 days)",
    "DRIVETRAIN_BACKUPS_KEPT": "how long backups are kept, as certificates of erasure state it; none: there are none",
    "DRIVETRAIN_ISSUER": "who certifies an erasure: the name of the organisation",
    "DRIVETRAIN_REAL_DATA": "folder of the real data set that the demo is filled from",
    "DRIVETRAIN_ALERT_WEBHOOK": "address that alerts are posted to as JSON",
    "DRIVETRAIN_ALERT_EMAIL": "address that alerts are mailed to",
    "DRIVETRAIN_SMTP_HOST": "mail server for alerts, host or host:port",
}


#: Days; under the shortest law a month is given for all of it.
_LONGEST_WINDOW = 14
_SIZE = re.compile(r"\s*([0-9]{1,9})\s*([kMGT]?B)\s*", re.IGNORECASE)
_UNITS = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
#: What a gigabyte is assumed to cost a month: about what managed PostgreSQL asks in two zones and in one, and an object
#: store in its standard class. Storage only; to be replaced by what is paid.
_PRICES = {"HOT": "0.23", "WARM": "0.115", "COLD": "0.023"}

#: Any moment: a grace is as long as its days, and a month of it thirty-one.
_EPOCH = dt.datetime(2000, 1, 1, tzinfo=dt.UTC)


@dataclass(frozen=True)
class Settings:
    """All settings, read once. Values may be secret: the mapping shows in no repr."""

    values: Mapping[str, str] = field(repr=False)

    @classmethod
    def load(cls, environment: Mapping[str, str] | None = None, env_file: Path | None = None) -> Settings:
        """Read the environment and ``.env``."""
        file = env_file or Path.cwd() / ".env"
        from_file = {name: value for name, value in dotenv_values(file).items() if value} if file.is_file() else {}
        given = {name: value for name, value in (environment or os.environ).items() if value}
        ours = ("DRIVETRAIN_", "AWS_")
        return cls({name: value for name, value in {**from_file, **given}.items() if name.startswith(ours)})

    def get(self, name: str) -> str | None:
        """A setting, or None."""
        return self.values.get(f"DRIVETRAIN_{name}")

    @property
    def home(self) -> Path:
        """The data directory."""
        given = self.get("HOME")
        return Path(given).expanduser().absolute() if given else PROJECT / ".drivetrain"

    def folder(self, name: str) -> Path:
        """A folder of the home directory that its owner alone can enter: what programs write concerns nobody else.

        The home itself is open to the account of the embedded servers.
        """
        folder = self.home / name
        folder.mkdir(parents=True, exist_ok=True)
        if folder.stat().st_mode & 0o077:
            folder.chmod(0o700)
        return folder

    @property
    def real_data(self) -> Path | None:
        """The real data set's folder: as set, or ``../shared/real`` beside the project where it exists."""
        given = self.get("REAL_DATA")
        if given:
            folder = Path(given).expanduser().absolute()
            if not folder.is_dir():
                raise ConfigurationError(f"DRIVETRAIN_REAL_DATA: {folder} is no folder", hint="Unset it, or mend it.")
            return folder
        beside = PROJECT.parent / "shared" / "real"
        return beside if beside.is_dir() else None

    @property
    def lake_url(self) -> str:
        """Root of the cold tier."""
        return self.get("LAKE_URL") or (self.home / "lake").as_uri()

    def lake(self) -> Store:
        """The cold tier, with what reaching it takes.

        Raises:
            ConfigurationError: its address is of no kind that is known.
        """
        return self._store(self.lake_url)

    def _store(self, url: str) -> Store:
        options = {name: value for name, value in self.values.items() if name.startswith("AWS_")}
        if options.get("AWS_ENDPOINT_URL", "").startswith("http://"):
            options.setdefault("AWS_ALLOW_HTTP", "true")
        return Store(url, options)

    @property
    def erasure_window(self) -> Age:
        """How long the lake may wait to be written anew for several persons at once; none: 0 days.

        Raises:
            ConfigurationError: the setting is no age, or longer than any law gives.
        """
        text = self.get("ERASURE_WINDOW") or "0 days"
        try:
            age = Age.model_validate(parse_age(text))
        except ValueError:
            age = None
        if age is None or age.approximate_days > _LONGEST_WINDOW:
            raise ConfigurationError(
                f"DRIVETRAIN_ERASURE_WINDOW: {text!r} is no age of up to {_LONGEST_WINDOW} days",
                hint="For example: 7 days; 0 days to wait for nobody.",
            )
        return age

    @property
    def tier_grace(self) -> dt.timedelta:
        """How long what moved is kept where it was.

        Raises:
            ConfigurationError: the setting is no age.
        """
        text = self.get("TIER_GRACE") or "7 days"
        try:
            age = Age.model_validate(parse_age(text))
        except ValueError:
            raise ConfigurationError(f"DRIVETRAIN_TIER_GRACE: {text!r} is no age", hint="For example: 7 days") from None
        return age.later(_EPOCH) - _EPOCH

    @property
    def rehydrate_limit(self) -> int:
        """Bytes that months which are back from the lake may take in the warehouse.

        Raises:
            ConfigurationError: the setting is no size.
        """
        text = self.get("REHYDRATE_LIMIT") or "10 GB"
        match = _SIZE.fullmatch(text)
        if match is None:
            raise ConfigurationError(
                f"DRIVETRAIN_REHYDRATE_LIMIT: {text!r} is no size", hint="For example: 500 MB or 10 GB"
            )
        return int(match[1]) * _UNITS[match[2].upper()]

    @property
    def prices(self) -> Prices:
        """What each tier costs.

        Raises:
            ConfigurationError: a price is no number, or below zero.
        """
        currency = self.get("PRICE_CURRENCY") or "USD"
        if not currency.isalpha() or len(currency) > 5:
            raise ConfigurationError(
                f"DRIVETRAIN_PRICE_CURRENCY: {currency!r} is no currency", hint="Write its code: USD, EUR, INR ..."
            )
        assumed = any(self.get(f"PRICE_{tier}") is None for tier in _PRICES)
        return Prices(self._price("HOT"), self._price("WARM"), self._price("COLD"), currency, assumed)

    def _price(self, tier: str) -> Decimal:
        text = self.get(f"PRICE_{tier}") or _PRICES[tier]
        try:
            price = Decimal(text)
        except InvalidOperation:
            price = Decimal("nan")
        if not (price.is_finite() and price >= 0):
            raise ConfigurationError(
                f"DRIVETRAIN_PRICE_{tier}: {text!r} is no price", hint="Write a number, per GB and month: 0.115"
            )
        return price

    @property
    def objects_url(self) -> str:
        """Root of the object buckets."""
        return self.get("OBJECTS_URL") or (self.home / "objects").as_uri()

    def objects(self) -> Store:
        """The object buckets, with what reaching them takes.

        Raises:
            ConfigurationError: their address is of no kind that is known.
        """
        return self._store(self.objects_url)

    def cache(self, system: str) -> Cache | None:
        """A system's cache, if it is configured.

        Raises:
            ConfigurationError: its address is of no kind that is known.
        """
        name = f"DRIVETRAIN_{system.upper()}_REDIS_URL"
        return Cache(self.values[name], name) if name in self.values else None

    def caches(self) -> dict[str, Cache]:
        """Those that are configured, by system."""
        every = {name: self.cache(name) for name in self.catalog().systems}
        return {name: cache for name, cache in every.items() if cache is not None}

    @property
    def backups_kept(self) -> Age | None:
        """How long who was erased is in backups still; None: there are none.

        Raises:
            ConfigurationError: it is no age; or databases of one's own are set, and nobody said.
        """
        text = self.get("BACKUPS_KEPT")
        own = {"DRIVETRAIN_WAREHOUSE_DSN", *(f"DRIVETRAIN_{name.upper()}_DSN" for name in self.catalog().systems)}
        if text is None and own & self.values.keys():
            raise ConfigurationError(
                "nobody said how long backups of these databases are kept, and a certificate of erasure states it",
                hint="Set DRIVETRAIN_BACKUPS_KEPT, for example to 30 days; or to none.",
            )
        if text is None or text.strip().lower() == "none":
            return None
        try:
            return Age.model_validate(parse_age(text))
        except ValueError:
            raise ConfigurationError(
                f"DRIVETRAIN_BACKUPS_KEPT: {text!r} is no age", hint="For example: 30 days; or none."
            ) from None

    def _catalog_directories(self) -> list[Path]:
        given = (self.get("CATALOG") or "").split(os.pathsep)
        return [Path(directory).expanduser().absolute() for directory in given if directory]

    def catalog_environment(self) -> dict[str, str]:
        """``DRIVETRAIN_CATALOG`` for a process that runs in another folder."""
        directories = self._catalog_directories()
        return {"DRIVETRAIN_CATALOG": os.pathsep.join(map(str, directories))} if directories else {}

    def catalog(self) -> Catalog:
        """The catalog in force.

        Raises:
            CatalogError, ConfigurationError: it cannot be read.
        """
        directories = self._catalog_directories()
        for directory in directories:
            if not directory.is_dir():
                raise ConfigurationError(
                    f"DRIVETRAIN_CATALOG: {directory} is no folder",
                    hint=f"Name directories of YAML files, separated by {os.pathsep!r}.",
                )
        return load_catalog(*directories)

    def servers(self) -> Servers:
        """The embedded servers of this home (running or not)."""
        return Servers(self.home)

    def embedded(self) -> set[str]:
        """Which embedded servers this configuration still needs; empty once every DSN is given."""
        catalog = self.catalog()
        local = {s for s in catalog.systems if s in SYSTEMS and self.get(f"{s.upper()}_DSN") is None}
        needs_warehouse = self.get("WAREHOUSE_DSN") is None or self.get("DAGSTER_DSN") is None
        return ({"operational", "replica"} if local else set()) | ({"warehouse"} if needs_warehouse else set())

    @contextmanager
    def embedded_servers(self, progress: Callable[[str], None] | None = None) -> Generator[None]:
        """The embedded servers up for the block, where this configuration needs any; what was started is stopped."""
        if self.embedded():
            with self.servers().running(progress):
                yield
        else:
            yield

    def primary(self, system: str) -> Dsn:
        """A system's operational database.

        Raises:
            ConfigurationError: no DSN is set, and no embedded server has the system.
        """
        name = f"DRIVETRAIN_{system.upper()}_DSN"
        return self._dsn(name, (lambda: self.servers().system_dsn(system)) if system in SYSTEMS else None)

    def maintenance(self, system: str) -> Dsn:
        """A system's operational database, for a role that is a member of its tables' owner: partitions need that.

        Raises:
            ConfigurationError: no DSN is set, and no embedded server has the system.
        """
        name = f"DRIVETRAIN_{system.upper()}_MAINTENANCE_DSN"
        own = f"DRIVETRAIN_{system.upper()}_DSN" in self.values  # the embedded server is then not the one meant
        return self._dsn(
            name, (lambda: self.servers().maintenance_dsn(system)) if system in SYSTEMS and not own else None
        )

    def capture(self, system: str) -> Dsn:
        """A system's operational database, for a role that may read its log.

        Raises:
            ConfigurationError: no DSN is set, and no embedded server has the system.
        """
        name = f"DRIVETRAIN_{system.upper()}_CAPTURE_DSN"
        own = f"DRIVETRAIN_{system.upper()}_DSN" in self.values  # the embedded server is then not the one meant
        return self._dsn(name, (lambda: self.servers().capture_dsn(system)) if system in SYSTEMS and not own else None)

    def replica(self, system: str) -> Dsn | None:
        """A system's replica, where one is declared. The embedded replica serves the embedded primary only."""
        name = f"DRIVETRAIN_{system.upper()}_REPLICA_DSN"
        if name in self.values:
            return Dsn(self.values[name], name)
        if f"DRIVETRAIN_{system.upper()}_DSN" in self.values or system not in SYSTEMS:
            return None
        return self._dsn(name, lambda: self.servers().replica_dsn(system))

    def warehouse(self) -> Dsn:
        """The warehouse database."""
        return self._dsn("DRIVETRAIN_WAREHOUSE_DSN", lambda: self.servers().warehouse_dsn())

    def officer(self, role: str) -> Dsn:
        """The warehouse as the officer who is at work: their own login, or the embedded servers' for a role."""
        own = "DRIVETRAIN_WAREHOUSE_DSN" in self.values  # the embedded server is then not the one meant
        return self._dsn("DRIVETRAIN_OFFICER_DSN", None if own else (lambda: self.servers().officer_dsn(role)))

    def verifier(self) -> Dsn:
        """The warehouse as who verifies an erasure: a member of ``drivetrain_verifier``, and of nothing else.

        Raises:
            ConfigurationError: the warehouse is not the embedded one, and nobody said who verifies there.
        """
        own = "DRIVETRAIN_WAREHOUSE_DSN" in self.values  # the embedded server is then not the one meant
        return self._dsn("DRIVETRAIN_VERIFIER_DSN", None if own else (lambda: self.servers().verifier_dsn()))

    def verifier_of_dagster(self) -> Dsn:
        """Dagster's own storage, to be read: as the verifier, who reads every database of the cluster."""
        if "DRIVETRAIN_DAGSTER_DSN" in self.values:
            who = {name: self.verifier().parameters.get(name) for name in ("user", "password")}
            text = conninfo.make_conninfo(self.dagster().text, **who)
            return Dsn(text, "DRIVETRAIN_DAGSTER_DSN, with the login of DRIVETRAIN_VERIFIER_DSN")
        return self._dsn("DRIVETRAIN_DAGSTER_DSN", lambda: self.servers().verifier_dsn("dagster"))

    def dagster(self) -> Dsn:
        """The database of Dagster's own storage."""
        return self._dsn("DRIVETRAIN_DAGSTER_DSN", lambda: self.servers().dagster_dsn())

    def _dsn(self, name: str, embedded: Callable[[], str] | None) -> Dsn:
        if name in self.values:
            return Dsn(self.values[name], name)
        if embedded is not None:
            try:
                return Dsn(
                    str(embedded()), f"{name.removeprefix('DRIVETRAIN_').removesuffix('_DSN').lower()} (embedded)"
                )
            except DrivetrainError as error:
                raise ConfigurationError(
                    f"{name} is not set, and there is no embedded server to fall back on",
                    hint="Set it in the environment or .env, or run `drivetrain servers up`.",
                ) from error
        raise ConfigurationError(
            f"{name} is not set",
            hint=f"Set it in the environment or .env: {name}=postgresql://user:password@host/database",
        )
