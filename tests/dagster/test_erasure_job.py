"""Requests of persons in Dagster, on real servers: what the sensor launches, what a run does and tells, what alerts."""

from __future__ import annotations

import datetime as dt
import sys
from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dagster as dg
import psycopg
import pytest
from ingesting import bench_on
from officers import Desk, Officers, officers

from assets import failures, keys
from assets.requests import NONE_DUE_SOON, NONE_OVERDUE, requests_asset, requests_events
from demo.servers import Servers
from pipelines import erasure_job
from pipelines.erasing import rebuild_for
from resources import agenda, attempts, erasure
from resources.alerts import Alerts
from resources.attempts import DONE, DRY_RUN, ELSEWHERE, OUTCOME, PLAN, REQUEST, STOPPED, WAITS
from resources.settings import Settings
from sensors.erasure import erasure_sensor
from warehouse.erasure.requests import operator_of
from warehouse.erasure.scope import Scope
from warehouse.errors import DrivetrainError, RequestRefused, ServerUnavailable

Launch = Callable[..., dg.ExecuteInProcessResult]
#: Whatever is told of a request, these are not in it.
SECRETS = ("rider3@", "three", "Three", "ticket of")


@pytest.fixture(scope="module")
def all_officers(servers: Servers) -> Generator[Officers]:
    with officers(servers) as found:
        yield found


@pytest.fixture
def desk(all_officers: Officers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[Desk]:
    """Five riders with two bikes each; nobody has asked for anything."""
    monkeypatch.setattr(erasure_job, "rebuild_for", lambda *_: lambda _: {})
    monkeypatch.setattr(failures, "OTHER_PAUSES", (0.01, 0.01))
    with bench_on(all_officers.pair) as bench:
        bench.person = {"table": "riders", "key": "id", "identifiers": {"email": "email"}}
        bench.source(
            "CREATE TABLE riders (id bigint PRIMARY KEY, email text, name text);"
            "CREATE TABLE bikes (id bigint PRIMARY KEY, rider bigint REFERENCES riders);"
            "INSERT INTO riders SELECT i, 'rider' || i || '@example.org', 'Three' FROM generate_series(1, 5) i;"
            "INSERT INTO bikes SELECT 10 * i + n, i FROM generate_series(1, 5) i, generate_series(0, 1) n"
        )
        bench.declare("riders", key=["id"], subjects=["id"], erasure="delete")
        bench.declare("bikes", key=["id"], subjects=["rider"], erasure="delete")
        for table, column, kind in (
            ("riders", "email", "email"),
            ("riders", "name", "name"),
            ("bikes", "rider", "person_id"),
        ):
            bench.tables[table]["columns"][column]["personal"] = kind
        for table in bench.tables:
            bench.ingest(table)
        yield Desk(all_officers, bench, tmp_path, monkeypatch)
        bench.warehouse("DELETE FROM platform.legal_hold")
        bench.warehouse("UPDATE platform.erasure_request SET state = 'revoked'")


def approved(desk: Desk) -> int:
    filed = desk("requester", "erasure", "request", "--law", "gdpr", "--email", "rider3@example.org", "--reference",
                 "ticket of three", "--json")  # fmt: skip
    number = filed["request"]["id"]
    desk("requester", "erasure", "confirm", str(number), "--all")
    plan = desk("operator", "erasure", "plan", str(number), "--json")
    desk("approver", "erasure", "approve", str(number), "--plan", plan["sha256"])
    return number


@pytest.fixture
def launch(instance: dg.DagsterInstance) -> Launch:
    """Run the job, as the launchpad or the sensor does."""

    def run(config: Mapping[str, Any], **options: Any) -> dg.ExecuteInProcessResult:
        ops = config if "ops" in config else {"ops": {"erase": {"config": config}}}
        return erasure_job.erasure_job.execute_in_process(
            run_config=ops, instance=instance, raise_on_error=False, **options
        )

    return run


def tick(instance: dg.DagsterInstance, cursor: str | None = None) -> dg.SensorResult:
    """What the sensor says now."""
    sensor = erasure_sensor(erasure_job.erasure_job, requests_events)
    with dg.build_sensor_context(instance=instance, cursor=cursor) as context:
        result = sensor(context)
    assert isinstance(result, dg.SensorResult)
    return result


def told(instance: dg.DagsterInstance, result: dg.ExecuteInProcessResult) -> dict[str, Any]:
    """What was observed on the asset of all requests."""
    (event,) = instance.all_logs(result.run_id, of_type=dg.DagsterEventType.ASSET_OBSERVATION)
    observation = event.get_dagster_event().asset_observation_data.asset_observation
    assert observation.asset_key == keys.requests()
    return {"said": observation.description, **{name: value.value for name, value in observation.metadata.items()}}


def outcome(instance: dg.DagsterInstance, result: dg.ExecuteInProcessResult) -> str | None:
    """The run's tag; all that was logged holds nothing by which the person is known."""
    run = instance.get_run_by_id(result.run_id)
    assert run is not None
    logged = " ".join(str(each) for each in instance.all_logs(result.run_id)) + str(run.tags)
    assert not [secret for secret in SECRETS if secret in logged]
    return run.tags.get(OUTCOME)


def state(desk: Desk, number: int) -> str:
    return desk("auditor", "erasure", "status", str(number), "--json")["request"]["state"]


def riders(desk: Desk) -> int:
    return desk.bench.source("SELECT count(*) FROM riders")[0][0]


def test_launched_by_hand_it_is_a_dry_run(desk: Desk, launch: Launch, instance: dg.DagsterInstance) -> None:
    number = approved(desk)
    result = launch({"request": number})
    assert result.success
    assert outcome(instance, result) == DRY_RUN
    shown = told(instance, result)
    assert shown["a_run_would"] == "count all of this anew; if it is the same still, erase it"
    assert (shown["rows_expected"], shown["persons_confirmed"]) == (6, 1)
    assert f"| operational | {desk.bench.name}.bikes | delete | 2 |" in shown["lines"]
    assert (riders(desk), state(desk, number)) == (5, "approved")
    assert not launch({"request": 0}).success
    unknown = launch({"request": 12345})
    assert not unknown.success and "there is no request 12345" in str(unknown.all_events)


def test_what_is_approved_is_carried_out_once(desk: Desk, launch: Launch, instance: dg.DagsterInstance) -> None:
    number = approved(desk)
    first = tick(instance)
    (request,) = first.run_requests or ()
    plan = request.tags[PLAN]
    assert request.run_key == f"request {number}, plan {plan}, attempt 1"
    assert [each.run_key for each in tick(instance).run_requests or ()] == [request.run_key]
    result = launch(request.run_config, tags=request.tags)
    assert result.success
    assert outcome(instance, result) == DONE
    shown = told(instance, result)
    assert (shown["rows_expected"], shown["rows_done"], shown["rows_left"]) == (6, 6, 0)
    assert "| operational | 3 | 3 | 0 |" in shown["by_store"]
    assert f"| warehouse | {desk.bench.name}.bikes | delete | 2 | 2 | 0 | 1 |" in shown["by_place"]
    assert (shown["not_looked_at"], shown["certificate"] != "none") == ("nothing", True)
    steps = [event.user_message for event in instance.all_logs(result.run_id) if "Request" in event.user_message]
    assert len(steps) < 20 and f"Request {number}: verifying" in steps
    assert (riders(desk), state(desk, number)) == (4, "completed")
    after = tick(instance, first.cursor)
    assert not after.run_requests
    (materialized, *checks) = after.asset_events
    table = str(materialized.metadata["answered_last"].value)
    assert (
        f"| {number}: erasure, gdpr | completed | " in table and f"([last run](/runs/{result.run_id}): done)" in table
    )
    assert [each.passed for each in checks if isinstance(each, dg.AssetCheckEvaluation)] == [True, True]
    assert not [secret for secret in SECRETS if secret in str(after.asset_events)]
    assert not tick(instance, after.cursor).asset_events
    again = launch(request.run_config)
    assert again.success and "there is nothing to do" in told(instance, again)["said"]


def failing(times: int, error: DrivetrainError) -> Callable[..., Any]:
    """Carrying out fails so often first."""
    original, calls = erasure.run, iter(range(times))

    def run(*arguments: Any, **options: Any) -> Any:
        if next(calls, None) is not None:
            raise error
        return original(*arguments, **options)

    return run


def test_what_may_pass_is_tried_again(
    desk: Desk, launch: Launch, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = approved(desk)
    config = {"request": number, "dry_run": False}
    monkeypatch.setattr(erasure, "run", failing(3, ServerUnavailable("away")))
    away = launch(config)
    assert not away.success
    assert [each.event_type_value for each in away.all_events].count("STEP_RESTARTED") == 2
    assert outcome(instance, away) == WAITS
    waits = tick(instance)
    assert not waits.run_requests and "is tried again after" in str(waits.skip_reason)
    monkeypatch.setattr(attempts, "PAUSES", (dt.timedelta(),))
    (request,) = tick(instance).run_requests or ()
    assert str(request.run_key).endswith("attempt 2")
    monkeypatch.setattr(erasure, "run", failing(1, ServerUnavailable("away")))
    done = launch(request.run_config, tags=request.tags)
    assert outcome(instance, done) == DONE
    assert state(desk, number) == "completed"


def test_what_does_not_pass_waits_for_somebody(desk: Desk, launch: Launch, instance: dg.DagsterInstance) -> None:
    held, refused = approved(desk), approved(desk)
    desk.bench.source("CREATE TABLE backup AS SELECT * FROM riders")  # undeclared: it may hold anybody
    stopped = launch({"request": refused, "dry_run": False})
    desk.bench.source("DROP TABLE backup")
    desk("requester", "hold", "add", "--reason", "court", "--system", desk.bench.name, "--person", "3")
    blocked = launch({"request": held, "dry_run": False})
    for result in (stopped, blocked):
        assert not result.success
        assert "STEP_RESTARTED" not in [each.event_type_value for each in result.all_events]
        assert outcome(instance, result) == STOPPED
    assert (state(desk, refused), state(desk, held), riders(desk)) == ("approved", "blocked_hold", 5)
    after = tick(instance)
    assert not after.run_requests
    assert f"request {refused}: see why its last run stopped" in str(after.skip_reason)
    assert "blocked hold (hold " in str(after.asset_events[0].metadata["requests"].value)


def test_where_rows_are_left_somebody_is_told(
    desk: Desk, launch: Launch, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows that come back again and again while the models are made anew."""
    number, bikes = approved(desk), iter(range(700, 800))

    def put_back(_: Any) -> dict[str, int]:
        desk.bench.source("INSERT INTO riders VALUES (3) ON CONFLICT DO NOTHING")
        desk.bench.source(f"INSERT INTO bikes VALUES ({next(bikes)}, 3)")
        return {}

    monkeypatch.setattr(erasure_job, "rebuild_for", lambda *_: put_back)
    result = launch({"request": number, "dry_run": False})
    assert not result.success
    assert outcome(instance, result) == STOPPED
    shown = told(instance, result)
    assert shown["state"] == state(desk, number) == "failed_needs_operator"
    assert shown["rows_left"] > 0 and shown["certificate"] == "none"
    assert f"request {number} is failed_needs_operator: {shown['rows_left']} left" in str(result.all_events)
    assert not tick(instance).run_requests


def test_where_somebody_else_is_at_work_nothing_fails(desk: Desk, launch: Launch, instance: dg.DagsterInstance) -> None:
    number = approved(desk)
    with operator_of(erasure.estate(Settings.load()), number):
        assert agenda.look(Settings.load(), number).case.worked_on
        elsewhere = launch({"request": number, "dry_run": False})
        assert elsewhere.success
        assert outcome(instance, elsewhere) == ELSEWHERE
        assert "somebody is at work on it" in str(tick(instance).skip_reason)
    assert not agenda.look(Settings.load(), number).case.worked_on


def test_there_is_no_second_run_beside_one_but_after_one_that_was_killed(
    desk: Desk, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = approved(desk)
    run = instance.create_run_for_job(
        erasure_job.erasure_job,
        run_config={"ops": {"erase": {"config": {"request": number, "dry_run": False}}}},
        tags={REQUEST: str(number), PLAN: str(agenda.look(Settings.load(), number).case.plan)},
        status=dg.DagsterRunStatus.STARTED,
    )
    instance.report_engine_event("at work", run)
    beside = tick(instance)
    assert not beside.run_requests and "a run is queued or at work" in str(beside.skip_reason)
    monkeypatch.setattr(attempts, "_SILENCE", dt.timedelta())
    monkeypatch.setattr(attempts, "PAUSES", (dt.timedelta(),))
    assert "is tried again after" in str(tick(instance).skip_reason)
    (request,) = tick(instance).run_requests or ()
    assert str(request.run_key).endswith("attempt 2")
    ended = instance.get_run_by_id(run.run_id)
    assert ended is not None and ended.status == dg.DagsterRunStatus.FAILURE


def test_deadlines_alert(desk: Desk, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch) -> None:
    late, soon = approved(desk), approved(desk)
    sent: list[str] = []
    monkeypatch.setattr(Alerts, "send", lambda _, subject, body: sent.append(f"{subject}: {body}"))

    def materialise() -> dg.ExecuteInProcessResult:
        return dg.materialize(
            [requests_asset()], instance=instance, resources={"alerts": Alerts()}, raise_on_error=False
        )

    quiet = materialise()
    assert quiet.success and sent == []
    with psycopg.connect(desk.found.pair.warehouse_admin, autocommit=True) as admin:
        for number, days in ((late, -2), (soon, 3)):
            admin.execute(
                "UPDATE platform.erasure_request SET due_at = now() + %s * interval '1 day' WHERE id = %s",
                (days, number),
            )
    result = materialise()
    assert not result.success
    assert f"overdue: request {late} (erasure, gdpr): 2 days late; approved" in str(result.all_events)
    assert sent == [f"requests of persons are due soon: request {soon} (erasure, gdpr): 2 days left; approved"]
    checks = {each.check_name: each for each in result.get_asset_check_evaluations()}
    assert (checks[NONE_OVERDUE].passed, checks[NONE_OVERDUE].severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert (checks[NONE_DUE_SOON].passed, checks[NONE_DUE_SOON].severity) == (False, dg.AssetCheckSeverity.WARN)
    (made,) = result.asset_materializations_for_node(keys.requests().to_python_identifier())
    assert (made.metadata["overdue"].value, made.metadata["due_soon"].value) == (1, 1)
    assert not [secret for secret in SECRETS if secret in str(result.all_events)]


def test_what_waits_for_backups_to_expire_is_ended_daily(
    desk: Desk, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Settings] = []
    monkeypatch.setattr(erasure, "settle_expired", asked.append)
    number = approved(desk)
    for times in (0, 1):
        result = dg.materialize([requests_asset()], instance=instance, resources={"alerts": Alerts()})
        assert result.success and len(asked) == times
        desk.bench.warehouse(
            f"UPDATE platform.erasure_request SET state = 'completed_pending_backup_expiry' WHERE id = {number}"
        )


def test_raw_tables_and_models_are_made_anew_in_runs_that_name_the_request(
    desk: Desk, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []

    def asset(key: dg.AssetKey, trouble: DrivetrainError | None = None) -> dg.AssetsDefinition:
        @dg.asset(key=key)
        def built(context) -> None:  # Dagster reads annotations, and these are texts
            made.append(key.path[-1])
            if trouble is not None:
                raise failures.failed(trouble, context.retry_number) from trouble

        return built

    raw, board = [keys.raw(desk.bench.name, table) for table in desk.bench.tables], keys.model("marts", "board")
    forgotten: list[Mapping[str, Scope]] = []
    monkeypatch.setattr("pipelines.erasing.forget_in_models", lambda _, scopes: forgotten.append(scopes) or {"m": 1})
    scopes = {desk.bench.name: Scope(desk.bench.name, frozenset({"3"}), {})}
    rebuild = rebuild_for(Settings.load(), 7, instance)
    for trouble in (None, ServerUnavailable("away"), RequestRefused("not today")):
        small = dg.Definitions(
            assets=[*map(asset, raw), asset(board, trouble)],
            jobs=[
                dg.define_asset_job("ingest", dg.AssetSelection.assets(*raw)),
                dg.define_asset_job("models", dg.AssetSelection.assets(board)),
            ],
        )
        monkeypatch.setitem(sys.modules, "pipelines.definitions", SimpleNamespace(defs=small))
        if trouble is None:
            assert rebuild(scopes) == {"m": 1}
            assert made == [*sorted(desk.bench.tables), "board"]
            continue
        with pytest.raises(DrivetrainError, match=f"could not be made anew: {trouble.message}") as caught:
            rebuild(scopes)
        assert caught.value.transient == trouble.transient
    assert forgotten == [scopes]
    jobs = [run.job_name for run in instance.get_runs(dg.RunsFilter(tags={REQUEST: "7"}))]
    assert sorted(jobs) == ["ingest"] * 3 + ["models"] * 3


def test_the_job_takes_its_turn_with_models_and_says_what_it_asks_for() -> None:
    fields = erasure_job.erase.config_schema.config_type.fields  # type: ignore[union-attr]
    assert set(fields) == {"request", "dry_run"} and all(field.description for field in fields.values())
    assert fields["dry_run"].default_value is True and fields["request"].is_required
    assert erasure_job.erase.pool == "warehouse"
