"""StatefulSets: pods with names that last, one after the other.

Source: kube-controller-manager's statefulset controller: order of creation, scale-down and update,
revisions, claims from templates, labels and events. Departure: one pod at a time is updated, whatever
`maxUnavailable` says.
"""

from __future__ import annotations

import copy
import math
from typing import TYPE_CHECKING, Final

from capim.api.errors import APIError
from capim.runtime.controllers import events, revisions
from capim.runtime.controllers.base import Controller
from capim.runtime.controllers.claims import claim
from capim.runtime.controllers.kinds import CLAIMS, PODS, REVISIONS, STATEFUL_SETS
from capim.runtime.controllers.podstate import (
    available_at,
    is_active,
    is_deleting,
    is_ready,
    label_selector,
    pod_from,
)
from capim.runtime.controllers.replicasets import replicas_of
from capim.runtime.graceful import has_ended

if TYPE_CHECKING:
    from capim.api.meta import JsonObject
    from capim.runtime.controllers.base import Context

_COMPONENT: Final = "statefulset-controller"
_HASH: Final = "controller.kubernetes.io/hash"
_REVISION: Final = "controller-revision-hash"
_NAME: Final = "statefulset.kubernetes.io/pod-name"
_INDEX: Final = "apps.kubernetes.io/pod-index"


def _reconcile(context: Context, namespace: str, name: str) -> float | None:
    body = context.get(STATEFUL_SETS, namespace, name)
    if body is None:
        return None
    work = _Members(context, body)
    if is_deleting(body):
        return work.save_status()
    work.revise()
    try:
        if context.makes_pods:
            work.step()
    except APIError as error:
        work.tell("FailedCreate", f"create Pod failed error: {error.message}", "Warning")
        work.save_status()
        raise
    return work.save_status()


class _Members:
    """One look at a StatefulSet and its pods."""

    def __init__(self, context: Context, body: JsonObject) -> None:
        self._context = context
        self._body = body
        spec: JsonObject = body["spec"]
        self._replicas = replicas_of(body)
        self._start = int((spec.get("ordinals") or {}).get("start") or 0)
        self._parallel = spec.get("podManagementPolicy") == "Parallel"
        status: JsonObject = body.get("status") or {}
        self._current = self._update = str(status.get("updateRevision") or "")
        self._templates: dict[str, JsonObject] = {self._update: spec["template"]}
        if context.makes_pods:
            claim(context, body, PODS, label_selector(spec.get("selector")))

    def revise(self) -> None:
        """Let the template's revision exist, and know the one that the pods had until now."""
        annotations = self._body["metadata"].get("annotations") or {}
        update, old = revisions.current(self._context, self._body, _HASH, annotations)
        self._update = str(update["metadata"]["name"])
        self._templates = {self._update: self._body["spec"]["template"]}
        named = (self._body.get("status") or {}).get("currentRevision")
        current = next((one for one in old if one["metadata"]["name"] == named), update)
        self._current = str(current["metadata"]["name"])
        template = {k: v for k, v in current["data"]["spec"]["template"].items() if k != "$patch"}
        self._templates[self._current] = template
        used = {_revision_of(pod) for pod in self._pods().values()} | {self._current}
        revisions.clean_up(self._context, self._body, old, used)

    def step(self) -> None:
        """Create, delete or update what is next; a pod that is not ready holds up the others."""
        pods = self._pods()
        last = self._start + self._replicas
        for ordinal in range(self._start, last):
            if not self._ensure(ordinal, pods.get(ordinal)) and not self._parallel:
                return
        condemned = sorted((o for o in pods if not self._start <= o < last), reverse=True)
        for ordinal in condemned:
            if not is_deleting(pods[ordinal]):
                self._delete(pods[ordinal])
            if not self._parallel:
                return
        self._roll(pods)

    def _ensure(self, ordinal: int, pod: JsonObject | None) -> bool:
        """Let a pod be there that has not ended; tell whether it is, and well."""
        if pod is None:
            self._make(ordinal)
            return False
        if has_ended(pod):
            if not is_deleting(pod):
                self._delete(pod)  # another one takes its name when it is gone
            return False
        return self._is_healthy(pod)

    def _roll(self, pods: dict[int, JsonObject]) -> None:
        """Delete the last pod that is of an older template, once all after it are healthy."""
        strategy = self._body["spec"].get("updateStrategy") or {}
        if strategy.get("type", "RollingUpdate") != "RollingUpdate":
            return
        first = self._start + self._partition()
        for ordinal in range(self._start + self._replicas - 1, first - 1, -1):
            pod = pods.get(ordinal)
            if pod is None or is_deleting(pod):
                return
            if _revision_of(pod) != self._update:
                self._delete(pod)
                return
            if not self._is_healthy(pod):
                return

    def save_status(self) -> float | None:
        """Write the status; return when a pod becomes available by being ready long enough."""
        pods = [pod for pod in self._pods().values() if not is_deleting(pod)]
        seconds = int(self._body["spec"].get("minReadySeconds") or 0)
        times = [available_at(pod, seconds) for pod in pods]
        now = self._context.now()
        counts = {
            "replicas": len(pods),
            "readyReplicas": sum(map(is_ready, pods)),
            "availableReplicas": sum(at <= now for at in times),
            "currentReplicas": sum(_revision_of(pod) == self._current for pod in pods),
            "updatedReplicas": sum(_revision_of(pod) == self._update for pod in pods),
        }
        if not self._context.makes_pods:
            counts = dict.fromkeys(counts, self._replicas)
        done = {counts["updatedReplicas"], counts["readyReplicas"]} == {counts["replicas"]}
        if done and counts["replicas"] == self._replicas:
            self._current = self._update
            counts["currentReplicas"] = counts["updatedReplicas"]
        shown = {"replicas", "availableReplicas"}
        status: JsonObject = {k: n for k, n in counts.items() if n or k in shown}
        status |= {
            "collisionCount": 0,
            "currentRevision": self._current,
            "observedGeneration": self._body["metadata"]["generation"],
            "updateRevision": self._update,
        }
        self._context.save_status(STATEFUL_SETS, self._body, status)
        return min((at for at in times if now < at < math.inf), default=None)

    def tell(self, reason: str, text: str, kind: str = "Normal") -> None:
        """Record an event."""
        events.record(self._context, self._body, _COMPONENT, reason, text, kind=kind)

    # --- inside ---

    def _pods(self) -> dict[int, JsonObject]:
        """Return the pods by ordinal; what bears no name of the set is none of it."""
        pods: dict[int, JsonObject] = {}
        prefix = f"{self._body['metadata']['name']}-"
        for pod in self._context.controlled(self._body, PODS):
            ordinal = str(pod["metadata"]["name"]).removeprefix(prefix)
            if ordinal.isdecimal():
                pods[int(ordinal)] = pod
        return dict(sorted(pods.items()))

    def _partition(self) -> int:
        strategy = self._body["spec"].get("updateStrategy") or {}
        return int((strategy.get("rollingUpdate") or {}).get("partition") or 0)

    def _is_healthy(self, pod: JsonObject) -> bool:
        seconds = int(self._body["spec"].get("minReadySeconds") or 0)
        return is_active(pod) and available_at(pod, seconds) <= self._context.now()

    def _make(self, ordinal: int) -> None:
        revision = self._current if ordinal < self._start + self._partition() else self._update
        set_name = self._body["metadata"]["name"]
        pod = pod_from(self._body, self._templates[revision])
        name = f"{set_name}-{ordinal}"
        labels = {_REVISION: revision, _NAME: name, _INDEX: str(ordinal)}
        pod["metadata"]["labels"] = (pod["metadata"].get("labels") or {}) | labels
        pod["metadata"]["name"] = name
        pod["spec"]["hostname"] = name
        if self._body["spec"].get("serviceName"):
            pod["spec"]["subdomain"] = self._body["spec"]["serviceName"]
        self._give_claims(pod, name)
        self._context.make(PODS, pod)
        self.tell("SuccessfulCreate", f"Create Pod {name} in StatefulSet {set_name} successful")

    def _give_claims(self, pod: JsonObject, pod_name: str) -> None:
        """Let the pod's claims exist, and let it use them."""
        volumes = []
        metadata = self._body["metadata"]
        for template in self._body["spec"].get("volumeClaimTemplates") or ():
            volume = template["metadata"]["name"]
            name = f"{volume}-{pod_name}"
            volumes.append({"name": volume, "persistentVolumeClaim": {"claimName": name}})
            labels = (self._body["spec"].get("selector") or {}).get("matchLabels") or {}
            own = copy.deepcopy(template["metadata"]) | {
                "name": name,
                "namespace": metadata["namespace"],
                "labels": (template["metadata"].get("labels") or {}) | labels,
            }
            made = {"metadata": own, "spec": copy.deepcopy(template["spec"])}
            if self._context.create(CLAIMS, made) is not None:
                text = (
                    f"Create Claim {name} Pod {pod_name} in StatefulSet {metadata['name']} success"
                )
                self.tell("SuccessfulCreate", text)
        if volumes:
            names = {volume["name"] for volume in volumes}
            others = [v for v in pod["spec"].get("volumes") or () if v["name"] not in names]
            pod["spec"]["volumes"] = [*volumes, *others]

    def _delete(self, pod: JsonObject) -> None:
        name, own = pod["metadata"]["name"], self._body["metadata"]["name"]
        if self._context.delete(PODS, pod["metadata"]["namespace"], name):
            self.tell("SuccessfulDelete", f"Delete Pod {name} in StatefulSet {own} successful")


def _revision_of(pod: JsonObject) -> str:
    return str((pod["metadata"].get("labels") or {}).get(_REVISION, ""))


CONTROLLER: Final = Controller("stateful set", STATEFUL_SETS, _reconcile, owns=(PODS, REVISIONS))
