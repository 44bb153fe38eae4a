"""What the signers of a cluster sign, and what they refuse though it is approved.

Source: k8s.io/kubernetes pkg/controller/certificates/signer and pkg/apis/certificates; texts are theirs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.x509.oid import NameOID

if TYPE_CHECKING:
    from collections.abc import Collection

CLIENT: Final = "kubernetes.io/kube-apiserver-client"
KUBELET_CLIENT: Final = "kubernetes.io/kube-apiserver-client-kubelet"
KUBELET_SERVING: Final = "kubernetes.io/kubelet-serving"
SIGNERS: Final = frozenset({CLIENT, KUBELET_CLIENT, KUBELET_SERVING})

_NODES: Final = ["system:nodes"]
_NODE: Final = "system:node:"
_OPTIONAL: Final = frozenset({"digital signature", "key encipherment"})
#: what a kubelet's request must not name, in the order in which it is looked for
_NAMES: Final[dict[str, tuple[tuple[type[x509.GeneralName], str], ...]]] = {
    KUBELET_CLIENT: (
        (x509.DNSName, "DNS"),
        (x509.RFC822Name, "Email"),
        (x509.IPAddress, "IP"),
        (x509.UniformResourceIdentifier, "URI"),
    ),
    KUBELET_SERVING: ((x509.RFC822Name, "Email"), (x509.UniformResourceIdentifier, "URI")),
}
_USAGE: Final = {KUBELET_CLIENT: "client auth", KUBELET_SERVING: "server auth"}


def organizations(request: bytes) -> list[str]:
    """Return the groups a PEM request asks for; none for one that cannot be read."""
    try:
        asked = x509.load_pem_x509_csr(request)
    except ValueError:
        return []
    return _values(asked, NameOID.ORGANIZATION_NAME)


def check(signer: str, request: bytes, usages: Collection[str]) -> None:
    """Make sure that a signer may sign a PEM request.

    Raises:
        ValueError: it may not, and why, or the request cannot be read.
    """
    if signer == CLIENT:
        _check_client(usages)
        return
    asked = x509.load_pem_x509_csr(request)
    if _values(asked, NameOID.ORGANIZATION_NAME) != _NODES:
        raise ValueError("subject organization is not system:nodes")
    names = _names(asked)
    is_served = any(isinstance(it, x509.DNSName | x509.IPAddress) for it in names)
    if signer == KUBELET_SERVING and not is_served:
        raise ValueError("DNS or IP subjectAltName is required")
    for kind, shown in _NAMES[signer]:
        if any(isinstance(it, kind) for it in names):
            raise ValueError(f"{shown} subjectAltNames are not allowed")
    if not "".join(_values(asked, NameOID.COMMON_NAME)[-1:]).startswith(_NODE):
        raise ValueError("subject common name does not begin with system:node:")
    wanted = {_USAGE[signer], *_OPTIONAL}
    if set(usages) not in (wanted, wanted - {"key encipherment"}):
        raise ValueError(f"usages did not match [{' '.join(sorted(wanted))}]")


def _check_client(usages: Collection[str]) -> None:
    for usage in usages:
        if usage != "client auth" and usage not in _OPTIONAL:
            raise ValueError(f"invalid usage for client certificate: {usage}")
    if "client auth" not in usages:
        raise ValueError("missing required usage for client certificate: client auth")


def _values(asked: x509.CertificateSigningRequest, name: x509.ObjectIdentifier) -> list[str]:
    return [str(it.value) for it in asked.subject.get_attributes_for_oid(name)]


def _names(asked: x509.CertificateSigningRequest) -> list[x509.GeneralName]:
    try:
        found = asked.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return []
    return list(found.value)
