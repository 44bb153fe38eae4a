"""The API server as a client sees it: verbs, refusals, negotiation, authentication, counts."""

from __future__ import annotations

import base64

import pytest
from prometheus_client import generate_latest

from capim.aio.clock import ManualClock
from capim.server.metrics import Metrics
from tests.support.memory import MemoryClient, make_api
from tests.support.served import make_served, resource

PUBLIC = "/api/v1/namespaces/kube-public/configmaps"
NODES = "/api/v1/nodes"
PODS = "/api/v1/namespaces/default/pods"
MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"


@pytest.fixture
def client() -> MemoryClient:
    return MemoryClient(make_api())


def test_life_of_an_object(client: MemoryClient) -> None:
    made = client.ask("POST", NODES, {"metadata": {"name": "a"}})
    assert made.status == 201
    assert made.json()["kind"] == "Node"
    read = client.ask("GET", f"{NODES}/a")
    assert (read.status, read.body) == (200, made.body)
    changed = made.json() | {"spec": {"providerID": "in-memory://a"}}
    put = client.ask("PUT", f"{NODES}/a", changed)
    assert put.status == 200
    assert put.json()["spec"] == {"providerID": "in-memory://a"}
    assert client.ask("PUT", f"{NODES}/a", changed).json()["reason"] == "Conflict"
    patched = client.ask(
        "PATCH", f"{NODES}/a", {"spec": {"unschedulable": True}}, Content_Type=MERGE
    )
    assert patched.json()["spec"]["unschedulable"] is True
    gone = client.ask("DELETE", f"{NODES}/a").json()
    assert gone["status"] == "Success"
    assert gone["details"] == {"name": "a", "kind": "nodes", "uid": made.json()["metadata"]["uid"]}
    assert client.ask("GET", f"{NODES}/a").status == 404


def test_list_is_the_stored_bytes_joined(client: MemoryClient) -> None:
    for name in ("b", "a"):
        client.ask("POST", NODES, {"metadata": {"name": name}})
    answer = client.ask("GET", NODES)
    body = answer.json()
    assert (body["kind"], body["apiVersion"]) == ("NodeList", "v1")
    assert [item["metadata"]["name"] for item in body["items"]] == ["a", "b"]
    assert int(body["metadata"]["resourceVersion"]) >= 1005
    stored = client.ask("GET", f"{NODES}/a").body.removesuffix(b"\n")
    assert stored.removeprefix(b'{"apiVersion":"v1","kind":"Node",') in answer.body
    assert answer.body.count(b'"kind"') == 1


@pytest.mark.parametrize("accept", ["application/json", "application/json, */*"])
def test_what_is_read_as_json_is_not_written_anew(
    client: MemoryClient, accept: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.ask("POST", NODES, {"metadata": {"name": "a"}})
    monkeypatch.delattr("capim.server.recurring.writer_for")
    for path in (NODES, f"{NODES}/a"):
        assert client.ask("GET", path, Accept=accept).status == 200


def test_list_in_pages_with_selectors(client: MemoryClient) -> None:
    for name in ("a", "b", "c"):
        labels = {"pick": str(name != "b").lower()}
        client.ask("POST", NODES, {"metadata": {"name": name, "labels": labels}})
    first = client.ask("GET", f"{NODES}?limit=1").json()
    assert first["metadata"]["remainingItemCount"] == 2
    token = first["metadata"]["continue"]
    rest = client.ask("GET", f"{NODES}?limit=5&continue={token}").json()
    assert [item["metadata"]["name"] for item in rest["items"]] == ["b", "c"]
    picked = client.ask("GET", f"{NODES}?labelSelector=pick%20in%20(true)").json()
    assert [item["metadata"]["name"] for item in picked["items"]] == ["a", "c"]
    named = client.ask("GET", f"{NODES}?fieldSelector=metadata.name%3Db").json()
    assert [item["metadata"]["name"] for item in named["items"]] == ["b"]


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("resourceVersion=0", 200),
        ("resourceVersion=1001&resourceVersionMatch=NotOlderThan", 200),
        ("resourceVersion=1003&resourceVersionMatch=Exact", 200),
        ("resourceVersion=5&resourceVersionMatch=Exact", 410),
        ("resourceVersion=99999", 504),
        ("resourceVersion=x", 400),
        ("resourceVersionMatch=Exact", 422),
        ("resourceVersion=0&resourceVersionMatch=Exact", 422),
        ("resourceVersion=1001&resourceVersionMatch=Near", 422),
        ("resourceVersion=7&continue=x", 400),
        ("continue=x", 400),
        ("limit=-1", 200),
        ("limit=x", 400),
        ("limit=99999999999999999999", 400),
        ("labelSelector=a%20in", 400),
        ("fieldSelector=a", 400),
    ],
)
def test_list_parameters(client: MemoryClient, query: str, status: int) -> None:
    assert client.ask("GET", f"/api/v1/namespaces?{query}").status == status


def test_generated_name_and_dry_run(client: MemoryClient) -> None:
    body = {"metadata": {"generateName": "p-"}}
    tried = client.ask("POST", f"{PODS}?dryRun=All&fieldManager=me", body)
    assert tried.status == 201
    assert client.ask("GET", PODS).json()["items"] == []
    name = client.ask("POST", PODS, body).json()["metadata"]["name"]
    assert name.startswith("p-")
    assert client.ask("DELETE", f"{PODS}/{name}", {"dryRun": ["All"]}).status == 200
    assert client.ask("GET", f"{PODS}/{name}").status == 200
    assert client.ask("POST", f"{PODS}?dryRun=Some", body).status == 422


def test_status_is_written_through_its_subresource(client: MemoryClient) -> None:
    client.ask("POST", PODS, {"metadata": {"name": "p"}, "spec": {"nodeName": "n"}})
    patch = {"spec": {"nodeName": "x"}, "status": {"phase": "Running"}}
    answer = client.ask("PATCH", f"{PODS}/p/status", patch, Content_Type=STRATEGIC)
    assert answer.json()["status"]["phase"] == "Running"
    assert answer.json()["spec"] == {"nodeName": "n"}
    assert client.ask("GET", f"{PODS}/p/status").body == answer.body


def test_scale_is_a_view_of_its_own(client: MemoryClient) -> None:
    path = "/apis/apps/v1/namespaces/default/deployments"
    client.ask("POST", path, {"metadata": {"name": "d"}, "spec": {"replicas": 1}})
    scale = client.ask("GET", f"{path}/d/scale").json()
    assert (scale["kind"], scale["spec"]["replicas"]) == ("Scale", 1)
    put = client.ask("PUT", f"{path}/d/scale", scale | {"spec": {"replicas": 4}})
    assert (put.json()["kind"], put.json()["spec"]["replicas"]) == ("Scale", 4)
    assert client.ask("GET", f"{path}/d").json()["spec"]["replicas"] == 4


def test_eviction_deletes_the_pod(client: MemoryClient) -> None:
    client.ask("POST", PODS, {"metadata": {"name": "p"}})
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "p"}}
    tried = client.ask("POST", f"{PODS}/p/eviction?dryRun=All", eviction)
    assert (tried.status, tried.json()["status"]) == (201, "Success")
    assert client.ask("GET", f"{PODS}/p").status == 200
    assert client.ask("POST", f"{PODS}/p/eviction", eviction).status == 201
    assert client.ask("POST", f"{PODS}/p/eviction", eviction).status == 404
    assert client.ask("POST", f"{PODS}/p/eviction", {"kind": "Pod"}).status == 400


def test_deletecollection_returns_what_it_deleted(client: MemoryClient) -> None:
    for name in ("a", "b"):
        client.ask("POST", PODS, {"metadata": {"name": name, "labels": {"it": name}}})
    answer = client.ask("DELETE", f"{PODS}?labelSelector=it%3Da")
    assert answer.json()["kind"] == "PodList"
    left = client.ask("GET", PODS).json()["items"]
    assert [item["metadata"]["name"] for item in left] == ["b"]


def test_delete_precondition(client: MemoryClient) -> None:
    client.ask("POST", PODS, {"metadata": {"name": "a"}})
    assert client.ask("DELETE", f"{PODS}/a", {"preconditions": {"uid": "x"}}).status == 409


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "reason"),
    [
        pytest.param("GET", f"{NODES}/a", None, 404, "NotFound", id="absent"),
        pytest.param("PATCH", f"{NODES}/a", {}, 404, "NotFound", id="patch-absent"),
        pytest.param("GET", "/apis/apps/v9", None, 404, "NotFound", id="version-of-a-group"),
        pytest.param("GET", "/api/v2/pods", None, 404, "NotFound", id="core-version"),
        pytest.param("PUT", "/version", None, 405, "MethodNotAllowed", id="method"),
        pytest.param(
            "POST",
            "/api/v1/namespaces",
            {"metadata": {"name": "default"}},
            409,
            "AlreadyExists",
            id="exists",
        ),
        pytest.param("POST", NODES, {"kind": "Pod"}, 400, "BadRequest", id="other-kind"),
        pytest.param("POST", NODES, b"{", 400, "BadRequest", id="broken"),
        pytest.param(
            "POST", f"{PODS}/p/portforward", None, 405, "MethodNotAllowed", id="no-tunnel"
        ),
    ],
)
def test_refusal_is_a_status(
    client: MemoryClient, method: str, path: str, body: object, status: int, reason: str
) -> None:
    answer = client.ask(method, path, body, Content_Type=MERGE if method == "PATCH" else "")
    assert answer.status == status
    said = answer.json()
    assert (said["kind"], said["apiVersion"], said["status"]) == ("Status", "v1", "Failure")
    assert (said["reason"], said["code"]) == (reason, status)


@pytest.mark.parametrize("path", ["/nothing", "/apis/none", "/apis/none/v1/things", "/livez/none"])
def test_outside_of_every_group_is_a_page_of_text(client: MemoryClient, path: str) -> None:
    answer = client.ask("GET", path)
    assert (answer.status, answer.body) == (404, b"404 page not found\n")
    assert answer.headers["Content-Type"].startswith("text/plain")


def test_get_at_a_version(client: MemoryClient) -> None:
    client.ask("POST", NODES, {"metadata": {"name": "a"}})
    assert client.ask("GET", f"{NODES}/a?resourceVersion=1").status == 200
    assert client.ask("GET", f"{NODES}/a?resourceVersion=99999").status == 504
    answer = client.ask("GET", f"{NODES}/a?resourceVersion=x")
    assert (answer.status, "reason" in answer.json()) == (500, False)


def test_cause_has_the_reason_of_its_text(client: MemoryClient) -> None:
    status = client.ask("GET", f"{NODES}?resourceVersionMatch=Other").json()
    reasons = [cause["reason"] for cause in status["details"]["causes"]]
    assert reasons == ["FieldValueForbidden", "FieldValueNotSupported"]


def test_unsupported_formats(client: MemoryClient) -> None:
    assert client.ask("POST", NODES, {}, Content_Type="text/plain").status == 415
    assert client.ask("GET", NODES, Accept="text/html").status == 406
    both = "application/vnd.kubernetes.protobuf;type=x, application/json"
    assert client.ask("GET", NODES, Accept=both).headers["Content-Type"] == "application/json"


def test_too_large_a_body_is_a_status(client: MemoryClient) -> None:
    answer = client.ask("POST", NODES, b"x" * (3 << 20 | 1))
    assert (answer.status, answer.json()["reason"]) == (413, "RequestEntityTooLarge")


def test_failure_inside_is_500_and_logged(
    client: MemoryClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("capim.server.apiserver.respond", lambda *_: 1 // 0)
    answer = client.ask("GET", NODES)
    assert (answer.status, answer.json()["reason"]) == (500, "InternalError")


def test_other_paths(client: MemoryClient) -> None:
    assert "/api/v1" in client.ask("GET", "/").json()["paths"]
    assert client.ask("GET", "/version").json()["gitVersion"] == "v1.32.1"
    assert client.ask("GET", "/readyz").body == b"ok"
    assert client.ask("GET", "/readyz/ping").body == b"ok"
    assert client.ask("GET", "/readyz/none").status == 404
    assert b"[+]etcd ok" in client.ask("GET", "/livez?verbose").body
    assert client.ask("GET", "/api/v1/").json()["kind"] == "APIResourceList"
    versions = client.ask("GET", "/api").json()
    assert versions["serverAddressByClientCIDRs"][0]["clientCIDR"] == "0.0.0.0/0"


def test_aggregated_discovery_is_sent_once(client: MemoryClient) -> None:
    accept = {"Accept": "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"}
    first = client.ask("GET", "/apis", **accept)
    assert (first.status, first.headers["Vary"]) == (200, "Accept")
    etag = first.headers["Etag"]
    for known in (etag, f"W/{etag}", f'"other", {etag}', "*"):
        again = client.ask("GET", "/apis", **accept, **{"If-None-Match": known})
        assert (again.status, again.body, again.headers["Etag"]) == (304, b"", etag)
    other = client.ask("GET", "/apis", **accept, **{"If-None-Match": '"other"'})
    assert other.status == 200


def test_definition_of_a_kind_is_served_at_once(client: MemoryClient) -> None:
    assert client.ask("GET", "/apis/example.com/v1/namespaces/default/things").status == 404
    definition = {
        "metadata": {"name": "things.example.com"},
        "spec": {
            "group": "example.com",
            "names": {"plural": "things", "kind": "Thing"},
            "scope": "Namespaced",
            "versions": [
                {
                    "name": "v1",
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": {"type": "object"}},
                }
            ],
        },
    }
    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    assert client.ask("POST", path, definition).status == 201
    assert client.ask("GET", "/apis/example.com/v1").status == 200
    assert client.ask("GET", "/apis/example.com/v1/namespaces/default/things").status == 200


# --- who asks --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/", 401),
        (NODES, 401),
        ("/readyz", 200),
        ("/livez/ping", 200),
        ("/version", 200),
        (f"{PUBLIC}/cluster-info", 200),
        (f"{PUBLIC}/cluster-info/", 401),
        (f"{PUBLIC}/other", 401),
        (PUBLIC, 401),
        (f"{PUBLIC}?fieldSelector=metadata.name=cluster-info", 401),
    ],
)
def test_anonymous_may_see_health_and_how_to_join_alone(path: str, status: int) -> None:
    served = make_served()
    info = {"metadata": {"name": "cluster-info"}}
    served.group.create(resource("configmaps"), "kube-public", info)
    client = MemoryClient(make_api(served), peer=None)
    assert client.ask("GET", path).status == status
    assert client.ask("DELETE", path).status == 401


def test_anonymous_may_do_all_when_allowed() -> None:
    assert MemoryClient(make_api(anonymous=True), peer=None).ask("GET", NODES).status == 200


def _token_secret(**data: str) -> dict[str, object]:
    fields = {
        "token-id": "abcdef",
        "token-secret": "0123456789abcdef",
        "usage-bootstrap-authentication": "true",
        **{name.replace("_", "-"): value for name, value in data.items()},
    }
    encoded = {name: base64.b64encode(it.encode()).decode() for name, it in fields.items()}
    name = "bootstrap-token-abcdef"
    return {"metadata": {"name": name}, "type": "bootstrap.kubernetes.io/token", "data": encoded}


@pytest.mark.parametrize(
    ("token", "data", "status"),
    [
        pytest.param("abcdef.0123456789abcdef", {}, 200, id="known"),
        pytest.param("abcdef.wrong", {}, 401, id="wrong-secret"),
        pytest.param("fedcba.0123456789abcdef", {}, 401, id="unknown"),
        pytest.param("junk", {}, 401, id="junk"),
        pytest.param(
            "abcdef.0123456789abcdef", {"expiration": "2020-01-01T00:00:00Z"}, 401, id="expired"
        ),
        pytest.param(
            "abcdef.0123456789abcdef", {"expiration": "2030-01-01T00:00:00Z"}, 200, id="valid"
        ),
        pytest.param("abcdef.0123456789abcdef", {"expiration": "soon"}, 401, id="no-time"),
        pytest.param(
            "abcdef.0123456789abcdef", {"usage_bootstrap_authentication": "no"}, 401, id="other-use"
        ),
    ],
)
def test_bootstrap_token(token: str, data: dict[str, str], status: int) -> None:
    served = make_served(clock=ManualClock())
    served.group.create(resource("secrets"), "kube-system", _token_secret(**data))
    client = MemoryClient(make_api(served), peer=None)
    assert client.ask("GET", NODES, Authorization=f"Bearer {token}").status == status


# --- counts ----------------------------------------------------------------------------------------


def test_requests_are_counted_by_bounded_labels() -> None:
    metrics = Metrics()
    client = MemoryClient(make_api(metrics=metrics))
    for name in ("a", "b"):
        client.ask("GET", f"{NODES}/{name}")
    client.ask("GET", "/made/up")
    text = generate_latest(metrics.registry).decode()
    rows = [line for line in text.splitlines() if line.startswith("capim_apiserver_request_total{")]
    assert len(rows) == 2
    (node,) = [row for row in rows if 'resource="nodes"' in row]
    assert node.endswith(" 2.0")
    assert 'verb="get"' in node
    assert 'code="404"' in node
    assert 'cluster=""' in node
    assert "capim_apiserver_request_duration_seconds_bucket" in text


def test_cluster_is_a_label_only_when_asked_for_and_can_be_forgotten() -> None:
    metrics = Metrics(per_cluster=True)
    MemoryClient(make_api(metrics=metrics)).ask("GET", NODES)
    metrics.observe_etcd("Status", 0.001, "default/demo")
    assert 'cluster="default/demo"' in generate_latest(metrics.registry).decode()
    metrics.forget_cluster("default/demo")
    assert "default/demo" not in generate_latest(metrics.registry).decode()
