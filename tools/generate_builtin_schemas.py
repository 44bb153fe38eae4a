"""Write capim/api/builtin_schemas.txt: what OpenAPI says of the built-in kinds beyond the table of types.

Compares the schemas that follow from the table with those that the Go module named in MODULE publishes,
and keeps the difference; prose is not looked at. The published ones lack the values of enumerations,
which a server adds: they are read from the Go code it is built from. `--check` writes nothing and fails
when the committed file differs. Needs `go` (to find the module).
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import cast

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from capim.api.builtin_schemas import FACTS, definition_name, plain_schema
from capim.api.builtin_types import names

MODULE = "k8s.io/kubernetes@v1.35.4"
# kinds registered in every group
EVERYWHERE = ("meta/v1.DeleteOptions", "meta/v1.WatchEvent")
KINDS = "x-kubernetes-group-version-kind"


# `func schema_k8sio_api_core_v1_Container(`, `"imagePullPolicy": {` and what is in it
DEFINITION = re.compile(r"^func schema_(?:k8sio_api|pkg_apis)_(\w+)_(v\w+?)_(\w+)\(")
PROPERTY = re.compile(r'^\t{5}"(\w+)": \{$')
ENUMERATION = re.compile(r"^(\t+)Enum:\s+\[\]interface\{\}\{(.*)\},$")


def enumerations(module: Path) -> dict[str, dict[str, list[str]]]:
    """Return the values of every enumeration: message -> property -> values."""
    found: dict[str, dict[str, list[str]]] = {}
    name = prop = ""
    source = module / "pkg" / "generated" / "openapi" / "zz_generated.openapi.go"
    for line in source.read_text().splitlines():
        if opened := DEFINITION.match(line):
            name = f"{opened[1]}/{opened[2]}.{opened[3]}"
        elif opened := PROPERTY.match(line):
            prop = opened[1]
        elif values := ENUMERATION.match(line):
            found.setdefault(name, {})[prop] = json.loads(f"[{values[2]}]")
    return found


def module_folder() -> Path:
    """Return where the Go toolchain keeps the module, after fetching it if need be."""
    command = ["go", "mod", "download", "-json", MODULE]
    answer = subprocess.run(command, check=True, capture_output=True, text=True)
    return Path(json.loads(answer.stdout)["Dir"])


def published(module: Path) -> dict[str, dict[str, object]]:
    """Return the published schemas by definition."""
    folder = module / "api" / "openapi-spec" / "v3"
    schemas: dict[str, dict[str, object]] = {}
    for path in sorted(folder.glob("*_openapi.json")):
        document = json.loads(path.read_text())
        schemas |= document.get("components", {}).get("schemas", {})
    return {name: without_prose(schema) for name, schema in schemas.items()}


def without_prose(schema: dict[str, object]) -> dict[str, object]:
    """Return a schema without its descriptions; a property of that name is a schema and stays."""
    return {
        key: without_prose(value) if isinstance(value, dict) else value
        for key, value in schema.items()
        if key != "description" or isinstance(value, dict)
    }


def difference(was: dict[str, object], wanted: dict[str, object]) -> dict[str, object]:
    """Return the JSON merge patch that makes one of the other."""
    patch: dict[str, object] = {}
    for key in sorted(was.keys() | wanted.keys()):
        old, new = was.get(key), wanted.get(key)
        if isinstance(old, dict) and isinstance(new, dict):
            if inner := difference(old, new):
                patch[key] = inner
        elif old != new:
            patch[key] = new
    return patch


def render() -> str:
    """Write the file: one line for each message whose schema the rules do not give whole."""
    module = module_folder()
    wanted, values = published(module), enumerations(module)
    lines = [
        "# Written by tools/generate_builtin_schemas.py; the format is described in builtin_schemas.py.",
        f"# From {MODULE.replace('@', ' ')}",
    ]
    everywhere = {
        name.rpartition(".")[2]: owners(wanted[definition_name(name)]) for name in EVERYWHERE
    }
    lines.append(f"* {json.dumps(everywhere, separators=(',', ':'))}")
    for name in sorted(names()):
        schema = wanted.get(definition_name(name))
        if schema is None:
            continue
        plain = plain_schema(name)
        patch = difference(plain, with_values(schema, values.get(name, {})))
        if name in EVERYWHERE:  # the line before says it
            patch = without(patch, KINDS)
        if isinstance(properties := patch.get("properties"), dict):
            # fields of another version than the table's are left to the table
            known = plain.get("properties", {}).keys()
            kept = {key: it for key, it in properties.items() if key in known and it is not None}
            patch = without(patch, "properties") | ({"properties": kept} if kept else {})
        if patch:
            lines.append(f"{name} {json.dumps(patch, separators=(',', ':'))}")
    return "\n".join(lines) + "\n"


def with_values(schema: dict[str, object], enumerated: dict[str, list[str]]) -> dict[str, object]:
    """Return a schema in which the enumerated properties, or their elements, name their values."""
    properties = schema.get("properties")
    if not isinstance(properties, dict) or not enumerated:
        return schema
    made = {}
    for key, value in properties.items():
        enum = {"enum": enumerated[key]} if key in enumerated else {}
        inside = next((it for it in ("items", "additionalProperties") if it in value), "")
        made[key] = value | ({inside: value[inside] | enum} if inside and enum else enum)
    return schema | {"properties": made}


def owners(schema: dict[str, object]) -> list[str]:
    """Return the apiVersions of a schema's kinds."""
    kinds = cast("list[dict[str, str]]", schema[KINDS])
    return ["/".join(filter(None, (kind["group"], kind["version"]))) for kind in kinds]


def without(patch: dict[str, object], key: str) -> dict[str, object]:
    """Return a patch without one of its keys."""
    return {name: value for name, value in patch.items() if name != key}


def main(arguments: list[str]) -> int:
    """Write the file, or with --check compare it."""
    text = render()
    if arguments == ["--check"]:
        current = FACTS.exists() and FACTS.read_text() == text
        print(
            f"{FACTS.name} is {'current' if current else 'out of date: run this without --check'}"
        )
        return 0 if current else 1
    if arguments:
        print(__doc__)
        return 2
    FACTS.write_text(text)
    print(f"wrote {FACTS.name}: {len(text)} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
