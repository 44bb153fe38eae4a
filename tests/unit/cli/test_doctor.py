"""`capim doctor`: what each check makes of what it finds, and that every fault comes with a fix."""

from __future__ import annotations

import asyncio
import copy
import json
from typing import TYPE_CHECKING, Any

import pytest

from capim import __version__
from capim.aio.descriptors import Capacity
from capim.api import infrastructure as infra
from capim.api.errors import APIError
from capim.cli import doctor
from capim.cli.commandline import DocumentForm, Where
from capim.cli.examination import (
    clock_finding,
    controller_finding,
    definition_finding,
    examine,
    lease_findings,
    manager_findings,
    webhook_findings,
)
from capim.cli.findings import Finding, Level, summary
from capim.cli.hostchecks import files_finding, ports_finding
from capim.cli.rightschecks import manager_rights_finding, rights_findings
from coordinator.rights import CLUSTER_RIGHTS, OWN_RIGHTS
from tests.support.management import condition, world

if TYPE_CHECKING:
    from pathlib import Path

    from capim.api.gvk import GVR
    from capim.api.meta import JsonObject
    from capim.cli.management import Management


def level(finding: Finding) -> str:
    """Return a finding's level; what is wrong must say what to do, what is right has nothing to say."""
    assert bool(finding.fix) is (finding.level in {Level.WARNING, Level.ERROR}), finding
    return str(finding.level)


@pytest.mark.parametrize(
    ("skew_s", "expected"),
    [
        pytest.param(None, "note", id="unknown"),
        pytest.param(1.0, "ok", id="agrees"),
        pytest.param(5.0, "warning", id="drifts"),
        pytest.param(3600.0, "error", id="wrong"),
    ],
)
def test_clock(skew_s: float | None, expected: str) -> None:
    assert level(clock_finding(skew_s)) == expected


@pytest.mark.parametrize(
    ("descriptors", "expected"), [pytest.param(256, "warning"), pytest.param(65536, "ok")]
)
def test_open_files(descriptors: int, expected: str) -> None:
    assert level(files_finding(Capacity(descriptors))) == expected


@pytest.mark.parametrize(
    ("ephemeral", "reserved", "expected"),
    [
        pytest.param("32768\t60999\n", "", "ok", id="apart"),
        pytest.param("1024\t65535\n", "\n", "warning", id="overlap"),
        pytest.param("1024\t65535\n", "8080,20000-24000\n", "ok", id="reserved"),
        pytest.param("", "", "note", id="no-linux"),
    ],
)
def test_ports(ephemeral: str, reserved: str, expected: str) -> None:
    assert level(ports_finding(ephemeral, reserved)) == expected


def installed(crd: JsonObject) -> JsonObject:
    return {**copy.deepcopy(crd), "status": {"conditions": [condition("Established")]}}


def test_a_definition_of_this_version_is_well() -> None:
    assert [level(definition_finding(crd, installed(crd))) for crd in infra.crds()] == ["ok"] * len(
        infra.KINDS
    )


def test_a_definition_that_is_not_ours_as_it_should_be() -> None:
    wanted, *_ = infra.crds()
    other, unlabelled, pending = installed(wanted), installed(wanted), installed(wanted)
    other["spec"]["versions"][0]["schema"]["openAPIV3Schema"] = {"type": "object"}
    unlabelled["metadata"]["labels"] = {}
    pending["status"]["conditions"] = [condition("Established", "False", message="names conflict")]
    said = [definition_finding(wanted, it) for it in (None, unlabelled, pending, other)]
    assert [level(finding) for finding in said] == ["error", "error", "error", "warning"]
    assert "names conflict" in said[2].message


def deployment(available: int) -> JsonObject:
    containers = [{"image": "localhost/capim-manager:dev"}]
    return {
        "metadata": {"name": "capim-controller-manager", "namespace": "capim-system"},
        "spec": {"replicas": 1, "template": {"spec": {"containers": containers}}},
        "status": {"availableReplicas": available},
    }


def test_controllers() -> None:
    assert level(controller_finding(deployment(1))) == "ok"
    down = controller_finding(deployment(0))
    assert level(down) == "error"
    assert down.message.startswith("capim-system/capim-controller-manager: 0 of 1 available")


def test_webhooks_without_an_authority() -> None:
    rules = [{"resources": ["inmemoryclusters"]}]
    hook: JsonObject = {"name": "h", "rules": rules, "clientConfig": {"caBundle": "Yg=="}}
    bare: JsonObject = {**hook, "clientConfig": {}}
    foreign: JsonObject = {**bare, "rules": [{"resources": ["pods"]}]}

    def levels(*hooks: JsonObject) -> list[str]:
        configuration = {"metadata": {"name": "c"}, "webhooks": list(hooks)}
        return [level(finding) for finding in webhook_findings([configuration])]

    assert levels(hook) == ["ok"]
    assert levels(hook, bare) == ["error"]
    assert levels(foreign) == []


def test_the_manager_and_its_shards() -> None:
    def levels(version: str, *workers: JsonObject) -> list[str]:
        answer = {"manager": {"version": version}, "workers": list(workers)}
        return [level(finding) for finding in manager_findings(answer)]

    well = {"name": "w", "ready": True, "clusters": 3, "clusterLimit": 100}
    assert levels(__version__, well) == ["ok", "ok"]
    assert levels("0.0.0", {**well, "clusters": 101}) == ["warning", "warning"]
    assert levels(__version__, {"name": "w", "ready": False}) == ["ok", "error"]


def test_the_lease() -> None:
    spec = {"holderIdentity": "pod_1", "renewTime": "2026-01-01T00:00:00.000000Z"}
    renewed = 1767225600.0
    assert [level(it) for it in lease_findings({"spec": spec}, renewed + 10)] == ["ok"]
    assert [level(it) for it in lease_findings({"spec": spec}, renewed + 100)] == ["error"]
    assert lease_findings({"spec": {}}, renewed) == []


def test_rights_of_the_manager() -> None:
    assert level(manager_rights_finding("a", [])) == "ok"
    missing = manager_rights_finding("a", ["watch secrets", "get leases"])
    assert level(missing) == "error"
    assert missing.message == "a may not get leases, watch secrets"


class Judge:
    """A server that knows an account and refuses what it is told to."""

    def __init__(self, account: bool, refused: tuple[str, str]) -> None:
        self.account = account
        self.refused = refused
        self.asked: list[JsonObject] = []

    async def get(self, gvr: GVR, namespace: str, name: str) -> JsonObject:
        del gvr, namespace, name
        if not self.account:
            raise APIError("NotFound", 404, "no such account")
        return {}

    async def create(self, gvr: GVR, namespace: str, body: JsonObject) -> JsonObject:
        del gvr, namespace
        self.asked.append(body)
        asked = body["spec"]["resourceAttributes"]
        return {"status": {"allowed": (asked["verb"], asked["resource"]) != self.refused}}


def examined(judge: Judge) -> list[Finding]:
    management: Any = type("M", (), {"client": judge, "namespace": "default"})()
    told: Management = management
    return asyncio.run(rights_findings(told, "capim-system"))


def test_the_account_of_the_pod_is_asked_about_and_who_asks() -> None:
    judge = Judge(account=True, refused=("watch", "secrets"))
    findings = examined(judge)
    assert [level(it) for it in findings] == ["error", "ok"]
    assert "system:serviceaccount:capim-system:capim-manager may not watch secrets" in (
        findings[0].message
    )
    verbs = sum(len(right.verbs) for right in (*CLUSTER_RIGHTS, *OWN_RIGHTS))
    assert sum("user" in body["spec"] for body in judge.asked) == verbs


def test_without_an_account_the_manager_is_who_asks() -> None:
    judge = Judge(account=False, refused=("create", "pods"))
    findings = examined(judge)
    assert [level(it) for it in findings] == ["ok", "warning"]
    assert "capim kubeconfig" in findings[1].message
    assert all("user" not in body["spec"] for body in judge.asked)


def test_an_embedded_cluster_is_well_as_far_as_it_has_what_is_looked_for(tmp_path: Path) -> None:
    async def scenario() -> list[Finding]:
        async with world(tmp_path) as made:
            made.cluster("one")
            return await examine(made.where)

    found = {finding.area: level(finding) for finding in asyncio.run(scenario())}
    # what the machine of the test has is not ours to say
    assert {area: found[area] for area in found if area not in {"limits", "ports"}} == {
        "machine": "ok",
        "server": "ok",
        "clock": "ok",
        "definitions": "note",
        "cluster-api": "ok",
        "controllers": "note",
        "webhooks": "note",
        "rights": "note",
        "manager": "ok",
        "shards": "error",  # the workers are no real ones, and say nothing of themselves
        "objects": "ok",
    }


def test_a_server_that_is_not_there_ends_it_with_an_error(tmp_path: Path) -> None:
    async def scenario() -> list[Finding]:
        async with world(tmp_path) as made:
            pass
        return await examine(made.where)

    *_, last = asyncio.run(scenario())
    assert (last.area, level(last)) == ("server", "error")


def shown(
    capsys: pytest.CaptureFixture[str], findings: list[Finding], form: DocumentForm
) -> tuple[int, str]:
    async def found(where: Where) -> list[Finding]:
        del where
        return findings

    code = asyncio.run(doctor._run(Where(), form, found))
    return code, capsys.readouterr().out


BAD = Finding("ports", Level.ERROR, "taken", "free them")
GOOD = Finding("server", Level.OK, "v1.35.4")


def test_findings_are_lines_with_their_fix_and_an_error_is_the_code(
    capsys: pytest.CaptureFixture[str],
) -> None:
    code, out = shown(capsys, [GOOD, BAD], DocumentForm.TEXT)
    assert code == 1
    assert out.splitlines() == [
        "ok       server       v1.35.4",
        "error    ports        taken",
        "                      -> free them",
        "2 checks: 1 error",
    ]
    assert shown(capsys, [GOOD], DocumentForm.TEXT)[0] == 0


def test_findings_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    _, out = shown(capsys, [BAD], DocumentForm.JSON)
    assert json.loads(out)["findings"] == [
        {"area": "ports", "level": "error", "message": "taken", "fix": "free them"}
    ]


def test_a_summary_counts_what_is_wrong() -> None:
    warning = Finding("a", Level.WARNING, "b", "c")
    assert summary([BAD, warning, warning]) == "3 checks: 1 error, 2 warnings"
    assert summary([GOOD]) == "1 check: nothing is wrong"
