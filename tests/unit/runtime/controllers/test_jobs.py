"""Jobs and CronJobs: what is counted, what follows, and when."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from capim.api.meta import format_time
from capim.api.workload import Simulation
from capim.runtime.controllers.cron import Schedule
from capim.runtime.resourcegroup import DeleteOptions
from tests.support.workloads import CONTAINER, Workloads

if TYPE_CHECKING:
    from capim.api.meta import JsonObject

NEVER = {"containers": [CONTAINER], "restartPolicy": "Never"}


def cluster(simulation: Simulation = Simulation.PODS) -> Workloads:
    made = Workloads(simulation)
    made.node("node-a")
    return made


def start(world: Workloads, name: str = "work", pod: JsonObject | None = None, **spec: Any) -> None:
    body = {"metadata": {"name": name}, "spec": {"template": {"spec": NEVER | (pod or {})}} | spec}
    world.create("jobs", "default", body)


def ended(world: Workloads, name: str = "work") -> list[tuple[str, str]]:
    conditions = world.get("jobs", name)["status"].get("conditions") or []
    return [(one["type"], one["reason"]) for one in conditions if one["status"] == "True"]


def fail(world: Workloads) -> None:
    """Let every active pod fail, as its kubelet would say."""
    for pod in world.all("pods"):
        if pod["status"]["phase"] == "Pending":
            status = {"status": pod["status"] | {"phase": "Failed"}}
            name = pod["metadata"]["name"]
            world.group.update(
                world.resource("pods"), "default", name, pod | status, subresource="status"
            )
    world.settle()


def test_a_job_runs_and_completes() -> None:
    world = cluster()
    start(world, completions=3, parallelism=2)
    status = world.get("jobs", "work")["status"]
    assert (status["active"], status["ready"]) == (2, 2)
    world.later(3)
    status = world.get("jobs", "work")["status"]
    assert ended(world) == [
        ("SuccessCriteriaMet", "CompletionsReached"),
        ("Complete", "CompletionsReached"),
    ]
    assert status["succeeded"] == 3
    assert "active" not in status
    assert {pod["status"]["phase"] for pod in world.all("pods")} == {"Succeeded"}
    assert not any("finalizers" in pod["metadata"] for pod in world.all("pods"))
    world.delete("jobs", "work")
    assert len(world.all("pods")) == 3


@pytest.mark.parametrize("policy", ["Background", "Orphan", None])
def test_pods_of_a_job_that_is_gone_are_free_to_go(policy: Any) -> None:
    world = cluster()
    start(world, pod={"schedulerName": "nobody"})
    options = DeleteOptions(propagation=policy)
    world.group.delete(world.resource("jobs"), "default", "work", options)
    world.settle()
    assert world.names("jobs") == []
    assert len(world.all("pods")) == (0 if policy == "Background" else 1)
    assert not any("finalizers" in pod["metadata"] for pod in world.all("pods"))


def test_an_indexed_job_says_which_are_done() -> None:
    world = cluster()
    start(world, completions=4, parallelism=4, completionMode="Indexed")
    hosts = sorted(pod["spec"]["hostname"] for pod in world.all("pods"))
    assert hosts == ["work-0", "work-1", "work-2", "work-3"]
    world.later(2)
    assert world.get("jobs", "work")["status"]["completedIndexes"] == "0-3"


def test_a_job_whose_pods_fail_too_often_has_failed() -> None:
    world = cluster()
    start(world, pod={"schedulerName": "nobody"}, backoffLimit=1)
    fail(world)
    assert ended(world) == []
    fail(world)
    assert ended(world)[-1] == ("Failed", "BackoffLimitExceeded")
    assert world.get("jobs", "work")["status"]["failed"] == 2


def test_a_job_that_takes_too_long_has_failed() -> None:
    world = cluster()
    start(world, pod={"schedulerName": "nobody"}, activeDeadlineSeconds=30)
    world.later(31)
    assert ended(world)[-1] == ("Failed", "DeadlineExceeded")
    assert world.all("pods") == []


def test_a_suspended_job_runs_nothing_until_it_is_resumed() -> None:
    world = cluster()
    start(world, suspend=True)
    assert world.all("pods") == []
    assert ended(world) == [("Suspended", "JobSuspended")]
    world.change("jobs", "work", suspend=False)
    world.later(2)
    assert ("Complete", "CompletionsReached") in ended(world)


def test_a_job_goes_when_its_time_is_over() -> None:
    world = cluster()
    start(world, ttlSecondsAfterFinished=60)
    world.later(10)
    assert world.names("jobs") == ["work"]
    world.later(60)
    assert world.names("jobs") == []


def test_status_alone_completes_at_once() -> None:
    world = cluster(Simulation.STATUS)
    start(world, completions=2)
    assert ended(world)[-1] == ("Complete", "CompletionsReached")


def test_a_cron_job_starts_a_job_each_time_and_keeps_a_few() -> None:
    world = cluster()
    spec = {"schedule": "*/5 * * * *", "jobTemplate": {"spec": {"template": {"spec": NEVER}}}}
    world.create("cronjobs", "default", {"metadata": {"name": "tick"}, "spec": spec})
    assert world.names("jobs") == []
    world.later(300)
    (name,) = world.names("jobs")
    assert name == f"tick-{int(world.clock()) // 60 // 5 * 5}"
    world.later(1500)
    assert len(world.names("jobs")) == 3
    status = world.get("cronjobs", "tick")["status"]
    assert status["lastSuccessfulTime"] > status["lastScheduleTime"]
    assert "active" not in status
    world.change("cronjobs", "tick", suspend=True)
    before = world.names("jobs")
    world.later(600)
    assert world.names("jobs") == before


@pytest.mark.parametrize(
    ("policy", "jobs"),
    [pytest.param("Forbid", 1, id="forbid"), pytest.param("Allow", 3, id="allow")],
)
def test_a_cron_job_that_runs_still(policy: str, jobs: int) -> None:
    world = cluster()
    template = {"spec": {"template": {"spec": NEVER | {"schedulerName": "nobody"}}}}
    spec = {"schedule": "* * * * *", "concurrencyPolicy": policy, "jobTemplate": template}
    world.create("cronjobs", "default", {"metadata": {"name": "tick"}, "spec": spec})
    world.later(185)
    assert len(world.names("jobs")) == jobs


@pytest.mark.parametrize(
    ("schedule", "zone", "expected"),
    [
        pytest.param("@hourly", "", "2023-11-14T23:00:00Z", id="macro"),
        pytest.param("*/15 * * * *", "", "2023-11-14T22:15:00Z", id="step"),
        pytest.param("30 8-10 * * mon-fri", "", "2023-11-15T08:30:00Z", id="names"),
        pytest.param("0 0 1 jan *", "", "2024-01-01T00:00:00Z", id="month"),
        pytest.param("0 0 29 2 *", "", "2024-02-29T00:00:00Z", id="leap day"),
        pytest.param("0 0 13 * 5", "", "2023-11-17T00:00:00Z", id="either day"),
        pytest.param("0 9 * * 7", "Europe/Berlin", "2023-11-19T08:00:00Z", id="zone"),
    ],
)
def test_the_next_time_of_a_schedule(schedule: str, zone: str, expected: str) -> None:
    after = Schedule.parse(schedule, zone).next_after(1_700_000_000.0)
    assert after is not None
    assert format_time(after) == expected


@pytest.mark.parametrize("schedule", ["", "* * * *", "61 * * * *", "*/0 * * * *", "x * * * *"])
def test_what_is_no_schedule(schedule: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        Schedule.parse(schedule)


def test_a_day_no_year_has_never_comes() -> None:
    assert Schedule.parse("0 0 31 2 *").next_after(1_700_000_000.0) is None
