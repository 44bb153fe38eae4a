"""CustomResourceDefinitions for cases: each case has a group of its own, named after it."""

from __future__ import annotations

from typing import Any, Final

from tests.conformance.case import Answer, Case, Step, get, post

DEFINITIONS: Final = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
GROUP: Final = "{name}.example.com"
NAME: Final = f"widgets.{GROUP}"
ONE: Final = f"{DEFINITIONS}/{NAME}"
WIDGETS: Final = f"/apis/{GROUP}/v1/namespaces/{{ns}}/widgets"
WIDGET: Final = f"{WIDGETS}/a"
_SERVED_S: Final = 60
NAMES: Final = {"plural": "widgets", "kind": "Widget"}
ANYTHING: Final[dict[str, Any]] = {
    "type": "object",
    "x-kubernetes-preserve-unknown-fields": True,
}


def version(
    name: str = "v1", schema: dict[str, Any] | None = None, *, storage: bool = True, **more: Any
) -> dict[str, Any]:
    """Make a version; without a schema anything goes."""
    rules = {"openAPIV3Schema": ANYTHING if schema is None else schema}
    return {"name": name, "served": True, "storage": storage, "schema": rules, **more}


def definition(*versions: dict[str, Any], **spec: Any) -> dict[str, Any]:
    """Make a definition of Widgets in the case's group."""
    made = {"group": GROUP, "scope": "Namespaced", "names": NAMES}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": NAME},
        "spec": {**made, "versions": list(versions or [version()]), **spec},
    }


def fields(**properties: Any) -> dict[str, Any]:
    """Make a schema of an object with a spec of these fields, and a status of any."""
    spec = {"type": "object", "properties": properties}
    return {"type": "object", "properties": {"spec": spec, "status": ANYTHING}}


def widget(name: str = "a", api: str = "v1", **body: Any) -> dict[str, Any]:
    """Make a Widget."""
    head = {"apiVersion": f"{GROUP}/{api}", "kind": "Widget"}
    return {**head, "metadata": {"name": name}, **body}


def served(definition: dict[str, Any], path: str = WIDGETS) -> list[Step]:
    """Define a kind and wait until it is served and told of; three steps, none compared."""
    told = f"/apis/{GROUP}/v1"
    return [
        post(DEFINITIONS, definition, compare=False),
        get(told, until=_is_there, compare=False, timeout_s=_SERVED_S),
        get(path, until=_is_there, compare=False, timeout_s=_SERVED_S),
    ]


def _is_there(answer: Answer) -> bool:
    return answer.status == 200


def settled(answer: Answer) -> bool:
    """Tell whether a definition's conditions say what became of it."""
    conditions = answer.at("status.conditions") or ()
    states = {it["type"]: it["status"] for it in conditions}
    return states.get("NamesAccepted") == "False" or states.get("Established") == "True"


def case(name: str, definition: dict[str, Any], *steps: Step) -> Case:
    """Make a case about Widgets that are served."""
    return Case(f"customresources: {name}", [*served(definition), *steps], (ONE,))
