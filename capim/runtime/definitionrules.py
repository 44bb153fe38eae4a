"""What a definition must satisfy: its names, versions, columns, subresources and conversion.

Checked as the API server's inner form of it, in which what all versions share stands above them: that
is where the paths in refusals come from (`spec.validation.openAPIV3Schema`). Rules and texts are those
of k8s.io/apiextensions-apiserver, `pkg/apis/apiextensions/validation`; what a schema must satisfy is
in `schemarules`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from capim.api.fielderrors import (
    FieldError,
    duplicate,
    forbidden,
    invalid,
    not_supported,
    refusal,
    required,
    too_many,
)
from capim.api.resources import NameRule
from capim.runtime import cel
from capim.runtime.innerform import inner_version
from capim.runtime.schemarules import field_path_fault, node_at, schema_faults
from capim.runtime.validation import name_texts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from capim.api.meta import JsonObject
    from capim.api.resources import Resource

_COLUMN_TYPES: Final = ("boolean", "date", "integer", "number", "string")
_COLUMN_FORMATS: Final = (
    "byte",
    "date",
    "date-time",
    "double",
    "float",
    "int32",
    "int64",
    "password",
)
_MOST_SELECTABLE: Final = 8
_APPROVAL: Final = "api-approved.kubernetes.io"
_APPROVAL_NEEDED: Final = f'protected groups must have approval annotation "{_APPROVAL}"'
_SEE: Final = ", see https://github.com/kubernetes/enhancements/pull/1111"
#: what a definition may say once for all versions: in the inner form it stands above them
_SHARED: Final = {
    "schema": "validation",
    "subresources": "subresources",
    "additionalPrinterColumns": "additionalPrinterColumns",
    "selectableFields": "selectableFields",
}


def check_definition(resource: Resource, body: JsonObject, old: JsonObject | None) -> None:
    """Refuse a definition that makes no sense. Raises APIError: Invalid."""
    faults = [*_spec_faults(body["spec"], body)]
    if old is None:
        faults = [*_name_faults(body), *faults]
    else:
        faults += _immutable_faults(body["spec"], old)
    faults += _stored_faults(body)
    faults += _approval_faults(body, old)
    if body["spec"].get("preserveUnknownFields"):
        text = "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in"
        where = "spec.preserveUnknownFields"
        faults.append(invalid(where, True, f"{text} spec.versions[*].schema instead"))
    if not faults:
        faults += _rule_faults(body["spec"]["versions"], (old or {}).get("spec") or {})
    if faults:
        raise refusal(resource, body["metadata"]["name"], faults)


def _rule_faults(versions: list[JsonObject], old: JsonObject) -> Iterator[FieldError]:
    """What is wrong with the rules of schemas that are new."""
    if _is_shared(versions, "schema"):
        versions = versions[:1]
    known = [_schema_of(version) for version in old.get("versions") or ()]
    for index, version in enumerate(versions):
        schema, path = _schema_of(version), f"spec.versions[{index}].schema.openAPIV3Schema"
        if schema not in known:
            path = "spec.validation.openAPIV3Schema" if len(versions) == 1 else path
            yield from cel.schema_faults(schema, path)


def _name_faults(body: JsonObject) -> Iterator[FieldError]:
    spec, name = body["spec"], body["metadata"]["name"]
    if name != f"{spec['names'].get('plural', '')}.{spec.get('group', '')}":
        yield invalid("metadata.name", name, 'must be spec.names.plural+"."+spec.group')


def _spec_faults(spec: JsonObject, body: JsonObject) -> Iterator[FieldError]:
    yield from _group_faults(spec.get("group") or "")
    scope = spec.get("scope") or ""
    if not scope:
        yield required("spec.scope")
    elif scope not in {"Cluster", "Namespaced"}:
        yield not_supported("spec.scope", scope, ["Cluster", "Namespaced"])
    versions: list[JsonObject] = spec.get("versions") or []
    shared = {key: versions[0][key] for key in _SHARED if _is_shared(versions, key)}
    if "schema" not in shared:
        for index, version in enumerate(versions):
            if (version.get("schema") or {}).get("openAPIV3Schema") is None:
                yield required(f"spec.versions[{index}].schema.openAPIV3Schema")
    yield from _versions_faults(versions, shared)
    yield from _names_faults(spec["names"])
    if "schema" in shared:
        has_status = any("status" in (v.get("subresources") or {}) for v in versions)
        rules = _schema_of(versions[0])
        yield from schema_faults(rules, "spec.validation.openAPIV3Schema", status=has_status)
    yield from _subresource_faults(shared.get("subresources"), "spec.subresources")
    columns = shared.get("additionalPrinterColumns") or ()
    yield from _column_faults(columns, "spec.additionalPrinterColumns")
    if fields := shared.get("selectableFields"):
        yield from _selectable_faults(fields, _schema_of(versions[0]), "spec.selectableFields")
    yield from _conversion_faults(spec.get("conversion") or {})


def _is_shared(versions: list[JsonObject], key: str) -> bool:
    """Tell whether all versions say the same there, so that it is said above them."""
    first = versions[0].get(key) if versions else None
    if first is None or (key == "schema" and first.get("openAPIV3Schema") is None):
        return False
    return all(version.get(key) == first for version in versions)


def _schema_of(version: JsonObject) -> JsonObject:
    schema: JsonObject | None = (version.get("schema") or {}).get("openAPIV3Schema")
    return schema or {}


def _group_faults(group: str) -> Iterator[FieldError]:
    texts = list(name_texts(NameRule.SUBDOMAIN, group))
    if not group:
        yield required("spec.group")
    elif texts:
        yield invalid("spec.group", group, ",".join(texts))
    elif "." not in group:
        yield invalid("spec.group", group, "should be a domain with at least one dot")


def _versions_faults(versions: list[JsonObject], shared: JsonObject) -> Iterator[FieldError]:
    for index, version in enumerate(versions):
        path, name = f"spec.versions[{index}]", version.get("name") or ""
        if texts := list(name_texts(NameRule.LABEL_1035, name)):
            yield invalid(f"{path}.name", name, ",".join(texts))
        yield from _version_faults(version, path, shared)
    names = [version.get("name") for version in versions]
    shown = [inner_version(version, shared) for version in versions]
    if len(set(names)) != len(names):
        yield invalid("spec.versions", shown, "must contain unique version names")
    if sum(1 for version in versions if version.get("storage")) != 1:
        text = "must have exactly one version marked as storage version"
        yield invalid("spec.versions", shown, text)
    first = names[0] if names else None
    if first and (texts := list(name_texts(NameRule.LABEL_1035, first))):
        yield invalid("spec.version", first, ",".join(texts))


def _version_faults(version: JsonObject, path: str, shared: JsonObject) -> Iterator[FieldError]:
    """What is wrong with one version, apart from what it shares with all others."""
    warning = version.get("deprecationWarning")
    if warning is not None:
        for text in _warning_texts(warning, deprecated=bool(version.get("deprecated"))):
            yield invalid(f"{path}.deprecationWarning", warning, text)
    if "schema" not in shared and (version.get("schema") or {}).get("openAPIV3Schema") is not None:
        has_status = "status" in (version.get("subresources") or {})
        where = f"{path}.schema.openAPIV3Schema"
        yield from schema_faults(_schema_of(version), where, status=has_status)
    if "subresources" not in shared:
        yield from _subresource_faults(version.get("subresources"), f"{path}.subresources")
    if "additionalPrinterColumns" not in shared:
        columns = version.get("additionalPrinterColumns") or ()
        yield from _column_faults(columns, f"{path}.additionalPrinterColumns")
    fields = version.get("selectableFields")
    if fields and "selectableFields" not in shared:
        yield from _selectable_faults(fields, _schema_of(version), f"{path}.selectableFields")


def _warning_texts(warning: str, *, deprecated: bool) -> Iterator[str]:
    if not deprecated:
        yield "can only be set for deprecated versions"
        return
    if len(warning.encode()) > 256:
        yield "must be <= 256 characters long"
    if not warning:
        yield "must not be an empty string"
    for index, character in enumerate(warning):
        if not character.isprintable():
            text = "must only contain printable UTF-8 characters; non-printable character found at"
            yield f"{text} index {index}"
            return


def _names_faults(names: JsonObject) -> Iterator[FieldError]:
    for key in ("plural", "singular", "kind", "listKind"):
        if not names.get(key):
            yield required(f"spec.names.{key}")
    for key in ("plural", "singular"):
        yield from _label_faults(f"spec.names.{key}", names.get(key))
    for key in ("kind", "listKind"):
        name = names.get(key) or ""
        if name and (texts := list(name_texts(NameRule.LABEL_1035, name.lower()))):
            text = f"may have mixed case, but should otherwise match: {','.join(texts)}"
            yield invalid(f"spec.names.{key}", name, text)
    for index, name in enumerate(names.get("shortNames") or ()):
        yield from _label_faults(f"spec.names.shortNames[{index}]", name)
    if names.get("kind") and names["kind"] == names.get("listKind"):
        text = "kind and listKind may not be the same"
        yield invalid("spec.names.listKind", names["listKind"], text)
    for index, name in enumerate(names.get("categories") or ()):
        yield from _label_faults(f"spec.names.categories[{index}]", name)


def _label_faults(path: str, name: str | None) -> Iterator[FieldError]:
    if name and (texts := list(name_texts(NameRule.LABEL_1035, name))):
        yield invalid(path, name, ",".join(texts))


def _column_faults(columns: Any, path: str) -> Iterator[FieldError]:
    for index, column in enumerate(columns):
        at, types = f"{path}[{index}]", f"must be one of {','.join(_COLUMN_TYPES)}"
        if not column.get("name"):
            yield required(f"{at}.name")
        if not column.get("type"):
            yield required(f"{at}.type", types)
        elif column["type"] not in _COLUMN_TYPES:
            yield invalid(f"{at}.type", column["type"], types)
        if column.get("format") and column["format"] not in _COLUMN_FORMATS:
            text = f"must be one of {','.join(_COLUMN_FORMATS)}"
            yield invalid(f"{at}.format", column["format"], text)
        if not column.get("jsonPath"):
            yield required(f"{at}.JSONPath")
        else:
            yield from _path_faults(column["jsonPath"], f"{at}.JSONPath")


def _path_faults(path: str, field: str) -> Iterator[FieldError]:
    if not path.startswith("."):
        yield invalid(field, path, "must be a simple json path starting with .")


def _subresource_faults(declared: JsonObject | None, path: str) -> Iterator[FieldError]:
    scale = (declared or {}).get("scale")
    if scale is None:
        return
    for key, roots in (("specReplicasPath", (".spec",)), ("statusReplicasPath", (".status",))):
        if not scale.get(key):
            yield required(f"{path}.scale.{key}")
        else:
            yield from _scale_path_faults(scale[key], f"{path}.scale.{key}", roots)
    if selector := scale.get("labelSelectorPath"):
        yield from _scale_path_faults(
            selector, f"{path}.scale.labelSelectorPath", (".spec", ".status")
        )


def _scale_path_faults(path: str, field: str, roots: tuple[str, ...]) -> Iterator[FieldError]:
    faults = list(_path_faults(path, field))
    yield from faults
    if not faults and not path.startswith(tuple(f"{root}." for root in roots)):
        where = roots[0] if len(roots) == 1 else f"either {' or '.join(roots)}"
        yield invalid(field, path, f"should be a json path under {where}")


def _selectable_faults(fields: Any, schema: JsonObject, path: str) -> Iterator[FieldError]:
    seen: set[str] = set()
    for index, selectable in enumerate(fields):
        at, wanted = f"{path}[{index}].jsonPath", selectable.get("jsonPath") or ""
        if not wanted:
            yield required(at)
            continue
        if fault := field_path_fault(schema, wanted, arrays=False):
            yield invalid(at, wanted, f"is an invalid path: {fault}")
            continue
        if wanted.startswith(".metadata"):
            yield invalid(at, wanted, "must not point to fields in metadata")
        if node_at(schema, wanted).get("type") not in {"string", "boolean", "integer"}:
            text = "must point to a field of type string, boolean or integer. Enum string fields"
            yield invalid(at, wanted, f"{text} and strings with formats are allowed.")
        if wanted in seen:
            yield duplicate(at, wanted)
        seen.add(wanted)
    if len(seen) > _MOST_SELECTABLE:
        yield too_many(path, len(seen), _MOST_SELECTABLE)


def _conversion_faults(conversion: JsonObject) -> Iterator[FieldError]:
    strategy, webhook = conversion.get("strategy") or "", conversion.get("webhook") or {}
    client, reviews = webhook.get("clientConfig"), webhook.get("conversionReviewVersions")
    if not strategy:
        yield required("spec.conversion.strategy")
    elif strategy not in {"None", "Webhook"}:
        yield not_supported("spec.conversion.strategy", strategy, ["None", "Webhook"])
    if strategy != "Webhook":
        text = "should not be set when strategy is not set to Webhook"
        if client is not None:
            yield forbidden("spec.conversion.webhookClientConfig", text)
        if reviews:
            yield forbidden("spec.conversion.conversionReviewVersions", text)
        return
    yield from _client_faults(client, "spec.conversion.webhookClientConfig")
    if not reviews:
        yield required("spec.conversion.conversionReviewVersions")
    elif not {"v1", "v1beta1"} & set(reviews):
        text = "must include at least one of v1, v1beta1"
        yield invalid("spec.conversion.conversionReviewVersions", reviews, text)


def _client_faults(client: JsonObject | None, path: str) -> Iterator[FieldError]:
    if client is None:
        yield required(path, "required when strategy is set to Webhook")
    elif ("url" in client) == ("service" in client):
        yield required(path, "exactly one of url or service is required")
    elif "url" in client:
        yield from _url_faults(client["url"], f"{path}.url")
    else:
        for key in ("name", "namespace"):
            if not client["service"].get(key):
                text = f"service {key} is required"
                yield required(f"{path}.service.{key}", text)


def _url_faults(url: str, path: str) -> Iterator[FieldError]:
    form = "; desired format: https://host[/path]"
    parts = urlsplit(url)
    if parts.scheme != "https":
        yield invalid(path, parts.scheme, f"'https' is the only allowed URL scheme{form}")
    if not parts.hostname:
        yield invalid(path, parts.hostname or "", f"host must be specified{form}")
    if parts.username is not None:
        text = "user information is not permitted in the URL"
        yield invalid(path, parts.netloc.rpartition("@")[0], text)
    if parts.fragment:
        yield invalid(path, parts.fragment, "fragments are not permitted in the URL")
    if parts.query:
        yield invalid(path, parts.query, "query parameters are not permitted in the URL")


def _immutable_faults(spec: JsonObject, old: JsonObject) -> Iterator[FieldError]:
    was, conditions = old["spec"], (old.get("status") or {}).get("conditions") or ()
    names, old_names = spec["names"], was["names"]
    fields = []
    if any(c.get("type") == "Established" and c.get("status") == "True" for c in conditions):
        fields.append(("spec.scope", spec.get("scope"), was.get("scope")))
        fields.append(("spec.names.kind", names.get("kind"), old_names.get("kind")))
    fields.append(("spec.group", spec.get("group"), was.get("group")))
    fields.append(("spec.names.plural", names.get("plural"), old_names.get("plural")))
    for path, new, before in fields:
        if new != before:
            yield invalid(path, new or "", "field is immutable")


def _stored_faults(body: JsonObject) -> Iterator[FieldError]:
    stored = (body.get("status") or {}).get("storedVersions") or []
    path = "status.storedVersions"
    if not stored:
        yield invalid(path, None, "must have at least one stored version")
        return
    names = {version.get("name") for version in body["spec"].get("versions") or ()}
    for index, version in enumerate(stored):
        if version not in names:
            text = (
                f"missing from spec.versions; {version} was previously a storage version, and must"
            )
            text += " remain in spec.versions until a storage migration ensures no data remains"
            text += f" persisted in {version} and removes {version} from status.storedVersions"
            yield invalid(f"{path}[{index}]", version, text)
    storing = [it.get("name") for it in body["spec"].get("versions") or () if it.get("storage")]
    if storing and storing[-1] not in stored:
        yield invalid(path, stored, f"must have the storage version {storing[-1]}")


def _approval_faults(body: JsonObject, old: JsonObject | None) -> Iterator[FieldError]:
    """Kubernetes' own groups take definitions with an annotation that says who approved them."""
    group = body["spec"].get("group") or ""
    if not group.endswith((".k8s.io", ".kubernetes.io")) and group not in {
        "k8s.io",
        "kubernetes.io",
    }:
        return
    approval = (body["metadata"].get("annotations") or {}).get(_APPROVAL, "")
    if old is not None and _approved(approval) == _approved(_approval_of(old)):
        return
    path = f"metadata.annotations[{_APPROVAL}]"
    if not approval:
        yield required(path, f"{_APPROVAL_NEEDED}{_SEE}")
    elif not _approved(approval):
        text = f'{_APPROVAL_NEEDED} with either a URL or a reason starting with "unapproved"{_SEE}'
        yield invalid(path, approval, text)


def _approval_of(definition: JsonObject) -> str:
    text: str = (definition["metadata"].get("annotations") or {}).get(_APPROVAL, "")
    return text


def _approved(approval: str) -> bool:
    if approval.startswith("unapproved"):
        return True
    parts = urlsplit(approval)
    return bool(parts.scheme and parts.netloc)
