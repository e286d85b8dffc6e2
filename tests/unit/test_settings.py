"""Settings: where they come from, which wins, and that a secret shows nowhere."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from resources.settings import KNOWN, PROJECT, Settings
from warehouse.errors import ConfigurationError
from warehouse.tiering.map import Prices

SECRET = "postgresql://me:s3cret-word@db.example:5433/shop"


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text(f"DRIVETRAIN_SHOP_DSN={SECRET}\nDRIVETRAIN_HOME=/from/file\n")
    settings = Settings.load({"DRIVETRAIN_HOME": "/from/environment"}, file)
    assert settings.home == Path("/from/environment")
    assert settings.primary("shop").text == SECRET


def test_other_variables_and_empty_ones_are_not_settings(tmp_path: Path) -> None:
    settings = Settings.load({"HOME": "/x", "DRIVETRAIN_HOME": "", "PGPASSWORD": "y"}, tmp_path / "none")
    assert dict(settings.values) == {}
    assert settings.home == PROJECT / ".drivetrain"


def test_no_repr_shows_a_secret() -> None:
    settings = Settings({"DRIVETRAIN_SHOP_DSN": SECRET})
    for shown in (repr(settings), str(settings), repr(settings.primary("shop")), str(settings.primary("shop"))):
        assert "s3cret-word" not in shown
    assert str(settings.primary("shop")) == "me@db.example:5433/shop"


def test_a_system_of_ones_own_has_no_embedded_replica() -> None:
    settings = Settings({"DRIVETRAIN_SHOP_DSN": SECRET})
    assert settings.replica("shop") is None
    settings = Settings({"DRIVETRAIN_SHOP_DSN": SECRET, "DRIVETRAIN_SHOP_REPLICA_DSN": SECRET})
    replica = settings.replica("shop")
    assert replica is not None and replica.label == "DRIVETRAIN_SHOP_REPLICA_DSN"


@pytest.mark.parametrize("system", ["sixth", "shop"])
def test_a_missing_address_is_said_with_what_to_do(system: str, tmp_path: Path) -> None:
    settings = Settings({"DRIVETRAIN_HOME": str(tmp_path / "home")})
    with pytest.raises(ConfigurationError, match=f"DRIVETRAIN_{system.upper()}_DSN is not set"):
        settings.primary(system)
    assert not (tmp_path / "home").exists(), "asking makes no servers"


def test_an_address_that_is_none_is_refused_without_quoting_it() -> None:
    with pytest.raises(ConfigurationError) as caught:
        Settings({"DRIVETRAIN_SHOP_DSN": "s3cret-word and nothing else"}).primary("shop")
    assert "DRIVETRAIN_SHOP_DSN" in str(caught.value)
    assert "s3cret-word" not in str(caught.value)


def test_the_embedded_servers_are_needed_for_what_has_no_address() -> None:
    systems = ("BIKENODE", "THROTTLECOVE", "LOGISTICS", "CARDDB", "SHOP")
    own = {f"DRIVETRAIN_{system}_DSN": SECRET for system in systems}
    assert Settings({}).embedded() == {"operational", "replica", "warehouse"}
    assert Settings(own).embedded() == {"warehouse"}
    stores = {"DRIVETRAIN_WAREHOUSE_DSN": SECRET, "DRIVETRAIN_DAGSTER_DSN": SECRET}
    assert Settings({**own, **stores}).embedded() == set()


def test_stores_default_to_folders_of_the_home(tmp_path: Path) -> None:
    settings = Settings({"DRIVETRAIN_HOME": str(tmp_path)})
    assert settings.lake_url == (tmp_path / "lake").as_uri()
    assert settings.objects_url == (tmp_path / "objects").as_uri()
    assert Settings({"DRIVETRAIN_LAKE_URL": "s3://bucket/lake"}).lake_url == "s3://bucket/lake"


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="DRIVETRAIN_REAL_DATA"):
        _ = Settings({"DRIVETRAIN_REAL_DATA": str(tmp_path / "none")}).real_data
    with pytest.raises(ConfigurationError, match="DRIVETRAIN_CATALOG"):
        Settings({"DRIVETRAIN_CATALOG": str(tmp_path / "none")}).catalog()


def test_prices_are_the_users_where_there_are_any() -> None:
    assert Settings({}).prices.hot == Decimal("0.23")
    assert "assumed" in str(Settings({}).prices)
    given = {f"DRIVETRAIN_PRICE_{tier}": price for tier, price in (("HOT", "1.5"), ("WARM", "0"), ("COLD", "0.01"))}
    settings = Settings({**given, "DRIVETRAIN_PRICE_CURRENCY": "INR"})
    assert settings.prices == Prices(Decimal("1.5"), Decimal(0), Decimal("0.01"), "INR")
    assert "assumed" not in str(settings.prices)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HOT", "cheap"),
        ("WARM", "-1"),
        ("COLD", "nan"),
        ("COLD", "Infinity"),
        ("CURRENCY", "[red]"),
        ("CURRENCY", "£1"),
    ],
)
def test_a_price_that_is_none_is_refused(name: str, value: str) -> None:
    with pytest.raises(ConfigurationError, match=f"DRIVETRAIN_PRICE_{name}"):
        _ = Settings({f"DRIVETRAIN_PRICE_{name}": value}).prices


def test_every_setting_is_documented() -> None:
    documented = (PROJECT / "docs" / "engineers.md").read_text()
    assert [name for name in KNOWN if name not in documented] == []
