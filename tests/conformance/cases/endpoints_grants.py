"""Cases: nobody grants what he does not have; the verbs `escalate` and `bind`; rights on subresources."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from capim.certs.issue import new_key
from tests.conformance.case import MERGE, Case, Step, delete, get, patch, post, put

_RBAC: Final = "/apis/rbac.authorization.k8s.io/v1"
_GROUP: Final = "rbac.authorization.k8s.io"
_ROLES: Final = f"{_RBAC}/namespaces/{{ns}}/roles"
_ROLE_BINDINGS: Final = f"{_RBAC}/namespaces/{{ns}}/rolebindings"
_CLUSTER_ROLES: Final = f"{_RBAC}/clusterroles"
_CLUSTER_BINDINGS: Final = f"{_RBAC}/clusterrolebindings"
_PODS: Final = "/api/v1/namespaces/{ns}/pods"
_LENA: Final = {"Impersonate-User": "{name}-lena"}
_BUILD: Final = ("buildDate", "gitCommit", "gitTreeState", "gitVersion", "goVersion")
_WRITES: Final = ["create", "update", "patch", "get", "delete"]


def _rule(verbs: str, resources: str, group: str = "", names: str = "") -> dict[str, Any]:
    rule = {"verbs": verbs.split(), "apiGroups": [group], "resources": resources.split()}
    return rule | ({"resourceNames": names.split()} if names else {})


def _role(name: str, *rules: Any, **more: Any) -> dict[str, Any]:
    return {"metadata": {"name": name}, "rules": list(rules), **more}


def _binding(name: str, kind: str, role: str, subject: str = "{name}-lena") -> dict[str, Any]:
    return {
        "metadata": {"name": name},
        "roleRef": {"apiGroup": _GROUP, "kind": kind, "name": role},
        "subjects": [{"apiGroup": _GROUP, "kind": "User", "name": subject}],
    }


_WRITER: Final = {
    "verbs": _WRITES,
    "apiGroups": [_GROUP],
    "resources": ["roles", "rolebindings", "clusterroles", "clusterrolebindings"],
}


def _granted(verb: str, plural: str, group: str = _GROUP, **more: str) -> Step:
    """Wait until the user may do something: a real server's roles are read a little later."""
    attributes = {"verb": verb, "group": group, "resource": plural, "namespace": "{ns}", **more}
    return post(
        "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
        {"spec": {"resourceAttributes": attributes}},
        headers=_LENA,
        until=lambda answer: answer.at("status.allowed"),
        compare=False,
    )


def _case(name: str, *steps: Step, rules: tuple[Any, ...] = (), ready: Step | None = None) -> Case:
    """Let the user write roles and bindings in his namespace, have the rules, and take the steps."""
    given = [
        post(_CLUSTER_ROLES, _role("{name}-writer", _WRITER, *rules), compare=False),
        post(
            _CLUSTER_BINDINGS,
            _binding("{name}-writer", "ClusterRole", "{name}-writer"),
            compare=False,
        ),
        ready or _granted("create", "roles"),
    ]
    made = (
        f"{_CLUSTER_BINDINGS}/{{name}}-writer",
        f"{_CLUSTER_ROLES}/{{name}}-writer",
        f"{_CLUSTER_ROLES}/{{name}}-new",
        f"{_CLUSTER_BINDINGS}/{{name}}-new",
    )
    return Case(f"grants: {name}", [*given, *steps], cleanup=made)


def _create(path: str, body: Any) -> Step:
    return post(path, body, headers=_LENA)


_READ_PODS: Final = _rule("get list", "pods")
_EVERYTHING: Final = {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}
_EVERY_PATH: Final = {"verbs": ["*"], "nonResourceURLs": ["*"]}
_MAY_ESCALATE: Final = _rule("escalate", "roles clusterroles", _GROUP)
_MAY_BIND: Final = _rule("bind", "clusterroles", _GROUP, "view")


def _subresource(name: str, steps: list[Step], *rules: Any, ready: Step) -> Case:
    return _case(f"subresource, {name}", *steps, rules=rules, ready=ready)


def _request(subject: x509.Name, *names: x509.GeneralName) -> str:
    """Return a certificate request, as a CertificateSigningRequest holds it."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    pem = builder.sign(_KEY, hashes.SHA256()).public_bytes(Encoding.PEM)
    return base64.b64encode(pem).decode()


def _subject(organization: str, name: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization),
            x509.NameAttribute(NameOID.COMMON_NAME, name),
        ]
    )


def _signing(request: str, signer: str, usages: str) -> dict[str, Any]:
    spec = {
        "request": request,
        "signerName": f"kubernetes.io/{signer}",
        "usages": usages.split(","),
    }
    return {"metadata": {"name": "{name}-csr"}, "spec": spec}


_KEY: Final = new_key()
_REQUESTS: Final = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
_CSR: Final = f"{_REQUESTS}/{{name}}-csr"
_ADMINISTRATOR: Final = (
    *("spec.groups", "spec.username", "spec.extra", "spec.uid"),
    # the server does not fill in the times of a decision
    *("status.conditions.*.lastUpdateTime", "status.conditions.*.lastTransitionTime"),
)
_APPROVED: Final = {
    "status": {
        "conditions": [{"type": "Approved", "status": "True", "reason": "r", "message": "m"}]
    }
}
_SIGNED: Final = _APPROVED["status"]["conditions"][0] | {"type": "Failed"}
_TEAM: Final = _subject("team", "x")
_NODE: Final = _subject("system:nodes", "system:node:n")


def _judged(name: str, request: str, signer: str, usages: str) -> Case:
    """Let the administrator approve a request, and see what its signer says."""
    steps = [
        post(_REQUESTS, _signing(request, signer, usages), mask=_ADMINISTRATOR),
        patch(f"{_CSR}/approval", _APPROVED, compare=False),
        get(
            _CSR,
            mask=(*_ADMINISTRATOR, "status.certificate"),
            until=lambda it: it.at("status.certificate") or it.at("status.conditions.1"),
        ),
    ]
    return Case(f"grants: signer, {name}", steps, cleanup=(_CSR,))


_MAY_DECIDE: Final = _rule(
    "get create patch update",
    "certificatesigningrequests certificatesigningrequests/approval"
    " certificatesigningrequests/status",
    "certificates.k8s.io",
)
_MAY_APPROVE: Final = _rule(
    "approve sign", "signers", "certificates.k8s.io", "kubernetes.io/kube-apiserver-client"
)


def _deciding(name: str, *rules: Any, ready: Step) -> Case:
    made = _signing(_request(_TEAM), "kube-apiserver-client", "client auth")
    through_status = [
        patch(f"{_CSR}/status", _APPROVED, headers=_LENA, mask=_ADMINISTRATOR) for _ in rules[:1]
    ]  # without the right to sign it is wrong twice, and only what is said first would differ
    case = _case(
        name,
        post(_REQUESTS, made, mask=_ADMINISTRATOR),
        patch(
            f"{_CSR}/status",
            {"status": {"conditions": [_SIGNED]}},
            headers=_LENA,
            mask=_ADMINISTRATOR,
        ),
        patch(
            f"{_CSR}/status",
            {"metadata": {"labels": {"a": "b"}}},
            headers=_LENA,
            mask=_ADMINISTRATOR,
        ),
        *through_status,
        patch(f"{_CSR}/approval", _APPROVED, headers=_LENA, mask=_ADMINISTRATOR),
        rules=(_MAY_DECIDE, *rules),
        ready=ready,
    )
    return replace(case, cleanup=(*case.cleanup, _CSR))


CASES: Final[list[Case]] = [
    Case(
        "grants: signer, a member of system:masters",
        [
            post(
                _REQUESTS,
                _signing(
                    _request(_subject("system:masters", "x")), "kube-apiserver-client", "client auth"
                ),
            )
        ],
        cleanup=(_CSR,),
    ),
    _judged("a client", _request(_TEAM), "kube-apiserver-client", "client auth"),
    _judged("a client that serves", _request(_TEAM), "kube-apiserver-client",
            "client auth,server auth"),
    _judged("a client that is none", _request(_TEAM), "kube-apiserver-client", "digital signature"),
    _judged("a kubelet", _request(_NODE), "kube-apiserver-client-kubelet",
            "client auth,digital signature"),
    _judged("a kubelet of nobody", _request(_TEAM), "kube-apiserver-client-kubelet",
            "client auth,digital signature"),
    _judged("a kubelet that is no node", _request(_subject("system:nodes", "x")),
            "kube-apiserver-client-kubelet", "client auth,digital signature"),
    _judged("a kubelet with a name", _request(_NODE, x509.DNSName("n")),
            "kube-apiserver-client-kubelet", "client auth,digital signature"),
    _judged("a kubelet of other use", _request(_NODE), "kube-apiserver-client-kubelet",
            "client auth"),
    _judged("a kubelet serves", _request(_NODE, x509.DNSName("n")), "kubelet-serving",
            "server auth,digital signature,key encipherment"),
    _judged("a kubelet serves no name", _request(_NODE), "kubelet-serving",
            "server auth,digital signature"),
    _judged("a kubelet serves mail", _request(_NODE, x509.DNSName("n"), x509.RFC822Name("a@b.c")),
            "kubelet-serving", "server auth,digital signature"),
    _deciding("a decision without the right to it",
              ready=_granted("patch", "certificatesigningrequests", "certificates.k8s.io",
                             subresource="status")),
    _deciding("a decision with the right to it", _MAY_APPROVE,
              ready=_granted("approve", "signers", "certificates.k8s.io",
                             name="kubernetes.io/kube-apiserver-client")),
    _case(
        "a role beyond one's rights",
        _create(_ROLES, _role("r", _rule("get delete", "pods pods/log"))),
        _create(_ROLES, _role("r", _rule("get", "deployments", "apps", "a b"))),
        _create(_ROLES, _role("r", _EVERYTHING)),
        get(f"{_ROLES}/r"),
        rules=(_READ_PODS,),
    ),
    _case(
        "a role within one's rights",
        _create(_ROLES, _role("r", _rule("get", "pods", "", "x"))),
        _create(_ROLES, _role("empty")),
        rules=(_READ_PODS,),
    ),
    _case(
        "names, subresources and groups are rights of their own",
        _create(_ROLES, _role("a", _rule("get", "pods"))),
        _create(_ROLES, _role("b", _rule("get", "pods", "", "x y"))),
        _create(_ROLES, _role("c", _rule("get", "deployments/scale", "apps"))),
        _create(_ROLES, _role("d", _rule("get", "deployments", "apps"))),
        _create(_ROLES, _role("e", _rule("get", "*/scale", "apps"))),
        rules=(_rule("get", "pods", "", "x"), _rule("get", "*/scale", "apps")),
    ),
    _case(
        "paths",
        _create(_CLUSTER_ROLES, _role("{name}-new", {"verbs": ["get"], "nonResourceURLs": ["/b"]})),
        _create(
            _CLUSTER_ROLES, _role("{name}-new", {"verbs": ["get"], "nonResourceURLs": ["/a/b"]})
        ),
        rules=({"verbs": ["get"], "nonResourceURLs": ["/a/*"]},),
    ),
    _case(
        "invalid and beyond one's rights",
        _create(_ROLES, _role("r", _rule("", "pods"), _rule("get", "secrets"))),
    ),
    _case(
        "an aggregated role",
        _create(
            _CLUSTER_ROLES,
            _role(
                "{name}-new",
                aggregationRule={"clusterRoleSelectors": [{"matchLabels": {"a": "b"}}]},
            ),
        ),
    ),
    _case(
        "a change of a role",
        post(_ROLES, _role("r", _rule("get", "secrets")), compare=False),
        patch(f"{_ROLES}/r", {"metadata": {"labels": {"a": "b"}}}, headers=_LENA),
        patch(f"{_ROLES}/r", {"metadata": {"finalizers": ["a.b/c"]}}, headers=_LENA),
        patch(f"{_ROLES}/r", {"metadata": {"finalizers": None}}, headers=_LENA),
        patch(f"{_ROLES}/r", {"rules": [_EVERYTHING]}, headers=_LENA),
        put(f"{_ROLES}/r", _role("r", _rule("list", "secrets")), headers=_LENA),
        patch(f"{_ROLES}/r", {"rules": []}, headers=_LENA),
        delete(f"{_ROLES}/r", headers=_LENA),
    ),
    _case(
        "an apply",
        patch(
            f"{_ROLES}/r?fieldManager=m",
            {"apiVersion": f"{_GROUP}/v1", "kind": "Role", **_role("r", _EVERYTHING)},
            "application/apply-patch+yaml",
            headers=_LENA,
        ),
    ),
    _case(
        "a dry run",
        post(f"{_ROLES}?dryRun=All", _role("r", _EVERYTHING), headers=_LENA),
    ),
    _case(
        "with the verb escalate",
        _create(_ROLES, _role("r", _EVERYTHING)),
        _create(_CLUSTER_ROLES, _role("{name}-new", _EVERYTHING, _EVERY_PATH)),
        _create(_ROLE_BINDINGS, _binding("b", "Role", "r")),
        rules=(_MAY_ESCALATE,),
        ready=_granted("escalate", "roles"),
    ),
    _case(
        "a binding beyond one's rights",
        _create(_ROLE_BINDINGS, _binding("b", "ClusterRole", "system:node-proxier")),
        _create(_CLUSTER_BINDINGS, _binding("{name}-new", "ClusterRole", "cluster-admin")),
    ),
    _case(
        "a binding within one's rights",
        _create(_ROLE_BINDINGS, _binding("b", "ClusterRole", "{name}-writer", "{name}-kim")),
        _create(_ROLE_BINDINGS, _binding("c", "ClusterRole", "system:basic-user")),
    ),
    _case(
        "a binding to what is not there",
        _create(_ROLE_BINDINGS, _binding("b", "Role", "none")),
        _create(_ROLE_BINDINGS, _binding("b", "ClusterRole", "{name}-none")),
        _create(_CLUSTER_BINDINGS, _binding("{name}-new", "ClusterRole", "{name}-none")),
        _create(_ROLE_BINDINGS, _binding("b", "Roll", "none")),
    ),
    _case(
        "a change of a binding",
        post(_ROLE_BINDINGS, _binding("b", "ClusterRole", "view"), compare=False),
        patch(f"{_ROLE_BINDINGS}/b", {"metadata": {"labels": {"a": "b"}}}, headers=_LENA,
              mask=("message",)),
        patch(f"{_ROLE_BINDINGS}/b", {"subjects": []}, MERGE, headers=_LENA, mask=("message",)),
        delete(f"{_ROLE_BINDINGS}/b", headers=_LENA),
    ),
    _case(
        "with the verb bind",
        _create(_ROLE_BINDINGS, _binding("b", "ClusterRole", "view")),
        _create(_ROLE_BINDINGS, _binding("c", "ClusterRole", "system:node-proxier")),
        rules=(_MAY_BIND,),
        ready=_granted("bind", "clusterroles", name="view"),
    ),
    _subresource(
        "the object's right is not enough",
        [
            get(f"{_PODS}/p/log", headers=_LENA),
            patch(f"{_PODS}/p/status", {}, headers=_LENA),
            post(f"{_PODS}/p/exec?command=ls", {}, headers=_LENA),
            post(f"{_PODS}/p/eviction", {}, headers=_LENA),
            post("/api/v1/namespaces/{ns}/serviceaccounts/default/token", {}, headers=_LENA),
            get(f"{_PODS}/p", headers=_LENA),
        ],
        _rule("* get patch create", "pods serviceaccounts"),
        ready=_granted("get", "pods", ""),
    ),
    _subresource(
        "its own right is enough",
        [
            get(f"{_PODS}/p/log", headers=_LENA),
            get(f"{_PODS}/p", headers=_LENA),
            patch("/apis/apps/v1/namespaces/{ns}/deployments/d/scale", {}, headers=_LENA),
        ],
        _rule("get", "pods/log"),
        _rule("patch", "*/scale", "apps"),
        ready=_granted("get", "pods", "", subresource="log"),
    ),
    _subresource(
        "a tunnel by GET",
        [
            get(f"{_PODS}/p/portforward?ports=80", headers=_LENA),
            get(f"{_PODS}/p/exec?command=ls", headers=_LENA),
            get(f"{_PODS}/p/attach", headers=_LENA),
            get(f"{_PODS}/p/log", headers=_LENA),
        ],
        _rule("get", "pods/portforward pods/exec pods/attach pods/log"),
        ready=_granted("get", "pods", "", subresource="portforward"),
    ),
    _case(
        "acting as others takes rights",
        post(
            "/apis/authentication.k8s.io/v1/selfsubjectreviews", {},
            headers={"Impersonate-User": "{name}-lena", "Impersonate-Group": "{name}-team"},
        ),
        get("/api/v1/namespaces/{ns}", headers={"Impersonate-Uid": "1"}),
    ),
    Case(
        "grants: anonymous",
        [
            get("/api/v1/namespaces/{ns}/pods", credentials=False),
            get("/apis", credentials=False),
            get("/healthz", credentials=False),
            get("/version", credentials=False, mask=_BUILD),
            get("/version/", credentials=False, mask=_BUILD),
            get("/livez/ping", credentials=False),
            get("/metrics", credentials=False),
            get("/openapi/v2", credentials=False),
            post(_ROLES, _role("r", _EVERYTHING), credentials=False),
        ],
    ),
]  # fmt: skip
