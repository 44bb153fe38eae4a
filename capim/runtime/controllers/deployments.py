"""Deployments: a replica set for each state of the template, and the way from one to the next.

Source: kube-controller-manager's deployment controller: names, annotations, events, order of steps.
Departure: a template's hash is not the one Go's printer of values gives, and so are names made of it.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from capim.api.meta import get_condition, owner_reference, parse_time
from capim.runtime.controllers import events, rollout
from capim.runtime.controllers.base import Controller
from capim.runtime.controllers.claims import claim
from capim.runtime.controllers.kinds import DEPLOYMENTS, REPLICA_SETS
from capim.runtime.controllers.podstate import is_deleting, label_selector, template_hash
from capim.runtime.controllers.replicasets import replicas_of, status_without_pods
from capim.runtime.controllers.rollout import (
    DESIRED,
    MAXIMUM,
    REVISION,
    REVISION_HISTORY,
    annotation,
    max_surge,
    total,
)

if TYPE_CHECKING:
    from capim.api.meta import JsonObject
    from capim.runtime.controllers.base import Context

_COMPONENT: Final = "deployment-controller"
_HASH: Final = "pod-template-hash"
#: annotations of a Deployment that its replica sets do not get
_NOT_COPIED: Final = frozenset(
    {
        "kubectl.kubernetes.io/last-applied-configuration",
        REVISION,
        REVISION_HISTORY,
        DESIRED,
        MAXIMUM,
        "deprecated.deployment.rollback.to",
    }
)


def _reconcile(context: Context, namespace: str, name: str) -> float | None:
    deployment = context.get(DEPLOYMENTS, namespace, name)
    if deployment is None:
        return None
    if not (deployment["spec"].get("selector") or {}):
        return None  # selects everything: the real one refuses to work, too
    sets = claim(context, deployment, REPLICA_SETS, label_selector(deployment["spec"]["selector"]))
    work = _Rollout(context, deployment, sets)
    if is_deleting(deployment):
        work.save_status(rolling=False)
    elif deployment["spec"].get("paused"):
        work.note_pause()
        work.scale()
        work.clean_up()
        work.save_status(rolling=False)
    else:
        work.note_pause()
        work.roll_out()
    again_at = rollout.gives_up_at(work.deployment)
    return again_at if again_at < math.inf else None


class _Rollout:
    """One look at a Deployment. Steps change `sets` as they write."""

    def __init__(self, context: Context, deployment: JsonObject, sets: list[JsonObject]) -> None:
        self._context = context
        self._stored = deployment
        self.deployment = deployment  #: as it is to be: written once, at the end
        self._sets = sorted(sets, key=_age)
        self._new = self._find_new()

    @property
    def _old(self) -> list[JsonObject]:
        return [one for one in self._sets if one is not self._new]

    def _find_new(self) -> JsonObject | None:
        wanted = self.deployment["spec"]["template"]
        return next(
            (one for one in self._sets if _bare(one["spec"]["template"]) == _bare(wanted)), None
        )

    # --- the steps ---

    def roll_out(self) -> None:
        """Make the next step towards the template, or follow a change of the scale."""
        if self._is_scaling():
            self.scale()
            self.save_status(rolling=False)
            return
        if rollout.is_rolling(self.deployment):
            self._ensure_new()
            self._resize_new()
            self._shrink_old()
        else:
            self._recreate()
        self.clean_up_when_done()
        self.save_status(rolling=True)

    def note_pause(self) -> None:
        """Say in the condition Progressing that a rollout is paused, or goes on."""
        if rollout.deadline_s(self.deployment) is None:
            return
        current = get_condition(self.deployment, "Progressing")
        paused = bool(self.deployment["spec"].get("paused"))
        was_paused = current is not None and current["reason"] == "DeploymentPaused"
        if current is not None and current["reason"] == "ProgressDeadlineExceeded":
            return
        if paused == was_paused:
            return
        reason, text = ("DeploymentPaused", "Deployment is paused")
        if not paused:
            reason, text = ("DeploymentResumed", "Deployment is resumed")
        self._set_condition("Unknown", reason, text)

    def scale(self) -> None:
        """Give the sets the sizes that the Deployment's scale asks for, each its part of it."""
        active = [one for one in self._sets if replicas_of(one)]
        wanted = replicas_of(self.deployment)
        if len(active) <= 1:
            one = active[0] if active else self._new or (self._old[-1] if self._old else None)
            if one is not None:
                self._resize(one, wanted)
        elif self._is_saturated():
            for one in self._old:
                self._resize(one, 0)
        elif rollout.is_rolling(self.deployment):
            self._scale_proportionally(active, wanted)

    def _scale_proportionally(self, active: list[JsonObject], wanted: int) -> None:
        allowed = wanted + max_surge(self.deployment) if wanted else 0
        room = allowed - total(active)
        newest_first = sorted(active, key=_age, reverse=True)
        ordered = sorted(newest_first if room > 0 else active, key=replicas_of, reverse=True)
        sizes, added = [], 0
        for one in ordered:
            part = rollout.scaled_by(self.deployment, one) if room else 0
            left = room - added
            part = max(0, min(part, left)) if room > 0 else min(0, max(part, left))
            sizes.append(replicas_of(one) + part)
            added += part
        if ordered:
            sizes[0] = max(0, sizes[0] + room - added)
        for one, size in zip(ordered, sizes, strict=True):
            self._resize(one, size)

    def clean_up(self) -> None:
        """Delete the oldest replica sets beyond the limit, if nothing runs in them."""
        limit = self.deployment["spec"].get("revisionHistoryLimit")
        idle = [one for one in self._old if not is_deleting(one)]
        surplus = len(idle) - (10 if limit is None else int(limit))
        for one in sorted(idle, key=lambda one: annotation(one, REVISION))[: max(surplus, 0)]:
            status: JsonObject = one.get("status") or {}
            if replicas_of(one) or status.get("replicas"):
                continue
            if status.get("observedGeneration", 0) < one["metadata"]["generation"]:
                continue
            metadata = one["metadata"]
            self._context.delete(REPLICA_SETS, metadata["namespace"], metadata["name"])
            self._sets = [other for other in self._sets if other is not one]

    def clean_up_when_done(self) -> None:
        """Clean up at the end of a rollout."""
        if rollout.is_complete(self.deployment, self._counts()):
            self.clean_up()

    def save_status(self, *, rolling: bool) -> None:
        """Write the status as it is now, and what else has changed."""
        now = self._context.now()
        status = self._counts()
        rollout.set_available(self.deployment, status, now)
        if rolling:
            rollout.with_conditions(self.deployment, status, self._sets, self._new, now)
        self.deployment = self.deployment | {"status": status}
        if self.deployment != self._stored:
            self.deployment = self._context.save(DEPLOYMENTS, self.deployment)

    # --- inside ---

    def _counts(self) -> JsonObject:
        status = rollout.counts(self.deployment, self._sets, self._new)
        if "conditions" in status:
            status["conditions"] = [dict(condition) for condition in status["conditions"]]
        return status

    def _is_scaling(self) -> bool:
        wanted = replicas_of(self.deployment)
        active = (one for one in self._sets if replicas_of(one))
        return any(
            DESIRED in (one["metadata"].get("annotations") or {})
            and annotation(one, DESIRED) != wanted
            for one in active
        )

    def _is_saturated(self) -> bool:
        if self._new is None:
            return False
        wanted = replicas_of(self.deployment)
        available = (self._new.get("status") or {}).get("availableReplicas", 0)
        return (
            replicas_of(self._new) == wanted
            and annotation(self._new, DESIRED) == wanted
            and available == wanted
        )

    def _ensure_new(self) -> None:
        """Let the template's replica set exist, bear the newest revision and the annotations."""
        revision = max((annotation(one, REVISION) for one in self._old), default=0) + 1
        if self._new is None:
            self._make_new(revision)
        else:
            self._annotate_new(revision)
        if self._new is not None:
            self._take_revision(self._new)

    def _make_new(self, revision: int) -> None:
        deployment = self.deployment
        template, name = deployment["spec"]["template"], deployment["metadata"]["name"]
        digest = template_hash(template)
        size = rollout.new_size(deployment, self._sets, None)
        labels = ((template.get("metadata") or {}).get("labels") or {}) | {_HASH: digest}
        selector = deployment["spec"]["selector"]
        body: JsonObject = {
            "metadata": {
                "name": f"{name}-{digest}",
                "namespace": deployment["metadata"]["namespace"],
                "labels": labels,
                "annotations": self._copied() | self._sizes() | {REVISION: str(revision)},
                "ownerReferences": [owner_reference(deployment)],
            },
            "spec": {
                "replicas": size,
                "selector": selector
                | {"matchLabels": (selector.get("matchLabels") or {}) | {_HASH: digest}},
                "template": template
                | {"metadata": (template.get("metadata") or {}) | {"labels": labels}},
            },
        }
        if seconds := deployment["spec"].get("minReadySeconds"):
            body["spec"]["minReadySeconds"] = seconds
        complete = not self._context.makes_pods  # a copy of what was checked, done at once
        if complete:
            body["status"] = status_without_pods(body)
        made = self._context.create(REPLICA_SETS, body, complete=complete)
        if made is None:
            return
        self._new = made
        self._sets = [*self._sets, made]
        if size:
            self._tell(f"Scaled up replica set {made['metadata']['name']} from 0 to {size}")
        text = f'Created new replica set "{made["metadata"]["name"]}"'
        self._set_condition("True", "NewReplicaSetCreated", text)

    def _annotate_new(self, revision: int) -> None:
        new = self._new
        assert new is not None  # noqa: S101 - the caller looked
        annotations = dict(new["metadata"].get("annotations") or {}) | self._copied()
        before = annotation(new, REVISION)
        if before < revision:
            annotations[REVISION] = str(revision)
            if before:
                history = annotations.get(REVISION_HISTORY)
                annotations[REVISION_HISTORY] = f"{history},{before}" if history else str(before)
        wanted = self.deployment["spec"].get("minReadySeconds") or 0
        spec = new["spec"] | ({"minReadySeconds": wanted} if wanted else {})
        if not wanted:
            spec.pop("minReadySeconds", None)
        changed = new | {"metadata": new["metadata"] | {"annotations": annotations}, "spec": spec}
        if changed != new:
            self._replace(new, changed)

    def _take_revision(self, new: JsonObject) -> None:
        """Show the new set's revision on the Deployment, and that it was found."""
        revision = (new["metadata"].get("annotations") or {}).get(REVISION, "")
        annotations = self.deployment["metadata"].get("annotations") or {}
        if revision and annotations.get(REVISION) != revision:
            metadata = self.deployment["metadata"]
            metadata = metadata | {"annotations": annotations | {REVISION: revision}}
            self.deployment = self.deployment | {"metadata": metadata}
        limited = rollout.deadline_s(self.deployment) is not None
        if limited and get_condition(self.deployment, "Progressing") is None:
            text = f'Found new replica set "{new["metadata"]["name"]}"'
            self._set_condition("True", "FoundNewReplicaSet", text)

    def _resize_new(self) -> None:
        if self._new is None:
            return
        wanted = replicas_of(self.deployment)
        size = wanted
        if replicas_of(self._new) < wanted:
            size = rollout.new_size(self.deployment, self._sets, self._new)
        if size != replicas_of(self._new):
            self._resize(self._new, size)

    def _shrink_old(self) -> None:
        """Take from old sets what the new one's available pods make superfluous, dead pods first."""
        old = [one for one in self._old if replicas_of(one)]
        if not old or self._new is None:
            return
        least = replicas_of(self.deployment) - rollout.max_unavailable(self.deployment)
        unavailable = replicas_of(self._new) - total([self._new], "availableReplicas")
        room = total(self._sets) - least - unavailable
        for one in old:
            dead = replicas_of(one) - total([one], "availableReplicas")
            gone = min(max(dead, 0), max(room, 0))
            if gone:
                self._resize(one, replicas_of(one) - gone)
                room -= gone
        room = total(self._sets, "availableReplicas") - least
        for one in [one for one in self._old if replicas_of(one)]:
            gone = min(replicas_of(one), max(room, 0))
            if gone:
                self._resize(one, replicas_of(one) - gone)
                room -= gone

    def _recreate(self) -> None:
        """Let every old pod go before the first new one comes."""
        active = [one for one in self._old if replicas_of(one)]
        for one in active:
            self._resize(one, 0)
        if active or total(self._old, "replicas") or total(self._old, "terminatingReplicas"):
            return
        self._ensure_new()
        if self._new is not None:
            self._resize(self._new, replicas_of(self.deployment))

    def _resize(self, one: JsonObject, size: int) -> None:
        before = replicas_of(one)
        annotations = one["metadata"].get("annotations") or {}
        sizes = self._sizes()
        if size == before and sizes.items() <= annotations.items():
            return
        metadata = one["metadata"] | {"annotations": annotations | sizes}
        self._replace(one, one | {"metadata": metadata, "spec": one["spec"] | {"replicas": size}})
        if size != before:
            how, name = "up" if size > before else "down", metadata["name"]
            self._tell(f"Scaled {how} replica set {name} from {before} to {size}")

    def _replace(self, one: JsonObject, body: JsonObject) -> None:
        saved = self._context.save(REPLICA_SETS, body)
        self._sets = [saved if other is one else other for other in self._sets]
        if one is self._new:
            self._new = saved

    def _set_condition(self, value: str, reason: str, text: str) -> None:
        """Set the condition Progressing."""
        if rollout.deadline_s(self.deployment) is None:
            return
        status = dict(self.deployment.get("status") or {})
        made = rollout.condition("Progressing", value, reason, text, self._context.now())
        rollout.set_condition(status, made)
        self.deployment = self.deployment | {"status": status}

    def _copied(self) -> dict[str, str]:
        annotations: dict[str, str] = self.deployment["metadata"].get("annotations") or {}
        return {key: text for key, text in annotations.items() if key not in _NOT_COPIED}

    def _sizes(self) -> dict[str, str]:
        wanted = replicas_of(self.deployment)
        return {DESIRED: str(wanted), MAXIMUM: str(wanted + max_surge(self.deployment))}

    def _tell(self, text: str) -> None:
        events.record(self._context, self.deployment, _COMPONENT, "ScalingReplicaSet", text)


def _bare(template: JsonObject) -> JsonObject:
    """Return a template without the label that the controller puts into it."""
    metadata: JsonObject = dict(template.get("metadata") or {})
    metadata.pop("creationTimestamp", None)
    labels = {key: text for key, text in (metadata.get("labels") or {}).items() if key != _HASH}
    metadata.pop("labels", None)
    return template | {"metadata": metadata | ({"labels": labels} if labels else {})}


def _age(body: JsonObject) -> tuple[float, int, str]:
    """Sort by birth; what was born in the same second by revision."""
    metadata = body["metadata"]
    return parse_time(metadata["creationTimestamp"]), annotation(body, REVISION), metadata["name"]


CONTROLLER: Final = Controller("deployment", DEPLOYMENTS, _reconcile, owns=(REPLICA_SETS,))
