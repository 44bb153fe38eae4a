"""What `capim doctor` looks at. Each check returns its findings; one that cannot look says so and why."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from capim import __version__
from capim.aio.clock import wall_clock
from capim.aio.descriptors import raise_limit
from capim.api import infrastructure as infra
from capim.api.errors import APIError
from capim.api.gvk import GVR
from capim.api.meta import get_condition, parse_time
from capim.cli import installation, rows
from capim.cli.commandline import CommandError, Where
from capim.cli.findings import Finding, Level
from capim.cli.hostchecks import machine_findings
from capim.cli.management import Management, connected, find
from capim.cli.rightschecks import rights_findings
from coordinator.controllers.gates import CLUSTER_API_GROUP
from coordinator.controllers.objects import (
    CLUSTER_API_VERSIONS,
    INFRA_CLUSTERS,
    INFRA_MACHINES,
    cluster_api_version,
)
from coordinator.kube.leader import get_lease

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from capim.api.meta import JsonObject

_DEFINITIONS: Final = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
_ADMISSION: Final = "/apis/admissionregistration.k8s.io/v1"
_DEPLOYMENTS: Final = GVR("apps", "v1", "deployments")
#: whose definitions Cluster API's controllers need beside the core's
_KUBEADM: Final = (
    "kubeadmcontrolplanes.controlplane.cluster.x-k8s.io",
    "kubeadmconfigs.bootstrap.cluster.x-k8s.io",
)
#: certificates that were made by one clock are not yet valid by another
_SKEW_WARNING_S: Final = 5.0
_SKEW_ERROR_S: Final = 60.0
#: a Lease's holder renews it every few seconds
_LEASE_AGE_S: Final = 60.0
#: an installation takes some of these from its manifests, and all by one way
_REINSTALL: Final = (
    "install the components of this version: clusterctl upgrade apply, or kubectl apply -k"
    " deploy/overlays/single"
)
#: problems of objects that are spelled out
_SHOWN: Final = 10


@dataclass(frozen=True, slots=True)
class Patient:
    """What is examined."""

    management: Management
    where: Where

    async def get(self, path: str) -> JsonObject | None:
        """Read a path; None for what is not there."""
        return await find(self.management, path)


async def examine(where: Where) -> list[Finding]:
    """Look at everything, the machine first."""
    found = machine_findings(raise_limit())
    async with connected(where) as management:
        patient = Patient(management, where)
        try:
            found += await _server(patient)
        except APIError as error:
            fix = "start it, or name another by --kubeconfig or --context"
            return [*found, Finding("server", Level.ERROR, error.message, fix)]
        groups = await asyncio.gather(*(_safely(area, check, patient) for area, check in _CHECKS))
    return [*found, *(finding for group in groups for finding in group)]


async def _safely(
    area: str, check: Callable[[Patient], Awaitable[list[Finding]]], patient: Patient
) -> list[Finding]:
    try:
        return await check(patient)
    except APIError as error:
        if error.code == 404:
            return [Finding(area, Level.NOTE, "not looked at: this server has no such kind")]
        fix = "ask for the right to look, or run this as somebody who has it"
        return [Finding(area, Level.WARNING, f"not looked at: {error.message}", fix)]


# --- the server ---


async def _server(patient: Patient) -> list[Finding]:
    management = patient.management
    before = wall_clock()
    version, told = await management.client.get_dated("/version")
    after = wall_clock()
    name = f"{version.get('gitVersion', 'unknown')} at {management.url}"
    return [
        Finding("server", Level.OK, name),
        # the header has whole seconds: what is within them is no skew
        clock_finding(max(before - told - 1, told - after, 0.0) if told else None),
    ]


def clock_finding(skew_s: float | None) -> Finding:
    """Judge by how much the server's clock is away from ours; None: it does not say."""
    if skew_s is None:
        return Finding("clock", Level.NOTE, "the server does not say its time")
    message = f"differs by {skew_s:.0f} s from the server's"
    if skew_s < _SKEW_WARNING_S:
        return Finding("clock", Level.OK, "agrees with the server's")
    level = Level.ERROR if skew_s >= _SKEW_ERROR_S else Level.WARNING
    fix = "set both by NTP: certificates are valid from the time of who makes them"
    return Finding("clock", level, message, fix)


# --- definitions ---


async def _definitions(patient: Patient) -> list[Finding]:
    if await patient.get(_DEFINITIONS + "?limit=1") is None:
        raise APIError("NotFound", 404, "no definitions")
    wanted = infra.crds()
    present = await asyncio.gather(
        *(patient.get(f"{_DEFINITIONS}/{crd['metadata']['name']}") for crd in wanted)
    )
    return [definition_finding(*pair) for pair in zip(wanted, present, strict=True)]


def definition_finding(wanted: JsonObject, present: JsonObject | None) -> Finding:
    """Judge one of our CustomResourceDefinitions."""
    name = wanted["metadata"]["name"]
    if present is None:
        return Finding("definitions", Level.ERROR, f"{name} is missing", _REINSTALL)
    established = get_condition(present, "Established") or {}
    if established.get("status") != "True":
        said = established.get("message", "no word why")
        fix = f"see: kubectl describe crd {name}"
        return Finding("definitions", Level.ERROR, f"{name} is not established: {said}", fix)
    labels = present["metadata"].get("labels") or {}
    if not wanted["metadata"]["labels"].items() <= labels.items():
        message = f"{name} lacks the labels of the contracts: Cluster API will not take it"
        return Finding("definitions", Level.ERROR, message, _REINSTALL)
    if _fields(wanted) != _fields(present):
        message = f"{name} is of another version of CAPIM than this command, {__version__}"
        return Finding("definitions", Level.WARNING, message, _REINSTALL)
    return Finding("definitions", Level.OK, name)


def _fields(crd: JsonObject) -> Any:
    """Return what objects may have, by version; other parts of a definition are defaulted."""
    return {
        version["name"]: (version.get("schema") or {}).get("openAPIV3Schema")
        for version in crd["spec"]["versions"]
    }


async def _cluster_api(patient: Patient) -> list[Finding]:
    version = await cluster_api_version(patient.management.client)
    if version is None:
        fix = f"install one of {', '.join(CLUSTER_API_VERSIONS)}: clusterctl init"
        return [Finding("cluster-api", Level.ERROR, "Cluster API is not installed", fix)]
    found = [Finding("cluster-api", Level.OK, f"{CLUSTER_API_GROUP}/{version}")]
    names = _KUBEADM if await patient.get(_DEFINITIONS + "?limit=1") is not None else ()
    for name in names:
        if await patient.get(f"{_DEFINITIONS}/{name}") is None:
            fix = "clusterctl init --bootstrap kubeadm --control-plane kubeadm"
            found.append(Finding("cluster-api", Level.ERROR, f"{name} is missing", fix))
    return found


async def _controllers(patient: Patient) -> list[Finding]:
    listed = await patient.management.client.list(_DEPLOYMENTS, labels="cluster.x-k8s.io/provider")
    if not listed.items:
        return [
            Finding(
                "controllers", Level.NOTE, "no Deployments: its controllers run outside of pods"
            )
        ]
    return [controller_finding(item) for item in sorted(listed.items, key=rows.name)]


def controller_finding(deployment: JsonObject) -> Finding:
    """Judge the Deployment of a provider, ours or Cluster API's."""
    wanted = (deployment.get("spec") or {}).get("replicas", 1)
    available = (deployment.get("status") or {}).get("availableReplicas", 0)
    images = {it["image"] for it in deployment["spec"]["template"]["spec"]["containers"]}
    message = f"{rows.name(deployment)}: {available} of {wanted} available ({', '.join(images)})"
    if available >= wanted > 0:
        return Finding("controllers", Level.OK, message)
    namespace, name = rows.name(deployment)
    fix = f"see why: kubectl describe deployment -n {namespace} {name}"
    return Finding("controllers", Level.ERROR, message, fix)


# --- webhooks ---


async def _webhooks(patient: Patient) -> list[Finding]:
    found: list[Finding] = []
    for plural in ("mutatingwebhookconfigurations", "validatingwebhookconfigurations"):
        listed = await patient.get(f"{_ADMISSION}/{plural}")
        if listed is None:
            raise APIError("NotFound", 404, "no webhooks")
        found += webhook_findings(listed.get("items") or ())
    note = "there are none of ours: bad input is found when it is reconciled"
    return found or [Finding("webhooks", Level.NOTE, note)]


def webhook_findings(configurations: Iterable[JsonObject]) -> list[Finding]:
    """Judge those of ours: without an authority to trust, an API server refuses every write."""
    found: list[Finding] = []
    for configuration in configurations:
        ours = [hook for hook in configuration.get("webhooks") or () if _is_ours(hook)]
        name = configuration["metadata"]["name"]
        bare = [hook["name"] for hook in ours if not hook["clientConfig"].get("caBundle")]
        if bare:
            fix = (
                "cert-manager writes it: see that its pods run (kubectl get pods -n cert-manager), or"
                " install deploy/overlays/development, which has no webhooks"
            )
            message = f"{name} has no caBundle for {', '.join(bare)}"
            found.append(Finding("webhooks", Level.ERROR, message, fix))
        elif ours:
            found.append(Finding("webhooks", Level.OK, name))
    return found


def _is_ours(hook: JsonObject) -> bool:
    ours = {kind.plural for kind in infra.KINDS.values()}
    return any(ours & set(rule.get("resources") or ()) for rule in hook.get("rules") or ())


# --- the manager and what it holds ---


async def _manager(patient: Patient) -> list[Finding]:
    try:
        answer = await installation.ask(patient.management, patient.where, "/shards")
    except CommandError as error:
        fix = "start it, or see why it does not run: `capim logs`"
        return [Finding("manager", Level.ERROR, str(error), fix), *await _lease(patient)]
    return [*manager_findings(answer), *await _lease(patient)]


def manager_findings(answer: JsonObject) -> list[Finding]:
    """Judge the manager and its shards by what they say of themselves."""
    version = answer["manager"]["version"]
    if version == __version__:
        found = [Finding("manager", Level.OK, f"version {version} answers")]
    else:
        message = f"version {version} answers; this command is of {__version__}"
        fix = "use the command of the installed version"
        found = [Finding("manager", Level.WARNING, message, fix)]
    return found + [_shard_finding(worker) for worker in answer["workers"]]


def _shard_finding(worker: JsonObject) -> Finding:
    name, clusters = worker["name"], worker.get("clusters")
    if not worker["ready"] or clusters is None:
        fix = "see why: `capim logs`; a worker of another host must be started there"
        return Finding("shards", Level.ERROR, f"{name} is not ready", fix)
    limit = worker.get("clusterLimit")
    message = f"{name} holds {clusters} clusters" + (f" of about {limit}" if limit else "")
    if limit and clusters > limit:
        fix = "raise its limit of open files (ulimit -Hn), or run more workers"
        return Finding("shards", Level.WARNING, f"{message}, which its open files allow", fix)
    return Finding("shards", Level.OK, message)


async def _lease(patient: Patient) -> list[Finding]:
    lease = await get_lease(patient.management.client, patient.where.installation_namespace)
    return [] if lease is None else lease_findings(lease, wall_clock())


def lease_findings(lease: JsonObject, now: float) -> list[Finding]:
    """Judge the leader election; nothing to say where nobody elects."""
    spec = lease.get("spec") or {}
    if not (holder := spec.get("holderIdentity")):
        return []
    age_s = now - parse_time(spec["renewTime"])
    if age_s <= _LEASE_AGE_S:
        return [Finding("manager", Level.OK, f"{holder} leads")]
    message = f"{holder} holds the Lease, but last renewed it {age_s:.0f} s ago"
    fix = "see that the manager runs: kubectl get pods in its namespace, `capim logs`"
    return [Finding("manager", Level.ERROR, message, fix)]


async def _objects(patient: Patient) -> list[Finding]:
    client = patient.management.client
    lists = await asyncio.gather(client.list(INFRA_CLUSTERS), client.list(INFRA_MACHINES))
    problems = [text for listed in lists for item in listed.items if (text := rows.problem(item))]
    fix = "the message says what to do; `capim logs NAMESPACE/NAME` has more"
    found = [Finding("objects", Level.ERROR, text, fix) for text in problems[:_SHOWN]]
    if len(problems) > _SHOWN:
        message = f"{len(problems) - _SHOWN} more have problems"
        found.append(Finding("objects", Level.ERROR, message, "`capim status -o yaml` lists them"))
    counts = [len(listed.items) for listed in lists]
    sound = f"{counts[0]} clusters and {counts[1]} machines, none asks for a person"
    return found or [Finding("objects", Level.OK, sound)]


async def _rights(patient: Patient) -> list[Finding]:
    return await rights_findings(patient.management, patient.where.installation_namespace)


_CHECKS: Final = (
    ("definitions", _definitions),
    ("cluster-api", _cluster_api),
    ("controllers", _controllers),
    ("webhooks", _webhooks),
    ("rights", _rights),
    ("manager", _manager),
    ("objects", _objects),
)
