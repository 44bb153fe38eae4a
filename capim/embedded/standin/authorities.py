"""The Secrets Cluster API makes for a cluster: four key pairs and an admin kubeconfig. P-256 throughout."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import yaml
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from capim.api.meta import owner_reference
from capim.api.workload import KeyPair
from capim.certs.issue import client_certificate, new_key, self_signed_ca
from capim.certs.pem import dump_private_key
from capim.embedded.fleet import CLUSTER_NAME_LABEL

if TYPE_CHECKING:
    from capim.api.meta import JsonObject


def authorities(cluster: JsonObject, now: float) -> list[JsonObject]:
    """Make the Secrets of a cluster's four key pairs, the CA's first."""
    pairs = {
        "ca": self_signed_ca("kubernetes", now),
        "etcd": self_signed_ca("etcd", now),
        "proxy": self_signed_ca("front-proxy", now),
        "sa": service_account_pair(),
    }
    return [
        _secret(cluster, purpose, {"tls.crt": pair.certificate, "tls.key": pair.key})
        for purpose, pair in pairs.items()
    ]


def kubeconfig_secret(cluster: JsonObject, ca: JsonObject, now: float) -> JsonObject:
    """Make the kubeconfig Secret of a cluster that has its endpoint, from the CA's Secret."""
    return _secret(cluster, "kubeconfig", {"value": _kubeconfig(cluster, key_pair(ca), now)})


def key_pair(secret: JsonObject) -> KeyPair:
    """Read the key pair of a Secret."""
    data = {key: base64.b64decode(value) for key, value in secret["data"].items()}
    return KeyPair(data["tls.crt"], data["tls.key"])


def service_account_pair() -> KeyPair:
    """Make the key that service accounts' tokens are signed with."""
    key = new_key()
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return KeyPair(public, dump_private_key(key))


def _kubeconfig(cluster: JsonObject, ca: KeyPair, now: float) -> bytes:
    endpoint = cluster["spec"]["controlPlaneEndpoint"]
    key = new_key()
    certificate = client_certificate(
        ca, key, common_name="kubernetes-admin", organizations=["system:masters"], now=now
    )
    return kubeconfig(
        cluster["metadata"]["name"],
        f"https://{endpoint['host']}:{endpoint['port']}",
        ca.certificate,
        KeyPair(certificate, dump_private_key(key)),
    )


def kubeconfig(
    name: str, server: str, ca: bytes, client: KeyPair, extensions: JsonObject | None = None
) -> bytes:
    """Write a kubeconfig with one cluster, one user and one context, as `clusterctl` would.

    `extensions`, by name, go into the context, where other programs overlook them.
    """
    user, context = f"{name}-admin", f"{name}-admin@{name}"
    meant: JsonObject = {"cluster": name, "user": user}
    if extensions:
        meant["extensions"] = [{"name": key, "extension": it} for key, it in extensions.items()]
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {
                "name": name,
                "cluster": {"server": server, "certificate-authority-data": _base64(ca)},
            }
        ],
        "users": [
            {
                "name": user,
                "user": {
                    "client-certificate-data": _base64(client.certificate),
                    "client-key-data": _base64(client.key),
                },
            }
        ],
        "contexts": [{"name": context, "context": meant}],
        "current-context": context,
    }
    return yaml.safe_dump(document).encode()


def _secret(cluster: JsonObject, purpose: str, data: dict[str, bytes]) -> JsonObject:
    metadata = cluster["metadata"]
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": f"{metadata['name']}-{purpose}",
            "namespace": metadata["namespace"],
            "labels": {CLUSTER_NAME_LABEL: metadata["name"]},
            "ownerReferences": [owner_reference(cluster)],
        },
        "type": "cluster.x-k8s.io/secret",
        "data": {key: _base64(value) for key, value in data.items()},
    }


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
