"""Run jobs of the code location in this process, with progress, into the instance that the UI shows."""

from __future__ import annotations

import datetime as dt
import logging
import os
import socket
import threading
import uuid
import warnings
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager, nullcontext, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from resources.dbt import project_digest
from resources.instance import enter_instance
from resources.settings import Settings
from warehouse import errors as domain
from warehouse.postgres.sessions import connect

if TYPE_CHECKING:
    import dagster as dg


# Which process executes a run, so that one that was killed can be told from one that works.
_PROCESS_TAG = "drivetrain/process"
# With which state of the dbt project a run was made.
_PROJECT_TAG = "drivetrain/dbt_project"


@dataclass
class RunSummary:
    """What a run did, for a person and for a script.

    Attributes:
        checks_passed, checks_failed, checks_warned: how many, and which with why.
        refused: assets of which a blocking check failed, so that nothing is built on them.
        failures: reason by step.
        may_pass: steps failed, and all of them for what may pass by itself: the same run may succeed later.
    """

    job: str
    run_id: str
    success: bool
    rows_written: int = 0
    materialized: list[str] = field(default_factory=list[str])
    checks_passed: int = 0
    checks_failed: list[str] = field(default_factory=list[str])
    refused: list[str] = field(default_factory=list[str])
    checks_warned: list[str] = field(default_factory=list[str])
    failures: dict[str, str] = field(default_factory=dict[str, str])
    may_pass: bool = False


@contextmanager
def platform(settings: Settings, progress: Callable[[str], None] | None = None) -> Generator[None]:
    """The embedded servers that the settings need, running for the block, and Dagster's instance entered."""
    with settings.embedded_servers(progress):
        # Dagster answers a storage that is away with a traceback; this says what is wrong.
        with connect(settings.dagster()):
            enter_instance(settings)
        yield


def run_job(
    name: str,
    *,
    tags: dict[str, str],
    keys: Iterable[Any] | None = None,
    checks: Iterable[Any] | None = None,
    config: dict[str, Any] | None = None,
    progress: Callable[[str, int, int], None] | None = None,
    within: dg.DagsterInstance | None = None,
) -> RunSummary:
    """Execute a job of the code location here and now.

    Args:
        name: the job.
        tags: of the run, e.g. the months.
        keys: asset keys to restrict it to.
        checks: keys of asset checks; then only these are run.
        config: of the run's ops.
        progress: called with (what ended, how many ended, how many in all) after each step.
        within: the open instance of a run that this one is a part of; of the settings if left out.
    """
    import dagster as dg

    warnings.filterwarnings("ignore", category=dg.BetaWarning)
    warnings.filterwarnings("ignore", category=DeprecationWarning)
    from pipelines.definitions import defs

    job = defs.resolve_job_def(name)
    if checks:
        job = job.get_subset(asset_check_selection=set(checks))
    run_id = str(uuid.uuid4())
    log_file = Settings.load().folder("logs") / f"{name}-{run_id[:8]}.log"
    with (
        nullcontext(within) if within is not None else _instance() as instance,
        log_file.open("w") as log,
        _logged("warehouse", log),
        redirect_stdout(log),
        redirect_stderr(log),
        _watching(instance, run_id, progress),
    ):
        # Dagster's storage connects anew for every query unless told that its process is long-lived, as this one is.
        instance.optimize_for_webserver(statement_timeout=60_000, pool_recycle=600, max_overflow=10)
        _end_orphans(instance)
        result = job.execute_in_process(
            instance=instance,
            run_id=run_id,
            tags={**tags, _PROCESS_TAG: _this_process(), _PROJECT_TAG: project_digest()},
            asset_selection=list(keys) if keys is not None else None,
            raise_on_error=False,
            run_config={**(config or {}), "loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        )
        if any(_interrupted(event) for event in result.all_events):
            if (run := instance.get_run_by_id(run_id)) is not None:
                instance.report_run_canceled(run, message="Interrupted by Ctrl-C. Run it again: it resumes.")
            raise KeyboardInterrupt
    return _summary(name, result)


def _instance() -> dg.DagsterInstance:
    """The instance that the UI shows, without its capture of what steps print: that goes to the command's own log file.

    The capture starts a process for each step, and these print tracebacks at Ctrl-C.
    """
    import dagster as dg
    from dagster._core.instance.ref import InstanceRef

    quiet = {"module": "dagster._core.storage.noop_compute_log_manager", "class": "NoOpComputeLogManager"}
    return dg.DagsterInstance.from_ref(
        InstanceRef.from_dir(os.environ["DAGSTER_HOME"], overrides={"compute_logs": quiet})
    )


def _interrupted(event: dg.DagsterEvent) -> bool:
    """Whether Ctrl-C ended a step: Dagster catches the signal while a run is executed."""
    if event.event_type_value != "STEP_FAILURE":
        return False
    error = event.step_failure_data.error
    while error is not None:
        if error.cls_name in ("DagsterExecutionInterruptedError", "KeyboardInterrupt"):
            return True
        error = error.cause
    return False


def rules_behind(name: str, keys: Iterable[Any]) -> set[Any]:
    """Keys of a job's checks on the raw tables from which assets are made.

    Args:
        name: the job.
        keys: the assets.
    """
    import dagster as dg

    from assets.keys import is_raw
    from pipelines.definitions import defs

    behind = dg.AssetSelection.assets(*keys).upstream().resolve(defs.resolve_asset_graph())
    checks = defs.resolve_job_def(name).asset_layer.asset_graph.asset_check_keys
    return {check for check in checks if check.asset_key in behind and is_raw(check.asset_key)}


def made_from(name: str, raw: Iterable[Any]) -> set[Any]:
    """A job's assets that stand on raw tables, over however many others.

    Args:
        name: the job.
        raw: keys of the tables.
    """
    import dagster as dg

    from pipelines.definitions import defs

    below = dg.AssetSelection.assets(*raw).downstream(include_self=False).resolve(defs.resolve_asset_graph())
    return set(below & defs.resolve_job_def(name).asset_layer.asset_graph.materializable_asset_keys)


def models_left(name: str, summary: RunSummary) -> set[Any]:
    """Models that a failed run of a job did not make, though they stand on nothing that failed.

    The daemon's sensor finds them for runs that it started itself.
    """
    import dagster as dg

    from pipelines.definitions import defs
    from sensors.failures import models_beside

    planned = defs.resolve_job_def(name).asset_layer.asset_graph.materializable_asset_keys
    made = {dg.AssetKey.from_user_string(key) for key in summary.materialized}
    refused = {dg.AssetKey.from_user_string(key) for key in summary.refused}
    return models_beside(defs.resolve_asset_graph(), planned, made, refused)


def raw_systems(name: str) -> set[str]:
    """Systems of which a job ingests anything."""
    from assets.keys import RAW, is_raw
    from pipelines.definitions import defs

    keys = defs.resolve_job_def(name).asset_layer.asset_graph.materializable_asset_keys
    return {key.path[0].removeprefix(RAW) for key in keys if is_raw(key)}


@contextmanager
def _logged(logger: str, stream: TextIO) -> Generator[None]:
    """Write what the domain logs (each load, and why) to a stream for the block."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    target = logging.getLogger(logger)
    target.addHandler(handler)
    target.setLevel(logging.INFO)
    try:
        yield
    finally:
        target.removeHandler(handler)


def _this_process() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"


def _end_orphans(instance: dg.DagsterInstance) -> None:
    """Mark runs of this machine's command line as failed whose process was killed: nobody else would ever end them."""
    import dagster as dg

    active = dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.STARTING])
    for run in instance.get_runs(active):
        host, _, process = run.tags.get(_PROCESS_TAG, "").rpartition(":")
        if host == socket.gethostname() and not Path(f"/proc/{process}").exists() and Path("/proc/self").exists():
            instance.report_run_failed(run, "The command that executed this run was killed. Run it again: it resumes.")


@contextmanager
def _watching(
    instance: dg.DagsterInstance, run_id: str, tell: Callable[[str, int, int], None] | None
) -> Generator[None]:
    """Report the run's progress twice a second from what the instance records, while the block runs."""
    if tell is None:
        yield
        return
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(0.5):
            steps = instance.get_run_step_stats(run_id)
            run = instance.get_run_by_id(run_id)
            if run is None or run.execution_plan_snapshot_id is None:
                continue
            plan = instance.get_execution_plan_snapshot(run.execution_plan_snapshot_id)
            done = sum(step.status is not None and step.status.value in ("SUCCESS", "FAILURE") for step in steps)
            active = [step.step_key for step in steps if step.status is not None and step.status.value == "IN_PROGRESS"]
            doing = active[0].replace("__", ".", 1) if active else "starting"
            tell(doing, done, len(plan.step_keys_to_execute))

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join()


def models_built_today(settings: Settings) -> str | None:
    """The last run that built all models, if they need not be built again.

    That is: the dbt project is the same, no run has brought a row into the warehouse since, and it was today (UTC),
    because some models look at the date.
    """
    import dagster as dg

    from pipelines.jobs import MODELS

    with connect(settings.warehouse(), read_only=True) as connection:
        row = connection.execute(
            "SELECT extract(epoch FROM max(committed_at)) FROM platform.load WHERE run_id IS NOT NULL"
        ).fetchone()
    last_load = float(row[0]) if row and row[0] is not None else 0.0
    with dg.DagsterInstance.get() as instance:
        records = instance.get_run_records(
            dg.RunsFilter(
                job_name=MODELS, statuses=[dg.DagsterRunStatus.SUCCESS], tags={_PROJECT_TAG: project_digest()}
            ),
            limit=1,
        )
    if not records or (records[0].start_time or 0) < last_load:
        return None
    started = dt.datetime.fromtimestamp(records[0].start_time or 0, dt.UTC)
    return records[0].dagster_run.run_id if started.date() == dt.datetime.now(dt.UTC).date() else None


def _summary(job: str, result: dg.ExecuteInProcessResult) -> RunSummary:
    summary = RunSummary(job, result.run_id, result.success)
    seen: set[str] = set()
    passing: list[bool] = []
    for event in result.all_events:
        match event.event_type_value:
            case "ASSET_MATERIALIZATION":
                materialization = event.step_materialization_data.materialization
                key = materialization.asset_key.to_user_string()
                if key not in seen:
                    seen.add(key)
                    summary.materialized.append(key)
                    rows = materialization.metadata.get("rows_written")
                    summary.rows_written += int(str(rows.value)) if rows is not None else 0
            case "ASSET_CHECK_EVALUATION":
                check = event.asset_check_evaluation_data
                if check.passed:
                    summary.checks_passed += 1
                else:
                    warns = check.severity.value == "WARN"
                    told = summary.checks_warned if warns else summary.checks_failed
                    if check.blocking and not warns:
                        summary.refused.append(check.asset_key.to_user_string())
                    why = f": {check.description}" if check.description else ""
                    told.append(f"{check.asset_key.to_user_string()}: {check.check_name}{why}")
            case "STEP_FAILURE":
                failure = event.step_failure_data
                said = failure.user_failure_data.description if failure.user_failure_data else None
                summary.failures[event.step_key or ""] = said or _last_cause(failure.error)
                passing.append(_may_pass(failure.error))
            case _:
                pass
    summary.may_pass = bool(passing) and all(passing)
    return summary


def _innermost(error: Any) -> Any:
    while error is not None and error.cause is not None:
        error = error.cause
    return error


def _may_pass(error: Any) -> bool:
    known = getattr(domain, str(getattr(_innermost(error), "cls_name", "")), None)
    return isinstance(known, type) and issubclass(known, domain.DrivetrainError) and known.transient


def _last_cause(error: Any) -> str:
    """The innermost error's own words, without its class and stack."""
    error = _innermost(error)
    if error is None:
        return "failed"
    said, name = str(error.message).strip(), str(error.cls_name or "")
    return said.partition(f"{name}: ")[2] or said if name else said
