"""A cluster's authorities, read from Cluster API's Secrets; and its kubeconfig's server. Pure.

Cluster API writes `<cluster>-ca`, `<cluster>-etcd` and `<cluster>-sa`, or a user brings them. What is
missing or broken is told with the Secret, the key and the fix, instead of a stack trace.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import yaml

from capim.api.workload import KeyPair, Phase
from capim.certs.pem import CertificateError, check_key_pair
from coordinator.controllers.conditions import (
    INVALID_CERTIFICATES_REASON,
    WAITING_FOR_CERTIFICATES_REASON,
    Severity,
    State,
)

if TYPE_CHECKING:
    from capim.api.gvk import NamespacedName
    from capim.api.meta import JsonObject

CERTIFICATE_KEY: Final = "tls.crt"
PRIVATE_KEY: Final = "tls.key"

CA: Final = "ca"
ETCD_CA: Final = "etcd"
SERVICE_ACCOUNT: Final = "sa"

#: What each phase of a control plane machine cannot do without.
NEEDED_BY: Final = {Phase.API_SERVER: CA, Phase.ETCD: ETCD_CA}

#: The Secrets whose data is kept in memory, by the end of their names.
PURPOSES: Final = (CA, ETCD_CA, SERVICE_ACCOUNT)


@dataclass(frozen=True, slots=True)
class Authorities:
    """What could be read, by purpose, and what is wrong with the rest."""

    pairs: Mapping[str, KeyPair] = field(default_factory=dict)
    problems: Mapping[str, State] = field(default_factory=dict)

    def problem_of(self, phase: Phase) -> State | None:
        """Return what keeps a phase from its certificates: first its own authority, then any other."""
        own = self.problems.get(NEEDED_BY.get(phase, ""))
        return own or next(iter(self.problems.values()), None)


def secret_name(cluster: NamespacedName, purpose: str) -> str:
    """Return the name of a cluster's Secret."""
    return f"{cluster.name}-{purpose}"


def is_authority(secret: JsonObject) -> bool:
    """Say whether a Secret may hold an authority of a cluster, by its name."""
    name: str = secret["metadata"]["name"]
    return name.endswith(tuple(f"-{purpose}" for purpose in PURPOSES))


def read_authorities(
    cluster: NamespacedName, secrets: Mapping[str, JsonObject | None]
) -> Authorities:
    """Read every authority that is there. `secrets` is by purpose; None: not found."""
    pairs: dict[str, KeyPair] = {}
    problems: dict[str, State] = {}
    for purpose in PURPOSES:
        named = f"Secret {cluster.namespace}/{secret_name(cluster, purpose)}"
        secret = secrets.get(purpose)
        if secret is None:
            problems[purpose] = State(
                WAITING_FOR_CERTIFICATES_REASON,
                f"{named} not found: Cluster API makes it with the control plane; to bring your own,"
                f" create it with keys {CERTIFICATE_KEY} and {PRIVATE_KEY}",
                Severity.WARNING,
            )
            continue
        try:
            pairs[purpose] = _read_pair(secret, named, authority=purpose != SERVICE_ACCOUNT)
        except CertificateError as error:
            problems[purpose] = State(INVALID_CERTIFICATES_REASON, str(error), Severity.ERROR)
    return Authorities(pairs, problems)


def _read_pair(secret: JsonObject, named: str, *, authority: bool) -> KeyPair:
    pair = KeyPair(_value(secret, CERTIFICATE_KEY, named), _value(secret, PRIVATE_KEY, named))
    if authority:
        check_key_pair(pair, named)
    return pair


def _value(secret: JsonObject, key: str, named: str) -> bytes:
    text = (secret.get("data") or {}).get(key)
    if not text:
        raise CertificateError(f"{named} has no key {key}: add it, PEM encoded")
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise CertificateError(f"{named} key {key} is not base64: {error}") from error


def replaced_server(secret: JsonObject, server: str) -> JsonObject | None:
    """Return the patch that points a kubeconfig Secret's clusters at another server, or None.

    None as well when it points there already, or is nothing we can read: it is not ours to repair.
    """
    try:
        text = base64.b64decode((secret.get("data") or {}).get("value", ""), validate=True)
        config: Any = yaml.safe_load(text)
        entries = [entry["cluster"] for entry in config["clusters"]]
    except (binascii.Error, yaml.YAMLError, TypeError, KeyError):
        return None
    if all(entry.get("server") == server for entry in entries):
        return None
    for entry in entries:
        entry["server"] = server
    written = yaml.safe_dump(config, sort_keys=False).encode()
    return {"data": {"value": base64.b64encode(written).decode()}}
