"""The manifests: every reference holds, names are the original's, rights are few.

Each check runs on the files as they stand and, where kubectl is installed, on what it builds from them;
a machine without kubectl still finds a wrong name, a missing file or a right too many.
"""

from __future__ import annotations

import functools
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from capim.api import infrastructure
from coordinator.admission import WEBHOOKS
from coordinator.rights import CLUSTER_RIGHTS, OWN_RIGHTS, Right
from tests.unit.deploy.assemble import DEPLOY, PREFIX, kustomization, load, resource_files

if TYPE_CHECKING:
    from capim.api.meta import JsonObject

DEFAULT = DEPLOY / "default"


@functools.cache
def written() -> tuple[JsonObject, ...]:
    return tuple(document for path in resource_files(DEFAULT) for document in load(path))


@functools.cache
def built() -> tuple[JsonObject, ...]:
    kubectl = subprocess.run(
        ["kubectl", "kustomize", str(DEFAULT)],
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert kubectl.returncode == 0, kubectl.stderr
    return tuple(yaml.safe_load_all(kubectl.stdout))


SOURCES = {"written": written, **({"built": built} if shutil.which("kubectl") else {})}


@pytest.fixture(params=sorted(SOURCES))
def documents(request: pytest.FixtureRequest) -> tuple[JsonObject, ...]:
    found: tuple[JsonObject, ...] = SOURCES[request.param]()
    return found


def one(documents: tuple[JsonObject, ...], kind: str, name: str = "") -> JsonObject:
    candidates = [document for document in documents if document["kind"] == kind]
    if name:
        candidates = [
            document
            for document in candidates
            if document["metadata"]["name"].removeprefix(PREFIX) == name
        ]
    (found,) = candidates
    return found


def container(documents: tuple[JsonObject, ...]) -> JsonObject:
    deployment = one(documents, "Deployment", "controller-manager")
    (found,) = deployment["spec"]["template"]["spec"]["containers"]
    return dict(found)


# --- files -------------------------------------------------------------------------------------------


def test_every_file_is_used_and_every_used_file_exists() -> None:
    used = set()
    for folder in (path.parent for path in DEPLOY.rglob("kustomization.yaml")):
        spec = kustomization(folder)
        extra = [patch["path"] for patch in spec.get("patches", []) if "path" in patch]
        extra += ["kustomization.yaml", *spec.get("configurations", [])]
        used |= {(folder / name).resolve() for name in extra} | set(resource_files(folder))
    used |= {path.resolve() for path in (DEPLOY / "templates").iterdir()}
    used |= {(DEPLOY / "metadata.yaml").resolve()}
    assert sorted(path for path in used if not path.is_file()) == []
    assert sorted(set(DEPLOY.rglob("*.yaml")) - used) == []
    folders = {path.parent for path in DEPLOY.rglob("kustomization.yaml")}
    assert {path.parent.name for path in folders} <= {"deploy", "components", "overlays"}


def test_every_replacement_has_its_source_and_targets() -> None:
    for replacement in kustomization(DEFAULT)["replacements"]:
        source = replacement["source"]
        assert value_at(one(written(), source["kind"], source["name"]), source["fieldPath"])
        for target in replacement["targets"]:
            select = target["select"]
            matching = [
                document
                for document in written()
                if select.get("group", "") in document["apiVersion"]
                and select.get("kind", document["kind"]) == document["kind"]
                and select.get("name", document["metadata"]["name"]) == document["metadata"]["name"]
            ]
            assert matching, select
            in_files = [path for path in target["fieldPaths"] if "annotations" not in path]
            assert all(value_at(document, path) for document in matching for path in in_files)


def value_at(document: Any, path: str) -> Any:
    """Follow a kustomize field path: names, indices and `[key=value]`."""
    for step in path.split("."):
        if step.startswith("["):
            key, _, wanted = step.strip("[]").partition("=")
            (document,) = [item for item in document if item[key] == wanted]
        else:
            document = document[int(step) if step.isdigit() else step]
    return document


# --- names and labels --------------------------------------------------------------------------------


def test_the_parts_are_the_originals_and_no_name_is_taken_twice(
    documents: tuple[JsonObject, ...],
) -> None:
    names = {
        (document["kind"], document["metadata"]["name"].removeprefix(PREFIX))
        for document in documents
        if document["kind"] not in {"CustomResourceDefinition", "Namespace"}
    }
    assert len(names) == len(documents) - len(infrastructure.KINDS) - 1
    assert names >= {
        ("Deployment", "controller-manager"),
        ("ServiceAccount", "manager"),
        ("ClusterRole", "manager-role"),
        ("ClusterRoleBinding", "manager-rolebinding"),
        ("Role", "leader-election-role"),
        ("RoleBinding", "leader-election-rolebinding"),
        ("Service", "webhook-service"),
        ("Certificate", "serving-cert"),
        ("Issuer", "selfsigned-issuer"),
        ("MutatingWebhookConfiguration", "mutating-webhook-configuration"),
        ("ValidatingWebhookConfiguration", "validating-webhook-configuration"),
    }


def test_definitions_are_those_of_our_kinds(documents: tuple[JsonObject, ...]) -> None:
    found = [document for document in documents if document["kind"] == "CustomResourceDefinition"]
    specs = {crd["metadata"]["name"]: crd["spec"] for crd in found}
    assert specs == {crd["metadata"]["name"]: crd["spec"] for crd in infrastructure.crds()}
    for crd in found:
        assert crd["metadata"]["labels"].items() >= {
            ("cluster.x-k8s.io/v1beta1", "v1alpha1"),
            ("cluster.x-k8s.io/v1beta2", "v1alpha1"),
        }


def test_the_installation_is_one_labelled_namespace() -> None:
    spec = kustomization(DEFAULT)
    assert (spec["namespace"], spec["namePrefix"]) == ("capim-system", PREFIX)
    (labels,) = spec["labels"]
    assert labels["pairs"] == {"cluster.x-k8s.io/provider": "infrastructure-in-memory"}
    assert labels["includeSelectors"] is True


@pytest.mark.skipif(
    "built" not in SOURCES, reason="needs kubectl; the check above reads the same setting"
)
def test_labels_namespace_and_prefix_reach_everything() -> None:
    for document in built():
        metadata = document["metadata"]
        assert metadata["labels"]["cluster.x-k8s.io/provider"] == "infrastructure-in-memory"
        assert metadata.get("namespace", "capim-system") == "capim-system"
        if document["kind"] != "CustomResourceDefinition":
            assert metadata["name"].startswith(PREFIX)
    assert "system" not in {document["metadata"].get("namespace") for document in built()}


@pytest.mark.skipif(
    "built" not in SOURCES, reason="needs kubectl; sources and targets are checked above"
)
def test_replaced_values_fit_together() -> None:
    deployment, certificate = one(built(), "Deployment"), one(built(), "Certificate")
    env = {entry["name"]: entry.get("value") for entry in container(built())["env"]}
    assert (
        env["ADVERTISED_SERVICE"]
        == one(built(), "Service", "workload-clusters")["metadata"]["name"]
    )
    assert certificate["spec"]["dnsNames"] == [
        "capim-webhook-service.capim-system.svc",
        "capim-webhook-service.capim-system.svc.cluster.local",
    ]
    assert certificate["spec"]["issuerRef"]["name"] == one(built(), "Issuer")["metadata"]["name"]
    secrets = [volume.get("secret") for volume in deployment["spec"]["template"]["spec"]["volumes"]]
    assert {"secretName": certificate["spec"]["secretName"]} in secrets
    for kind in ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"):
        annotations = one(built(), kind)["metadata"]["annotations"]
        assert annotations["cert-manager.io/inject-ca-from"] == "capim-system/capim-serving-cert"


# --- webhooks ----------------------------------------------------------------------------------------


def test_webhooks_ask_the_paths_that_are_answered(documents: tuple[JsonObject, ...]) -> None:
    asked = {}
    for kind, prefix in (("Mutating", "default"), ("Validating", "validation")):
        for webhook in one(documents, f"{kind}WebhookConfiguration")["webhooks"]:
            (rule,) = webhook["rules"]
            (plural,) = rule["resources"]
            service = webhook["clientConfig"]["service"]
            assert service["name"].removeprefix(PREFIX) == "webhook-service"
            assert webhook["name"] == f"{prefix}.{plural[:-1]}.infrastructure.cluster.x-k8s.io"
            assert webhook["admissionReviewVersions"] == ["v1", "v1beta1"]
            assert (webhook["failurePolicy"], webhook["sideEffects"]) == ("Fail", "None")
            assert rule["operations"] == ["CREATE", "UPDATE"]
            assert rule["apiVersions"] == ["v1alpha1"]
            asked[service["path"]] = (kind == "Mutating", plural)
    assert asked == {path: (hook.mutates, hook.kind.plural) for path, hook in WEBHOOKS.items()}


def test_the_webhook_service_reaches_the_container(documents: tuple[JsonObject, ...]) -> None:
    service = one(documents, "Service", "webhook-service")
    template = one(documents, "Deployment")["spec"]["template"]
    assert service["spec"]["selector"].items() <= template["metadata"]["labels"].items()
    (port,) = service["spec"]["ports"]
    ports = {entry["name"]: entry["containerPort"] for entry in container(documents)["ports"]}
    assert (port["port"], ports[port["targetPort"]]) == (443, 9443)
    assert ports == {"healthz": 9440, "metrics": 8443, "webhook-server": 9443}


# --- the pod -----------------------------------------------------------------------------------------


def test_the_container_is_as_clusterctl_and_the_original_have_it(
    documents: tuple[JsonObject, ...],
) -> None:
    manager = container(documents)
    assert (manager["name"], manager["command"]) == ("manager", ["/manager"])
    assert manager["args"][:3] == [
        "--leader-elect",
        "--diagnostics-address=${CAPI_DIAGNOSTICS_ADDRESS:=:8443}",
        "--insecure-diagnostics=${CAPI_INSECURE_DIAGNOSTICS:=false}",
    ]
    fields = {
        entry["name"]: entry["valueFrom"]["fieldRef"]["fieldPath"]
        for entry in manager["env"]
        if "valueFrom" in entry
    }
    assert fields["POD_IP"] == "status.podIP"
    probes = [manager[probe]["httpGet"] for probe in ("livenessProbe", "readinessProbe")]
    assert probes == [
        {"path": "/healthz", "port": "healthz"},
        {"path": "/readyz", "port": "healthz"},
    ]


def test_every_variable_in_the_arguments_is_in_the_environment(
    documents: tuple[JsonObject, ...],
) -> None:
    manager = container(documents)
    names = {entry["name"] for entry in manager["env"]}
    for argument in manager["args"]:
        wanted = {part.partition(")")[0] for part in argument.split("$(")[1:]}
        assert wanted <= names


def test_one_manager_at_a_time_without_privileges(documents: tuple[JsonObject, ...]) -> None:
    spec = one(documents, "Deployment")["spec"]
    assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"})
    pod = spec["template"]["spec"]
    assert pod["securityContext"] == {
        "runAsNonRoot": True,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert container(documents)["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "privileged": False,
        "readOnlyRootFilesystem": True,
        "runAsUser": 65532,
        "runAsGroup": 65532,
    }


def test_the_runtime_folder_can_be_written_to(documents: tuple[JsonObject, ...]) -> None:
    manager = container(documents)
    folder = next(entry["value"] for entry in manager["env"] if entry["name"] == "TMPDIR")
    mounts = {mount["mountPath"]: mount["name"] for mount in manager["volumeMounts"]}
    volumes = one(documents, "Deployment")["spec"]["template"]["spec"]["volumes"]
    assert "emptyDir" in next(volume for volume in volumes if volume["name"] == mounts[folder])
    assert {volume["name"] for volume in volumes} == set(mounts.values())


def test_workload_clusters_have_a_host_that_outlives_the_pod(
    documents: tuple[JsonObject, ...],
) -> None:
    spec = one(documents, "Service", "workload-clusters")["spec"]
    labels = one(documents, "Deployment")["spec"]["template"]["metadata"]["labels"]
    assert (spec["clusterIP"], spec["publishNotReadyAddresses"]) == ("None", True)
    assert spec["selector"].items() <= labels.items()


# --- rights ------------------------------------------------------------------------------------------


def rights(role: JsonObject) -> dict[str, str]:
    """Return what a role allows: `group/resource` -> verbs, in order of the alphabet."""
    return {
        f"{group}/{resource}": " ".join(sorted(rule["verbs"]))
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    }


FULL = "create delete get list patch update watch"
OURS = "infrastructure.cluster.x-k8s.io"


def test_the_manager_may_do_what_it_does_and_no_more(documents: tuple[JsonObject, ...]) -> None:
    role = one(documents, "ClusterRole", "manager-role")
    assert rights(role) == told(CLUSTER_RIGHTS)
    assert rights(one(documents, "Role")) == told(OWN_RIGHTS)
    assert not {"*", "escalate", "impersonate"} & set(" ".join(rights(role).values()).split())


def told(table: tuple[Right, ...]) -> dict[str, str]:
    return {f"{it.group}/{it.resource}": " ".join(sorted(it.verbs)) for it in table}


def test_cluster_apis_managers_may_handle_our_kinds(documents: tuple[JsonObject, ...]) -> None:
    role = one(documents, "ClusterRole", "aggregated-role")
    assert role["metadata"]["labels"]["cluster.x-k8s.io/aggregate-to-manager"] == "true"
    assert rights(role) == {f"{OURS}/{kind.plural}": FULL for kind in infrastructure.KINDS.values()}


@pytest.mark.parametrize(
    ("binding", "role"), [("ClusterRoleBinding", "ClusterRole"), ("RoleBinding", "Role")]
)
def test_rights_are_bound_to_the_pods_account(
    documents: tuple[JsonObject, ...], binding: str, role: str
) -> None:
    bound = one(documents, binding)
    account = one(documents, "ServiceAccount")
    name = bound["roleRef"]["name"].removeprefix(PREFIX)
    assert one(documents, role, name)["metadata"]["name"] == bound["roleRef"]["name"]
    (subject,) = bound["subjects"]
    assert subject["name"] == account["metadata"]["name"]
    assert subject["namespace"] == account["metadata"]["namespace"]
    pod = one(documents, "Deployment")["spec"]["template"]["spec"]
    assert pod["serviceAccountName"] == account["metadata"]["name"]
