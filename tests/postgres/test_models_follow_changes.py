"""The project's own ways to refresh a model (`dbt_project/macros`), on small models of their own.

After any changes of the source, a model that was refreshed by what changed holds what it would if it were made anew.
What does not belong here: the project's models, and the feeds they read (``test_change_feeds``).
"""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml
from ingesting import Bench, Databases, bench_on
from mart_runs import PROJECT, DbtRun, run_dbt

from warehouse.errors import Busy
from warehouse.postgres.sessions import connect
from warehouse.quality.recomputation import Recomputation, recompute

MODELS = {
    "sums": """
{{ config(materialized='incremental', incremental_strategy='add', period='month') }}
select
    owner, {{ month_of('at') }} as month, cast(coalesce(sum(sign * amount), 0) as numeric(20, 2)) as amount,
    sum(sign) as source_rows
from {{ signed(source('raw', 'facts')) }} as changed
group by owner, {{ month_of('at') }}
""",
    "pairs": """
{{ config(
    materialized='incremental', incremental_strategy='replace', unique_key='id',
    touched={var('raw') ~ '.facts': 'id', var('raw') ~ '.items': 'fact_id'},
) }}
with items as (
    select fact_id, max(v) as highest, count(*) as items
    from {{ source('raw', 'items') }} where {{ only_touched('fact_id') }} group by fact_id
)
select facts.id, facts.owner, facts.at, items.highest, coalesce(items.items, 0) as items
from {{ source('raw', 'facts') }} as facts left join items on facts.id = items.fact_id
where {{ only_touched('facts.id') }}
""",
    "pair_sums": """
{{ config(materialized='incremental', incremental_strategy='add', period='month') }}
select
    {{ month_of('at') }} as month, cast(sum(sign * items) as bigint) as items, sum(sign) as source_rows
from {{ signed(ref('pairs')) }} as changed
group by {{ month_of('at') }}
""",
    "totals": """
{{ config(materialized='incremental', incremental_strategy='add') }}
select
    owner, cast(sum(sign * amount) as numeric(20, 2)) as amount, cast(sum(sign * source_rows) as bigint) as source_rows
from {{ signed(ref('sums')) }} as changed
group by owner
""",
    "board": """
select owner, amount as total from {{ ref('totals') }}
""",
}
CONTRACTS: dict[str, tuple[list[str], dict[str, str]]] = {
    "sums": (["owner", "month"], {"owner": "int", "month": "date", "amount": "numeric(20,2)", "source_rows": "bigint"}),
    "pairs": (["id"], {"id": "int", "owner": "int", "at": "timestamptz", "highest": "int", "items": "bigint"}),
    "pair_sums": (["month"], {"month": "date", "items": "bigint", "source_rows": "bigint"}),
    "totals": (["owner"], {"owner": "int", "amount": "numeric(20,2)", "source_rows": "bigint"}),
    "board": (["owner"], {"owner": "int", "total": "numeric(20,2)"}),
}


class Models:
    """A small dbt project on a system of its own."""

    def __init__(self, bench: Bench, folder: Path) -> None:
        self.bench, self.project, self.artifacts = bench, folder / "project", folder / "artifacts"
        models = self.project / "models"
        models.mkdir(parents=True)
        shutil.copy(PROJECT / "profiles.yml", self.project)
        settings = yaml.safe_load((PROJECT / "dbt_project.yml").read_text())
        own = {key: value for key, value in settings["models"]["drivetrain"].items() if key.startswith("+")}
        settings["models"]["drivetrain"] = own | {"+schema": bench.name, "+materialized": "table"}
        settings |= {"macro-paths": [str(PROJECT / "macros")], "vars": {"raw": bench.raw}}
        for key in ("test-paths", "snapshot-paths", "analysis-paths", "docs-paths", "on-run-end"):
            settings.pop(key, None)
        (self.project / "dbt_project.yml").write_text(yaml.safe_dump(settings))
        tables = [{"name": "facts"}, {"name": "items"}]
        (models / "sources.yml").write_text(
            yaml.safe_dump({"sources": [{"name": "raw", "schema": bench.raw, "tables": tables}]})
        )
        for name, text in MODELS.items():
            (models / f"{name}.sql").write_text(text)
            self.contract(name, *CONTRACTS[name])

    def contract(self, name: str, key: list[str], columns: dict[str, str], check: str | None = None) -> None:
        constraints: list[dict[str, Any]] = [{"type": "primary_key", "columns": key}]
        if check is not None:
            constraints.append({"type": "check", "expression": check})
        model = {
            "name": name,
            "config": {"contract": {"enforced": True}},
            "constraints": constraints,
            "columns": [{"name": column, "data_type": kind} for column, kind in columns.items()],
        }
        (self.project / "models" / f"{name}.yml").write_text(yaml.safe_dump({"models": [model]}))

    def run(self, *arguments: str) -> DbtRun:
        return run_dbt(self.bench.pair.target.text, self.artifacts, *(arguments or ("run",)), project=self.project)

    def compared(self, name: str) -> Recomputation:
        """The model beside what it is when made anew."""
        done = self.run("compile", "--select", name, "--vars", json.dumps({"whole": True}))
        assert done.code == 0, done.output
        (compiled,) = (self.artifacts / "target" / "compiled").rglob(f"{name}.sql")
        key, columns = CONTRACTS[name]
        with connect(self.bench.pair.target) as connection:
            period = "month" if "month" in columns else None
            return recompute(connection, f"{self.bench.name}.{name}", compiled.read_text(), list(columns), key, period)

    def rows(self, name: str) -> list[tuple[Any, ...]]:
        columns = ", ".join(f"{column}::text" if column == "at" else column for column in CONTRACTS[name][1])
        return sorted(self.bench.warehouse(f"SELECT {columns} FROM {self.bench.name}.{name}"), key=repr)

    def ingest(self) -> None:
        for table in ("facts", "items"):
            self.bench.ingest(table)


@pytest.fixture(scope="module")
def module_bench(pair: Databases) -> Iterator[Bench]:
    with bench_on(pair) as bench:
        bench.source(
            "CREATE TABLE facts (id int, at timestamptz, owner int, amount numeric(12,2), PRIMARY KEY (id, at));"
            "CREATE TABLE items (fact_id int, n int, v int, updated_at timestamptz NOT NULL, PRIMARY KEY (fact_id, n));"
            "INSERT INTO facts SELECT i, '2024-01-01+00'::timestamptz + i * interval '8 hours', i % 7, i / 3.0"
            " FROM generate_series(1, 300) i;"
            "INSERT INTO items SELECT i, n, (i * 7919 + n) % 100, '2024-02-01+00' FROM generate_series(1, 300) i,"
            " generate_series(1, i % 4) n"
        )
        bench.monthly("facts")
        bench.incremental("items", key=("fact_id", "n"))
        yield bench
        bench.warehouse(f"DROP SCHEMA IF EXISTS {bench.name} CASCADE")


@pytest.fixture(scope="module")
def models(module_bench: Bench, tmp_path_factory: pytest.TempPathFactory) -> Models:
    made = Models(module_bench, tmp_path_factory.mktemp("models"))
    made.ingest()
    done = made.run()
    assert done.code == 0, done.output
    return made


def use(bench: Bench, numbers: random.Random) -> None:
    """New and late rows, corrections, deletes, rows that change owner or month, items of facts that are not there."""
    for _ in range(numbers.randint(3, 12)):
        some, new = numbers.randint(1, 300), numbers.randint(1000, 10**8)
        bench.source(
            numbers.choice(
                [
                    f"INSERT INTO facts VALUES ({new}, '2024-04-11+00', 3, 10.10)",
                    f"INSERT INTO facts VALUES ({new}, '2024-01-31 23:59+00', {new % 9}, -4)",
                    f"INSERT INTO items VALUES ({some}, {new}, 1000, '2024-06-01+00')",
                    f"INSERT INTO items VALUES ({new}, 1, 5, '2023-01-01+00')",
                    f"UPDATE items SET v = v - 50, updated_at = updated_at + interval '1 day' WHERE fact_id = {some}",
                    f"UPDATE facts SET amount = amount + 0.01 WHERE id = {some}",
                    f"UPDATE facts SET owner = {some % 11} WHERE id % 40 = {some % 40}",
                    f"UPDATE facts SET at = at + interval '1 month' WHERE id = {some}",
                    f"DELETE FROM facts WHERE id = {some}",
                    f"DELETE FROM items WHERE fact_id = {some}",
                    "DELETE FROM facts WHERE owner = 5 AND at < '2024-02-01+00'",
                ]
            )
        )


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2))])
def test_a_model_refreshed_by_changes_is_what_it_would_be_made_anew(models: Models, seed: int) -> None:
    use(models.bench, random.Random(seed))
    before = models.rows("sums")
    models.ingest()
    done = models.run()
    assert done.code == 0, done.output
    assert models.rows("sums") != before
    for name in ("sums", "pairs", "pair_sums", "totals"):
        found = models.compared(name)
        assert found.agrees, (name, found)
        assert found.rows == len(models.rows(name)) > 3
    expected = models.bench.warehouse("SELECT owner, sum(amount)::numeric(20,2) FROM {raw}.facts GROUP BY owner")
    assert models.rows("board") == sorted(expected, key=repr)


@pytest.mark.slow
def test_the_comparison_notices_a_wrong_figure_and_a_lost_row(models: Models) -> None:
    table = f"{models.bench.name}.sums"
    models.bench.warehouse(
        f"UPDATE {table} SET amount = amount + 0.01 WHERE owner = 1 AND month = '2024-02-01';"
        f"DELETE FROM {table} WHERE owner = 2 AND month = '2024-03-01'"
    )
    found = models.compared("sums")
    assert (found.missing, found.extra) == (2, 1)
    assert {example[0] for example in found.examples} == {1, 2}
    assert models.run("run", "--vars", '{"whole": true}').code == 0
    assert models.compared("sums").agrees


@pytest.mark.slow
def test_nothing_is_compared_while_changes_wait(models: Models) -> None:
    models.bench.source("UPDATE facts SET amount = amount + 1 WHERE id = (SELECT min(id) FROM facts)")
    models.ingest()
    with pytest.raises(Busy, match="facts changed since"):
        models.compared("sums")
    assert models.run().code == 0
    assert models.compared("sums").agrees


@pytest.mark.slow
def test_months_that_left_the_warehouse_stay_in_sums(models: Models) -> None:
    bench = models.bench
    (january,) = [row for row in models.rows("sums") if row[0] == 3 and str(row[1]) == "2024-01-01"]
    bench.warehouse(
        "DELETE FROM {raw}.facts WHERE at < '2024-02-01+00'"
    )  # as a lower tier takes them: not by ingestion
    assert models.run("run", "--vars", '{"whole": true}', "--select", "sums").code == 0
    assert january in models.rows("sums")
    assert models.compared("sums").agrees
    bench.warehouse("DROP TABLE {raw}.facts CASCADE")
    models.ingest()
    assert models.run().code == 0
    assert models.compared("sums").agrees


@pytest.mark.slow
def test_a_full_refresh_does_not_forget_months_that_left(models: Models) -> None:
    bench = models.bench
    left = f"UPDATE platform.raw_content SET tier = '%s' WHERE system = '{bench.name}' AND chunk = '2024-02'"
    bench.warehouse(left % "cold")
    done = models.run("run", "--full-refresh")
    assert done.statuses == {
        "sums": "error", "pairs": "error", "pair_sums": "skipped", "totals": "skipped", "board": "skipped"
    }  # fmt: skip
    assert f"holds months of {bench.name}.facts whose rows have left" in done.output
    bench.warehouse(left % "warehouse")
    assert models.run("run", "--full-refresh").code == 0
    for name in ("sums", "pairs", "pair_sums", "totals"):
        assert models.compared(name).agrees


@pytest.mark.slow
def test_a_refresh_that_fails_changes_nothing_and_loses_no_change(models: Models) -> None:
    bench = models.bench
    bench.source("UPDATE facts SET amount = amount + 7 WHERE id = (SELECT min(id) FROM facts)")
    models.ingest()
    before = models.rows("sums")
    refuse = f"""
        CREATE FUNCTION {bench.name}.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no'; END $$;
        CREATE TRIGGER refuse BEFORE UPDATE OR INSERT ON {bench.name}.sums
            FOR EACH ROW EXECUTE FUNCTION {bench.name}.refuse()"""
    bench.warehouse(refuse)
    assert models.run().code == 1
    assert models.rows("sums") == before
    bench.warehouse(f"DROP FUNCTION {bench.name}.refuse CASCADE")
    assert models.run().code == 0
    assert models.rows("sums") != before
    assert models.compared("sums").agrees


def test_a_table_is_replaced_under_its_readers(models: Models) -> None:
    bench = models.bench
    bench.warehouse(f"CREATE VIEW public.{bench.name}_reader AS SELECT total FROM {bench.name}.board")
    bench.warehouse(f"GRANT SELECT ON {bench.name}.board TO PUBLIC")
    bench.source("UPDATE facts SET amount = amount + 1 WHERE id = (SELECT min(id) FROM facts)")
    bench.source("INSERT INTO facts VALUES (500, '2024-02-11+00', 77, 1)")
    models.ingest()
    with psycopg.connect(bench.pair.warehouse_admin) as reading:  # in a transaction, as a long report would
        reading.execute(f"SELECT count(*) FROM {bench.name}.board")
        assert models.run().code == 0
    total = bench.warehouse("SELECT sum(amount) FROM {raw}.facts")
    assert bench.warehouse(f"SELECT sum(total) FROM public.{bench.name}_reader") == total
    (acl,) = bench.warehouse(f"SELECT relacl::text FROM pg_class WHERE oid = '{bench.name}.board'::regclass")
    assert "=r/" in acl[0]


@pytest.mark.slow
def test_rows_that_break_a_constraint_are_not_published(models: Models) -> None:
    bench, (key, columns) = models.bench, CONTRACTS["board"]
    models.contract("board", key, columns, check="total > -1000000")
    assert models.run().code == 0  # another contract: made anew
    before = models.rows("board")
    bench.source("INSERT INTO facts VALUES (600, '2024-02-11+00', 1, -5000000)")
    models.ingest()
    done = models.run()
    assert done.statuses == dict.fromkeys(MODELS, "success") | {"board": "error"}
    assert "violates check constraint" in done.output
    assert models.rows("board") == before
    bench.source("DELETE FROM facts WHERE id = 600")
    models.ingest()
    assert models.run().code == 0


@pytest.mark.slow
def test_a_contract_that_changed_holds_of_a_model_refreshed_by_changes(models: Models) -> None:
    bench, (key, columns) = models.bench, CONTRACTS["sums"]

    def constraints() -> list[str]:
        found = bench.warehouse(
            "SELECT pg_get_constraintdef(oid) FROM pg_constraint"
            f" WHERE conrelid = '{bench.name}.sums'::regclass AND contype <> 'p' ORDER BY 1"
        )
        return [definition for (definition,) in found]

    plain = constraints()
    models.contract("sums", key, columns, check="amount > 1000000000000")
    before = models.rows("sums")
    refused = models.run("run", "--select", "sums")
    assert refused.code != 0 and "is violated by some row" in refused.output
    assert (models.rows("sums"), constraints()) == (before, plain)
    models.contract("sums", key, columns, check="amount > -1000000")
    for _ in range(2):
        assert models.run("run", "--select", "sums").code == 0
        assert constraints() == ["CHECK ((amount > ('-1000000'::integer)::numeric))", *plain]
    bench.source("INSERT INTO facts VALUES (601, '2024-02-11+00', 1, -5000000)")
    models.ingest()
    assert "violates check constraint" in models.run("run", "--select", "sums").output
    models.contract("sums", key, columns)
    assert models.run("run", "--select", "sums").code == 0
    assert constraints() == plain
    assert models.compared("sums").agrees
    bench.source("DELETE FROM facts WHERE id = 601")
    models.ingest()
    assert models.run().code == 0


def test_every_model_says_as_of_when_it_is(models: Models) -> None:
    bench = models.bench
    models.ingest()
    assert models.run().code == 0
    with connect(bench.pair.target) as connection:
        oldest = connection.execute(
            "SELECT min(last), min(first) FROM (SELECT max(agreed_as_of) AS last, min(agreed_as_of) AS first"
            " FROM platform.raw_content WHERE system = %s GROUP BY table_name) AS t WHERE last IS NOT NULL",
            (bench.name,),
        ).fetchone()
        published = {
            model.split(".")[1]: facts
            for model, *facts in connection.execute(
                "SELECT model, as_of, verified_through, tiers FROM platform.published WHERE model LIKE %s",
                (f"{bench.name}.%",),
            )
        }
    assert oldest is not None
    assert published["pairs"] == published["pair_sums"] == [*oldest, ["warehouse"]]
    assert published["board"][0] >= published["pairs"][0]
