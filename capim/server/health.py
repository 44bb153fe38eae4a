"""/healthz, /livez and /readyz: what a kube-apiserver checks, all of it well. Pure.

A fake server is open when its cluster is whole, so every check passes. Names and order are those of a
kube-apiserver 1.35 with its aggregator.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import parse_qs

PATHS: Final = ("/healthz", "/livez", "/readyz")
_HOOKS: Final = (
    "start-apiserver-admission-initializer",
    "generic-apiserver-start-informers",
    "max-in-flight-filter",
    "storage-object-count-tracker-hook",
    "start-apiextensions-informers",
    "start-apiextensions-controllers",
    "crd-informer-synced",
    "start-system-namespaces-controller",
    "start-cluster-authentication-info-controller",
    "start-kube-apiserver-identity-lease-controller",
    "start-kube-apiserver-identity-lease-garbage-collector",
    "start-legacy-token-tracking-controller",
    "start-service-ip-repair-controllers",
    "rbac/bootstrap-roles",
    "scheduling/bootstrap-system-priority-classes",
    "priority-and-fairness-config-producer",
    "bootstrap-controller",
    "start-kubernetes-service-cidr-controller",
    "start-kube-aggregator-informers",
    "apiservice-status-local-available-controller",
    "apiservice-status-remote-available-controller",
    "apiservice-registration-controller",
    "apiservice-discovery-controller",
    "kube-apiserver-autoregistration",
)
_LAST_HOOKS: Final = ("apiservice-openapi-controller", "apiservice-openapiv3-controller")
_BASIC: Final = ("ping", "log", "etcd")
_AFTER: Final = (
    *(f"poststarthook/{name}" for name in _HOOKS),
    "autoregister-completion",
    *(f"poststarthook/{name}" for name in _LAST_HOOKS),
)
_LIVE: Final = (*_BASIC, *_AFTER)
_READY: Final = (*_BASIC, "etcd-readiness", "informer-sync", *_AFTER, "shutdown")


def checks_of(path: str) -> tuple[str, ...]:
    """Return the checks below /healthz, /livez or /readyz, in order."""
    return _READY if path == "/readyz" else _LIVE


def is_health(path: str) -> bool:
    """Tell whether a path is a health check, or one of its parts."""
    for root in PATHS:
        if path == root:
            return True
        if path.startswith(f"{root}/"):
            return path.removeprefix(f"{root}/") in checks_of(root)
    return False


def document(path: str, query: str) -> bytes:
    """Make the text of a health check by its path and raw query; `verbose` counts whatever its value."""
    asked = parse_qs(query, keep_blank_values=True)
    if path not in PATHS or "verbose" not in asked:
        return b"ok"
    excluded, checks = set(asked.get("exclude", ())), checks_of(path)
    lines = [f"[+]{it} excluded: ok" if it in excluded else f"[+]{it} ok" for it in checks]
    if unknown := sorted(excluded - set(checks)):
        named = ",".join(f'"{it}"' for it in unknown)
        lines.append(f"warn: some health checks cannot be excluded: no matches for {named}")
    return "\n".join([*lines, f"{path.strip('/')} check passed", ""]).encode()
