"""Lists: order, selectors, pages, earlier versions, bodies."""

from __future__ import annotations

import base64
import json

import pytest

from capim.api.errors import APIError
from capim.runtime.listing import Continuation, decode_continue, encode_continue, list_body
from capim.runtime.resourcegroup import ResourceGroup
from capim.wire.selectors import FieldSelector, LabelSelector
from tests.support.groups import CONFIG_MAPS, NODES, PODS, SERVED, named, names, new_group


def _token(**parts: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(parts).encode()).rstrip(b"=").decode()


@pytest.fixture
def group() -> ResourceGroup:
    group = new_group()
    for name in ("c", "a", "e", "b", "d"):
        labels = {"vowel": "yes"} if name in "ae" else {}
        group.create(CONFIG_MAPS, "default", named(name, metadata={"labels": labels}))
    group.create(CONFIG_MAPS, "other", named("z"))
    return group


def test_a_list_is_in_the_order_of_namespace_and_name(group: ResourceGroup) -> None:
    assert names(group, CONFIG_MAPS) == ["a", "b", "c", "d", "e", "z"]


def test_a_list_of_a_namespace_has_no_other(group: ResourceGroup) -> None:
    assert names(group, CONFIG_MAPS, "other") == ["z"]
    assert names(group, CONFIG_MAPS, "othe") == []


def test_labels_select(group: ResourceGroup) -> None:
    page = group.list(CONFIG_MAPS, None, labels=LabelSelector.parse("vowel in (yes,maybe)"))
    assert [stored.name for stored in page.items] == ["a", "e"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("spec.nodeName=n1", ["on-n1"]),
        ("spec.nodeName!=n1", ["nowhere"]),
        ("status.phase=Running", ["on-n1"]),
        ("status.phase=Pending", ["nowhere"]),
        ("spec.hostNetwork=true", ["on-n1"]),
        ("spec.hostNetwork=false,spec.restartPolicy=Always", ["nowhere"]),
        ("status.podIP=10.0.0.1,metadata.name=on-n1", ["on-n1"]),
        ("metadata.namespace=other", []),
    ],
)
def test_fields_of_pods_select(text: str, expected: list[str]) -> None:
    group = new_group()
    spec = {"nodeName": "n1", "hostNetwork": True}
    status = {"phase": "Running", "podIP": "10.0.0.1"}
    group.create(PODS, "default", named("on-n1", spec=spec, status=status), keep_status=True)
    group.create(PODS, "default", named("nowhere"))
    page = group.list(PODS, None, fields=FieldSelector.parse(text))
    assert [stored.name for stored in page.items] == expected


@pytest.mark.parametrize(
    ("plural", "body", "text"),
    [
        ("nodes", named("x", spec={"unschedulable": True}), "spec.unschedulable=true"),
        ("secrets", named("x", type="t"), "type=t"),
        ("namespaces", named("x"), "status.phase=Active,metadata.name=x"),
        ("events", named("x", source={"component": "c"}), "source=c"),
        ("events", named("x", reportingComponent="c"), "source=c,reportingComponent=c"),
        (
            "events",
            named("x", involvedObject={"kind": "Pod", "name": "p", "uid": "u"}, type="Normal"),
            "involvedObject.kind=Pod,involvedObject.name=p,involvedObject.uid=u,type=Normal",
        ),
    ],
)
def test_fields_of_other_kinds_select(plural: str, body: dict[str, object], text: str) -> None:
    group = new_group()
    resource = SERVED[plural]
    group.create(resource, "default" if resource.namespaced else "", body)
    page = group.list(resource, None, fields=FieldSelector.parse(text))
    assert [stored.name for stored in page.items] == ["x"]


@pytest.mark.parametrize(
    ("plural", "text"),
    [
        ("pods", "field label not supported: data.x"),
        ("configmaps", '"data.x" is not a known field selector: only "metadata.name", '),
    ],
)
def test_an_unsupported_field_is_400(group: ResourceGroup, plural: str, text: str) -> None:
    with pytest.raises(APIError) as caught:
        group.list(SERVED[plural], None, fields=FieldSelector.parse("data.x=1"))
    assert caught.value.code == 400
    assert caught.value.message.startswith(text)


def test_nodes_cannot_be_selected_by_namespace(group: ResourceGroup) -> None:
    with pytest.raises(APIError, match=r"field label not supported: metadata\.namespace"):
        group.list(NODES, None, fields=FieldSelector.parse("metadata.namespace=x"))


def test_pages_follow_each_other(group: ResourceGroup) -> None:
    first = group.list(CONFIG_MAPS, None, limit=4)
    assert [stored.name for stored in first.items] == ["a", "b", "c", "d"]
    assert first.remaining == 2
    second = group.list(CONFIG_MAPS, None, limit=4, continue_token=first.continue_token)
    assert [stored.name for stored in second.items] == ["e", "z"]
    assert (second.continue_token, second.remaining) == ("", None)


def test_a_limit_that_fits_leaves_no_token(group: ResourceGroup) -> None:
    assert group.list(CONFIG_MAPS, None, limit=6).continue_token == ""


def test_remaining_is_unknown_with_selectors(group: ResourceGroup) -> None:
    page = group.list(CONFIG_MAPS, None, labels=LabelSelector.parse("vowel"), limit=1)
    assert page.continue_token
    assert page.remaining is None


def test_all_pages_show_the_version_of_the_first(group: ResourceGroup) -> None:
    first = group.list(CONFIG_MAPS, "default", limit=2)
    group.delete(CONFIG_MAPS, "default", "c")
    group.delete(CONFIG_MAPS, "default", "a")
    group.create(CONFIG_MAPS, "default", named("bb"))
    group.create(CONFIG_MAPS, "default", named("c", data={"k": "v"}))
    changed = group.update(CONFIG_MAPS, "default", "d", named("d", data={"k": "v"}))
    second = group.list(CONFIG_MAPS, "default", limit=9, continue_token=first.continue_token)
    assert [stored.name for stored in second.items] == ["c", "d", "e"]
    assert all(stored.resource_version <= first.resource_version for stored in second.items)
    assert second.resource_version == first.resource_version < changed.resource_version


def test_an_exact_version_is_shown_as_it_was(group: ResourceGroup) -> None:
    then = group.resource_version
    group.delete(CONFIG_MAPS, "default", "a")
    page = group.list(CONFIG_MAPS, "default", at=then)
    assert [stored.name for stored in page.items] == ["a", "b", "c", "d", "e"]


def test_a_token_whose_history_is_gone_is_410() -> None:
    group = new_group(history_events=3)
    for name in "abc":
        group.create(CONFIG_MAPS, "default", named(name))
    token = group.list(CONFIG_MAPS, None, limit=1).continue_token
    for name in "defg":
        group.create(CONFIG_MAPS, "default", named(name))
    with pytest.raises(APIError) as caught:
        group.list(CONFIG_MAPS, None, limit=1, continue_token=token)
    assert (caught.value.code, caught.value.reason) == (410, "Expired")


def test_a_version_to_come_is_504(group: ResourceGroup) -> None:
    with pytest.raises(APIError) as caught:
        group.list(CONFIG_MAPS, None, at=group.resource_version + 1)
    assert caught.value.code == 504
    assert caught.value.message.startswith("Timeout: Too large resource version")


@pytest.mark.parametrize("token", ["abc", "!!", "e30", "é"])
def test_a_token_of_nobody_is_400(group: ResourceGroup, token: str) -> None:
    with pytest.raises(APIError) as caught:
        group.list(CONFIG_MAPS, None, continue_token=token)
    assert caught.value.code == 400


def test_tokens_come_back_as_they_were() -> None:
    continuation = Continuation(7, "ns/näme")
    assert decode_continue(encode_continue(continuation)) == continuation


def test_a_body_is_a_list_of_its_kind(group: ResourceGroup) -> None:
    page = group.list(CONFIG_MAPS, "default", limit=2)
    body = json.loads(list_body(CONFIG_MAPS, page))
    assert (body["kind"], body["apiVersion"]) == ("ConfigMapList", "v1")
    assert body["metadata"] == {
        "resourceVersion": str(group.resource_version),
        "continue": page.continue_token,
        "remainingItemCount": 3,
    }
    assert [{"apiVersion": "v1", "kind": "ConfigMap"} | item for item in body["items"]] == [
        stored.json() for stored in page.items
    ]
    assert not any("kind" in item for item in body["items"])


def test_an_empty_list_has_a_version(group: ResourceGroup) -> None:
    body = json.loads(list_body(NODES, group.list(NODES, None)))
    assert body["items"] == []
    assert body["metadata"] == {"resourceVersion": str(group.resource_version)}


@pytest.mark.parametrize(
    ("token", "why"),
    [
        ("x", "illegal base64 data at input byte 0"),
        ("ab!d", "illegal base64 data at input byte 2"),
        ("e30", "server does not recognize this encoded version"),
        (
            _token(v="other", rv=1, start="a"),
            "server does not recognize this encoded version other",
        ),
        (_token(v="meta.k8s.io/v1", rv=0, start="a"), "incorrect encoded start resourceVersion"),
        (_token(v="meta.k8s.io/v1", rv=1, start=""), "encoded start key empty"),
        (_token(v="meta.k8s.io/v1", rv=1, start="a/../b"), r"a/\.\./b"),
    ],
)
def test_a_token_that_is_none_is_refused_with_the_reason(
    group: ResourceGroup, token: str, why: str
) -> None:
    with pytest.raises(APIError, match=why) as caught:
        group.list(CONFIG_MAPS, "default", continue_token=token)
    assert caught.value.code == 400


def test_a_page_that_is_forgotten_names_a_way_on(group: ResourceGroup) -> None:
    last = group.list(CONFIG_MAPS, "default", limit=2)
    start = decode_continue(last.continue_token).start
    old = encode_continue(Continuation(1, start))
    with pytest.raises(APIError, match="too old to display a consistent list") as caught:
        group.list(CONFIG_MAPS, "default", continue_token=old)
    assert caught.value.code == 410
    onwards = caught.value.status()["metadata"]["continue"]
    rest = group.list(CONFIG_MAPS, "default", continue_token=onwards)
    assert [it.name for it in rest.items] == [
        it.name
        for it in group.list(CONFIG_MAPS, "default", continue_token=last.continue_token).items
    ]


def test_a_version_beside_a_token_is_refused(group: ResourceGroup) -> None:
    page = group.list(CONFIG_MAPS, "default", limit=2)
    with pytest.raises(APIError, match="not allowed when using continue"):
        group.list(CONFIG_MAPS, "default", continue_token=page.continue_token, at=1)
