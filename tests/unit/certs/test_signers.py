"""What signers refuse: the rows of kube-controller-manager's own checks."""

from __future__ import annotations

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from capim.certs import signers
from capim.certs.issue import new_key

KEY = new_key()
USES = ["digital signature", "key encipherment"]


def request(
    groups: tuple[str, ...] = ("system:nodes",),
    user: str = "system:node:n",
    names: tuple[x509.GeneralName, ...] = (),
) -> bytes:
    attributes = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, it) for it in groups]
    subject = x509.Name([*attributes, x509.NameAttribute(NameOID.COMMON_NAME, user)])
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(KEY, hashes.SHA256()).public_bytes(Encoding.PEM)


DNS = x509.DNSName("n")


@pytest.mark.parametrize(
    ("signer", "pem", "usages", "why"),
    [
        pytest.param(signers.CLIENT, request(("any",), "x"), ["client auth"], "", id="client"),
        pytest.param(signers.CLIENT, request(), ["server auth"], "invalid usage", id="client-use"),
        pytest.param(signers.CLIENT, request(), USES, "missing required usage", id="client-no-use"),
        pytest.param(signers.KUBELET_CLIENT, request(), [*USES, "client auth"], "", id="kubelet"),
        pytest.param(
            signers.KUBELET_CLIENT, request(("system:masters",)), [], "organization", id="masters"
        ),
        pytest.param(
            signers.KUBELET_CLIENT,
            request(("system:nodes", "system:masters")),
            [],
            "organization",
            id="nodes-and-masters",
        ),
        pytest.param(
            signers.KUBELET_CLIENT, request(user="admin"), [], "common name", id="no-node"
        ),
        pytest.param(
            signers.KUBELET_CLIENT, request(names=(DNS,)), [], "DNS subjectAlt", id="client-name"
        ),
        pytest.param(
            signers.KUBELET_SERVING, request(names=(DNS,)), [*USES, "server auth"], "", id="serving"
        ),
        pytest.param(
            signers.KUBELET_SERVING, request(), [], "DNS or IP", id="serving-without-name"
        ),
        pytest.param(
            signers.KUBELET_SERVING, request(names=(DNS,)), USES, "usages did not", id="serving-use"
        ),
        pytest.param(signers.KUBELET_CLIENT, b"junk", [], "PEM", id="junk"),
    ],
)
def test_what_a_signer_signs(signer: str, pem: bytes, usages: list[str], why: str) -> None:
    if why:
        with pytest.raises(ValueError, match=why):
            signers.check(signer, pem, usages)
    else:
        signers.check(signer, pem, usages)


def test_groups_that_a_request_asks_for() -> None:
    assert signers.organizations(request(("a", "b"))) == ["a", "b"]
    assert signers.organizations(b"junk") == []
