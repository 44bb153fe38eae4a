"""The store against a dictionary, and its watches against its lists, over any order of writes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from capim.api.errors import APIError
from capim.runtime.resourcegroup import PatchType, ResourceGroup, WatchEvent
from capim.wire.selectors import LabelSelector
from tests.support.groups import CONFIG_MAPS, named, new_group

NAMESPACES = st.sampled_from(["default", "other"])
NAMES = st.sampled_from(["a", "b", "c"])
LABELS = st.dictionaries(st.sampled_from(["x", "y"]), st.sampled_from(["1", "2"]), max_size=2)
DATA = st.dictionaries(st.sampled_from(["k", "l"]), st.sampled_from(["v", "w"]), max_size=2)
HISTORY = 12
SELECTOR = LabelSelector.parse("x=1")

Key = tuple[str, str]


class Mirror:
    """What an informer knows: objects by key, as events tell."""

    def __init__(self, group: ResourceGroup, objects: dict[Key, int]) -> None:
        self.group = group
        self.objects = dict(objects)
        self.version = 0

    def __call__(self, event: WatchEvent) -> None:
        key = (event.stored.namespace, event.stored.name)
        assert event.stored.resource_version > self.version, "a watch never goes back"
        self.version = event.stored.resource_version
        if event.type == "ADDED":
            assert key not in self.objects
        else:
            assert key in self.objects
        if event.type == "DELETED":
            del self.objects[key]
        else:
            self.objects[key] = self.version


class StoreMachine(RuleBasedStateMachine):
    """Writes of three names in two namespaces; a model that is a dictionary; mirrors that watch."""

    def __init__(self) -> None:
        super().__init__()
        self.group = new_group(history_events=HISTORY)
        self.model: dict[Key, dict[str, Any]] = {}
        self.mirrors: list[tuple[LabelSelector | None, Mirror]] = []
        self.listed: list[tuple[LabelSelector | None, int, dict[Key, int]]] = []
        for selector in (None, SELECTOR):
            mirror = Mirror(self.group, {})
            self.group.watch(
                CONFIG_MAPS, None, mirror, labels=selector, since=self.group.resource_version
            )
            self.mirrors.append((selector, mirror))

    def seen(self, selector: LabelSelector | None) -> dict[Key, int]:
        items = self.group.list(CONFIG_MAPS, None, labels=selector).items
        return {(stored.namespace, stored.name): stored.resource_version for stored in items}

    @rule(namespace=NAMESPACES, name=NAMES, labels=LABELS, data=DATA, held=st.booleans())
    def create(
        self, namespace: str, name: str, labels: dict[str, str], data: dict[str, str], held: bool
    ) -> None:
        metadata = {"labels": labels, "finalizers": ["x/y"] if held else []}
        body = named(name, metadata=metadata, data=data)
        if (namespace, name) in self.model:
            with pytest.raises(APIError, match="already exists"):
                self.group.create(CONFIG_MAPS, namespace, body)
        else:
            self.group.create(CONFIG_MAPS, namespace, body)
            self.model[namespace, name] = {"labels": labels, "data": data, "held": held}

    @rule(namespace=NAMESPACES, name=NAMES, labels=LABELS, data=DATA)
    def update(
        self, namespace: str, name: str, labels: dict[str, str], data: dict[str, str]
    ) -> None:
        known = self.model.get((namespace, name))
        finalizers = ["x/y"] if known and known["held"] else []
        body = named(name, metadata={"labels": labels, "finalizers": finalizers}, data=data)
        if known is None:
            with pytest.raises(APIError, match="not found"):
                self.group.update(CONFIG_MAPS, namespace, name, body)
            return
        before = self.group.resource_version
        self.group.update(CONFIG_MAPS, namespace, name, body)
        changed = (known["labels"], known["data"]) != (labels, data)
        assert self.group.resource_version == before + changed
        known.update(labels=labels, data=data)

    @rule(namespace=NAMESPACES, name=NAMES)
    def delete(self, namespace: str, name: str) -> None:
        known = self.model.get((namespace, name))
        if known is None:
            with pytest.raises(APIError, match="not found"):
                self.group.delete(CONFIG_MAPS, namespace, name)
        elif known["held"]:
            assert not self.group.delete(CONFIG_MAPS, namespace, name)[1]
            known["ending"] = True
        else:
            assert self.group.delete(CONFIG_MAPS, namespace, name)[1]
            del self.model[namespace, name]

    @rule(namespace=NAMESPACES, name=NAMES)
    def release(self, namespace: str, name: str) -> None:
        known = self.model.get((namespace, name))
        if known is None:
            return
        patch = {"metadata": {"finalizers": None}}
        self.group.patch(CONFIG_MAPS, namespace, name, patch, PatchType.MERGE)
        known["held"] = False
        if known.get("ending"):
            del self.model[namespace, name]

    @rule(selector=st.sampled_from([None, SELECTOR]))
    def list_now(self, selector: LabelSelector | None) -> None:
        self.listed.append((selector, self.group.resource_version, self.seen(selector)))

    @rule(data=st.data())
    def catch_up(self, data: st.DataObject) -> None:
        if not self.listed:
            return
        selector, version, objects = data.draw(st.sampled_from(self.listed))
        if self.group.resource_version - version > HISTORY:  # every change takes one version
            told: list[WatchEvent] = []
            with pytest.raises(APIError, match="too old"):
                self.group.watch(CONFIG_MAPS, None, told.append, since=version)
            with pytest.raises(APIError, match="too old"):
                self.group.list(CONFIG_MAPS, None, at=version)
            return
        mirror = Mirror(self.group, objects)
        self.group.watch(CONFIG_MAPS, None, mirror, labels=selector, since=version).close()
        assert mirror.objects == self.seen(selector)
        then = self.group.list(CONFIG_MAPS, None, labels=selector, at=version).items
        assert {(s.namespace, s.name): s.resource_version for s in then} == objects

    @rule(limit=st.integers(1, 4))
    def page(self, limit: int) -> None:
        names: list[Key] = []
        token = ""
        while True:
            page = self.group.list(CONFIG_MAPS, None, limit=limit, continue_token=token)
            names += [(stored.namespace, stored.name) for stored in page.items]
            token = page.continue_token
            if not token:
                break
        assert names == sorted(self.model)

    @invariant()
    def holds(self) -> None:
        self.group.validate()
        stored = self.group.list(CONFIG_MAPS, None).items
        shown = {
            (s.namespace, s.name): (
                s.labels,
                s.json().get("data", {}),
                bool(s.finalizers),
                s.deleting,
            )
            for s in stored
        }
        assert shown == {
            key: (m["labels"], m["data"], m["held"], m.get("ending", False))
            for key, m in self.model.items()
        }
        for selector, mirror in self.mirrors:
            assert mirror.objects == self.seen(selector)


StoreMachine.TestCase.settings = settings(
    max_examples=30, stateful_step_count=40, deadline=None, database=None
)
TestStore = StoreMachine.TestCase
