"""Defaulting and validation of our kinds: what the webhooks say, as pure functions.

The original's webhooks let everything through, so its mistakes showed only in a controller's log.
Here a mistake is refused with the field's path and what to write instead. An update is never refused
for a mistake that the stored object has already, nor while an object is being deleted: finalizers must
come off whatever else is wrong.
"""

from __future__ import annotations

import functools
import ipaddress
import re
from typing import TYPE_CHECKING, Any, Final

from capim.api import structural
from capim.api.infrastructure.faultparsing import failure_mistakes, fault_mistakes
from capim.api.infrastructure.kinds import KINDS, Kind
from capim.api.infrastructure.names import (
    CLUSTER_KIND,
    CLUSTER_TEMPLATE_KIND,
    FAULT_KIND,
    MACHINE_KIND,
    MACHINE_POOL_KIND,
    MACHINE_POOL_TEMPLATE_KIND,
)
from capim.api.infrastructure.startup import parse_jitter
from capim.api.meta import parse_duration
from capim.api.quantities import parse_quantity
from capim.api.structural import quoted
from capim.api.workload import Phase

if TYPE_CHECKING:
    from collections.abc import Iterator

    from capim.api.meta import JsonObject
    from capim.api.structural import Cause

#: About 290 years, what a Go duration (64 bits of nanoseconds) can hold.
_MAX_DURATION: Final = "2562047h"
_MAX_DURATION_S: Final = parse_duration(_MAX_DURATION)

_DNS_LABEL: Final = r"[A-Za-z0-9]([-A-Za-z0-9]{0,61}[A-Za-z0-9])?"
_DNS_NAME: Final = re.compile(rf"({_DNS_LABEL}\.)*{_DNS_LABEL}\.?")
_LABEL_NAME: Final = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_LABEL_PREFIX: Final = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?")


def default(obj: JsonObject) -> JsonObject:
    """Return the object with its kind's defaults; any shape may come in. Raises KeyError: not our kind."""
    return structural.default(_schema(obj["kind"]), obj)


def validate_create(obj: JsonObject) -> list[Cause]:
    """Return what is wrong with an object, as (field path, message). Raises KeyError: not our kind."""
    kind = KINDS[obj["kind"]]
    causes = list(_meaning(kind, obj))
    explained = {path for path, _ in causes}
    shape = structural.validate(_schema(kind.name), default(obj))
    return causes + [cause for cause in shape if cause[0] not in explained]


def validate_update(old: JsonObject, new: JsonObject, dry_run_topology: bool) -> list[Cause]:
    """Return what is wrong with a change.

    Args:
        old: the stored object.
        new: what it shall become.
        dry_run_topology: the change is a dry run by Cluster API's topology controller, which finds
            out this way whether a template must be rotated; immutability does not hold for it.
    """
    if _child(new, "metadata").get("deletionTimestamp"):
        return []
    before = set(validate_create(old))
    causes = [cause for cause in validate_create(new) if cause not in before]
    if not dry_run_topology:
        causes += _changed(old, new)
    return causes


@functools.cache
def _schema(kind: str) -> JsonObject:
    return KINDS[kind].schema()


def _child(parent: object, *path: str) -> dict[str, Any]:
    """Return the object at a path, empty when there is none; wrong shapes are the schema's to report."""
    for name in path:
        parent = parent.get(name) if isinstance(parent, dict) else None
    return parent if isinstance(parent, dict) else {}


def _changed(old: JsonObject, new: JsonObject) -> Iterator[Cause]:
    if KINDS[new["kind"]].is_template:
        was, becomes = (_child(default(obj), "spec", "template").get("spec") for obj in (old, new))
        if was != becomes:
            yield (
                "spec.template.spec",
                f"Forbidden: an {new['kind']} cannot be changed: create another one, with a new name,"
                " and refer to that",
            )
    elif new["kind"] == MACHINE_KIND:
        was, becomes = (_child(obj, "spec").get("providerID") for obj in (old, new))
        if was and was != becomes:
            yield (
                "spec.providerID",
                f"Forbidden: cannot be changed once it is set: it is {quoted(was)}",
            )


# --- what a schema cannot say ------------------------------------------------------------------------


def _meaning(kind: Kind, obj: JsonObject) -> Iterator[Cause]:
    path, spec = "spec", _child(obj, "spec")
    if kind.name == FAULT_KIND:
        yield from fault_mistakes(spec)
        return
    if kind.is_template:
        template = _child(spec, "template")
        yield from _template_metadata(_child(template, "metadata"), "spec.template.metadata")
        path, spec = "spec.template.spec", _child(template, "spec")
    if kind.name in {CLUSTER_KIND, CLUSTER_TEMPLATE_KIND}:
        yield from _endpoint(_child(spec, "controlPlaneEndpoint"), f"{path}.controlPlaneEndpoint")
        return
    if kind.name in {MACHINE_POOL_KIND, MACHINE_POOL_TEMPLATE_KIND}:
        machine = _child(spec, "template")
        yield from _template_metadata(_child(machine, "metadata"), f"{path}.template.metadata")
        path, spec = f"{path}.template.spec", _child(machine, "spec")
    for phase in Phase:
        settings = _child(spec, "behaviour", phase, "provisioning")
        yield from _provisioning(settings, f"{path}.behaviour.{phase}.provisioning")
        if phase is Phase.NODE:
            yield from _node_form(_child(spec, "behaviour", phase), f"{path}.behaviour.{phase}")
        failure = _child(spec, "behaviour", phase, "failure")
        yield from failure_mistakes(failure, f"{path}.behaviour.{phase}.failure")


def _node_form(node: JsonObject, path: str) -> Iterator[Cause]:
    """What a Node is made with, which the API server of its cluster would refuse."""
    yield from _template_metadata({"labels": _child(node, "labels")}, path)
    for resource, text in _child(node, "capacity").items():
        try:
            parse_quantity(text)
        except (TypeError, ValueError):
            wrong = f"Invalid value: {quoted(text)}: must be a quantity such as '4' or 16Gi"
            yield f"{path}.capacity[{resource}]", wrong


def _endpoint(endpoint: JsonObject, path: str) -> Iterator[Cause]:
    host, port = endpoint.get("host"), endpoint.get("port") or 0
    if isinstance(host, str) and host and not _is_host(host):
        yield (
            f"{path}.host",
            f"Invalid value: {quoted(host)}: must be a DNS name or an IP address, without scheme, port"
            " or brackets",
        )
    if isinstance(port, int) and not 0 <= port <= 65535:
        yield f"{path}.port", f"Invalid value: {quoted(port)}: must be from 1 to 65535"
    elif host and port == 0:
        yield (
            f"{path}.port",
            "Required value: a host needs a port; leave out both to have them allotted",
        )


def _is_host(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        looks_numeric = text.rstrip(".").rpartition(".")[2].isdigit()
        return len(text) <= 253 and not looks_numeric and _DNS_NAME.fullmatch(text) is not None
    return "%" not in text  # a zone has a meaning on one host only


def _provisioning(settings: JsonObject, path: str) -> Iterator[Cause]:
    duration, jitter = settings.get("startupDuration"), settings.get("startupJitter")
    if isinstance(duration, str) and (fault := _duration_fault(duration)):
        yield f"{path}.startupDuration", f"Invalid value: {fault}"
    if isinstance(jitter, str) and (fault := _jitter_fault(jitter)):
        yield f"{path}.startupJitter", f"Invalid value: {fault}"


def _duration_fault(text: str) -> str:
    try:
        duration_s = parse_duration(text)
    except ValueError as error:
        return str(error)
    if duration_s < 0:
        return f"{quoted(text)}: must not be negative"
    return (
        f"{quoted(text)}: must be shorter than {_MAX_DURATION}"
        if duration_s > _MAX_DURATION_S
        else ""
    )


def _jitter_fault(text: str) -> str:
    try:
        jitter = parse_jitter(text)
    except ValueError as error:
        return str(error)
    return "" if 0 <= jitter <= 1 else f"{quoted(text)}: must be from 0 to 1"


def _template_metadata(metadata: JsonObject, path: str) -> Iterator[Cause]:
    """Labels and annotations are copied to other objects, where the API server would refuse bad ones."""
    for section in ("labels", "annotations"):
        for key, value in _child(metadata, section).items():
            if not _is_qualified_name(key):
                yield (
                    f"{path}.{section}",
                    f"Invalid value: {quoted(key)}: must be a name of letters, digits, '-', '_' and '.',"
                    " at most 63, with an optional DNS prefix and '/'",
                )
            elif section == "labels" and isinstance(value, str) and not _is_label_value(value):
                yield (
                    f"{path}.{section}[{key}]",
                    f"Invalid value: {quoted(value)}: must be at most 63 letters, digits, '-', '_' and"
                    " '.', beginning and ending with a letter or digit",
                )


def _is_qualified_name(key: str) -> bool:
    prefix, slash, name = key.rpartition("/")
    if slash and (len(prefix) > 253 or not _LABEL_PREFIX.fullmatch(prefix)):
        return False
    return _LABEL_NAME.fullmatch(name) is not None


def _is_label_value(value: str) -> bool:
    return not value or _LABEL_NAME.fullmatch(value) is not None
