"""Change capture passes the gate: an erased person stays out, whatever the log says, replays or leaves out."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from capturing import capture, captured, drop_slots
from ingesting import Bench, bench_on, databases

from demo.servers import Servers
from warehouse.postgres.sessions import connect
from warehouse.state.tombstones import add_tombstones


@pytest.fixture
def users(servers: Servers) -> Iterator[Bench]:
    """Three persons, captured, with a large value that the log tells only when it changes."""
    with databases(servers) as pair, bench_on(pair) as bench:
        bench.source(
            "CREATE TABLE users (id int PRIMARY KEY, email text, large text);"
            "ALTER TABLE users ALTER large SET STORAGE EXTERNAL;"
            "INSERT INTO users SELECT i, 'a', repeat('x', 5000) FROM generate_series(1, 3) i"
        )
        bench.person = {"table": "users", "key": "id", "identifiers": {"email": "email"}}
        bench.declare("users", key=["id"], subjects=["id"], erasure="delete")
        bench.tables["users"]["columns"]["id"]["personal"] = "person_id"
        bench.tables["users"]["columns"]["email"]["personal"] = "email"
        captured(bench, "users")
        capture(bench)
        yield bench
        drop_slots(bench)


def bury(bench: Bench, user: int) -> None:
    """The person is erased, in the warehouse."""
    with connect(bench.pair.target) as target:
        add_tombstones(target, 1, bench.name, {("users", "id"): {str(user)}})
    bench.warehouse(f"DELETE FROM {{raw}}.users WHERE id = {user}")


def there(bench: Bench) -> list[tuple[object, ...]]:
    return bench.warehouse("SELECT id, email, length(large) FROM {raw}.users ORDER BY id")


def test_rows_of_an_erased_person_stay_out(users: Bench) -> None:
    bury(users, 5)
    users.source("INSERT INTO users VALUES (5, 'c', 'l'), (4, 'd', 'l')")
    result = capture(users).tables["users"]
    assert (result.kept_out, result.compared) == (1, None)
    users.source("UPDATE users SET email = 'e'")  # the person is there still, and changes
    assert capture(users).tables["users"].kept_out == 1
    drop_slots(users)
    assert capture(users).tables["users"].compared is not None  # begun anew
    users.source("DELETE FROM users WHERE id = 5; INSERT INTO users VALUES (5, 'again', 'l')")
    assert capture(users).tables["users"].compared is None
    assert there(users) == [(1, "e", 5000), (2, "e", 5000), (3, "e", 5000), (4, "e", 1)]


def test_an_unchanged_value_of_an_erased_person_is_not_missed(users: Bench) -> None:
    """The warehouse has not what the log leaves out, for the row is gone there: no comparison is needed for that."""
    bury(users, 3)
    users.source("UPDATE users SET email = 'b'")
    assert capture(users).tables["users"].compared is None
    assert there(users) == [(1, "b", 5000), (2, "b", 5000)]
