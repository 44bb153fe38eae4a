"""Write capim/api/builtin_types.txt: what the built-in kinds look like in protobuf, in JSON and to patches.

Facts are read from the Go modules named in MODULES: field numbers and protobuf types from their
`generated.proto`; JSON names, emptiness, embedding and patch strategies from Go struct tags.
`--check` writes nothing and fails when the committed table differs. Needs `go` (to find the modules).

The format is described in capim/api/builtin_types.py, which reads it.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

MODULES = {
    "k8s.io/api": "v0.36.3",
    "k8s.io/apimachinery": "v0.36.3",
    "k8s.io/apiextensions-apiserver": "v0.36.3",
    "k8s.io/kube-aggregator": "v0.36.3",
}
TABLE = Path(__file__).resolve().parent.parent / "capim" / "api" / "builtin_types.txt"

# folders beside the stable versions of k8s.io/api, with the short name each gets in the table
MACHINERY = {
    "pkg/apis/meta/v1": "meta/v1",
    "pkg/runtime": "runtime",
    "pkg/util/intstr": "intstr",
    "pkg/api/resource": "resource",
}
EXTENSIONS = {"pkg/apis/apiextensions/v1": "apiextensions/v1"}
AGGREGATOR = {"pkg/apis/apiregistration/v1": "apiregistration/v1"}
BETAS = ("policy/v1beta1",)
NO_KINDS = {"runtime", "intstr", "resource"}

SCALARS = {"string": "s", "bytes": "y", "bool": "b", "int32": "i", "int64": "l", "double": "d"}
# messages their Go types marshal by hand, without JSON tags; capim.wire.kubeproto knows them one by one
HAND_MADE = {
    "meta/v1.Time",
    "meta/v1.MicroTime",
    "meta/v1.Duration",
    "meta/v1.FieldsV1",
    "intstr.IntOrString",
    "resource.Quantity",
    "resource.QuantityValue",
    "runtime.RawExtension",
    "runtime.Unknown",
    "apiextensions/v1.JSON",
    "apiextensions/v1.JSONSchemaPropsOrArray",
    "apiextensions/v1.JSONSchemaPropsOrBool",
    "apiextensions/v1.JSONSchemaPropsOrStringArray",
}

MESSAGE = re.compile(r"^message (\w+) \{\n(.*?)^\}", re.MULTILINE | re.DOTALL)
PROTO_FIELD = re.compile(
    r"^  (?:(optional|repeated) )?(?:map<string, ([\w.]+)>|([\w.]+)) (\w+) = (\d+);", re.MULTILINE
)
STRUCT = re.compile(r"^type (\w+) struct \{\n(.*?)^\}", re.MULTILINE | re.DOTALL)
COPY = re.compile(r"^type (\w+) (?:\w+\.)?([A-Z]\w*)$", re.MULTILINE)
SLICE = re.compile(r"^type (\w+) \[\]", re.MULTILINE)
GO_FIELD = re.compile(r"^\t(?:(\w+)[ \t]+)?([*\[\]\w.]+)[ \t]+`(.*)`")
MARKER = re.compile(
    r"^\s*//\s*\+(listType|listMapKey|mapType|structType|default)=\"?([\w./]+)\"?\s*$"
)
TAG = re.compile(r'(\w+):"([^"]*)"')
GROUP_NAME = re.compile(r'^const GroupName = "([^"]*)"', re.MULTILINE)


@dataclass(frozen=True)
class GoField:
    """A field of a Go struct as its tags tell it."""

    go_type: str
    tags: dict[str, str]
    markers: list[tuple[str, str]]  #: (listType, map), (listMapKey, name) and the like

    @property
    def json_name(self) -> str:
        """The name in JSON, empty where the tag gives none."""
        return self.tags.get("json", "").split(",")[0]

    def json_has(self, option: str) -> bool:
        """Tell whether the JSON tag carries `inline`, `omitempty` or the like."""
        return option in self.tags.get("json", "").split(",")[1:]

    @property
    def number(self) -> int | None:
        """The field number of the protobuf tag."""
        parts = self.tags.get("protobuf", "").split(",")
        return int(parts[1]) if len(parts) > 1 else None


@dataclass
class Package:
    """One folder of Go sources with its generated.proto."""

    short: str
    proto_package: str
    group_version: str | None
    messages: dict[str, str] = field(default_factory=dict)
    structs: dict[str, list[GoField]] = field(default_factory=dict)
    slices: set[str] = field(default_factory=set)
    atomic: set[str] = field(default_factory=set)  #: structs that one field manager owns whole


def module_folder(module: str, version: str) -> Path:
    """Return where the Go toolchain keeps this module, after fetching it if need be."""
    command = ["go", "mod", "download", "-json", f"{module}@{version}"]
    answer = subprocess.run(command, check=True, capture_output=True, text=True)
    return Path(json.loads(answer.stdout)["Dir"])


def read_package(folder: Path, short: str) -> Package:
    """Read the protobuf messages and Go structs of a folder."""
    proto = (folder / "generated.proto").read_text()
    name = re.search(r"^package ([\w.]+);", proto, re.MULTILINE)
    if name is None:
        raise SystemExit(f"{short}: generated.proto names no package")
    package = Package(short, name[1], group_version(folder, short))
    package.messages = dict(MESSAGE.findall(proto))
    for path in sorted(folder.glob("*.go")):
        if not path.name.endswith("_test.go") and not path.name.startswith(("generated", "zz_")):
            read_go(path.read_text(), package)
    return package


def group_version(folder: Path, short: str) -> str | None:
    """Return `apps/v1` as apiVersion has it (`v1` for core), or None for a folder without kinds."""
    if short in NO_KINDS:
        return None
    sources = [*folder.glob("register.go"), *folder.parent.glob("register.go")]
    groups = [found[1] for source in sources if (found := GROUP_NAME.search(source.read_text()))]
    version = short.rpartition("/")[2]
    return f"{groups[0]}/{version}" if groups[0] else version


def read_go(text: str, package: Package) -> None:
    """Add the structs of one Go file to the package."""
    for found in STRUCT.finditer(text):
        package.structs[found[1]] = read_fields(found[2])
        comments = text[: found.start()].rpartition("\n}\n")[2].splitlines()
        if ("structType", "atomic") in markers_of(comments):
            package.atomic.add(found[1])
    package.slices.update(SLICE.findall(text))


def read_fields(body: str) -> list[GoField]:
    """Read the fields of a Go struct with the markers in their comments."""
    fields, comments = [], list[str]()
    for line in body.splitlines():
        if found := GO_FIELD.match(line):
            fields.append(GoField(found[2], dict(TAG.findall(found[3])), markers_of(comments)))
            comments = []
        else:
            comments.append(line)
    return fields


def markers_of(comments: list[str]) -> list[tuple[str, str]]:
    """Return the markers of server-side apply in comments."""
    return [(found[1], found[2]) for line in comments if (found := MARKER.match(line))]


def read_packages() -> list[Package]:
    """Read every folder the table covers, in the table's order."""
    folders = {module: module_folder(module, version) for module, version in MODULES.items()}
    api, machinery, extensions, aggregator = folders.values()
    versions = {path.parent.relative_to(api).as_posix() for path in api.glob("*/*/generated.proto")}
    stable = sorted(name for name in versions if re.fullmatch(r"\w+/v\d+", name) or name in BETAS)
    packages = [read_package(machinery / path, short) for path, short in MACHINERY.items()]
    packages += [read_package(extensions / path, short) for path, short in EXTENSIONS.items()]
    packages += [read_package(aggregator / path, short) for path, short in AGGREGATOR.items()]
    packages += [read_package(api / name, name) for name in stable]
    copy_definitions(packages, {"core/v1": api / "core/v1/types.go"})
    return packages


def copy_definitions(packages: list[Package], sources: dict[str, Path]) -> None:
    """Resolve `type List metav1.List`: such a type has the fields of meta/v1's."""
    by_short = {package.short: package for package in packages}
    for short, path in sources.items():
        for name, original in COPY.findall(path.read_text()):
            if original in by_short["meta/v1"].structs:
                by_short[short].structs[name] = by_short["meta/v1"].structs[original]


def render(packages: list[Package]) -> str:
    """Write the table."""
    short_names = {package.proto_package: package.short for package in packages}
    defaults = {
        (f"{package.short}.{name}", item.json_name): text
        for package in packages
        for name, items in package.structs.items()
        for item in items
        for marker, text in item.markers
        if marker == "default"
    }
    lines = [
        "# Written by tools/generate_builtin_types.py; the format is described in builtin_types.py.",
        "# From " + ", ".join(f"{module} {version}" for module, version in MODULES.items()),
    ]
    for package in packages:
        lines.append(f"= {package.short} {package.group_version or '-'}")
        for name, body in sorted(package.messages.items()):
            lines.append(render_message(package, name, body, short_names, defaults))
    return "\n".join(lines) + "\n"


def render_message(
    package: Package,
    name: str,
    body: str,
    short_names: dict[str, str],
    defaults: dict[tuple[str, str], str],
) -> str:
    """Write one message: its name, marks, and one word a field, by field number."""
    full_name = f"{package.short}.{name}"
    go_fields = package.structs.get(name, [])
    hand_made = full_name in HAND_MADE or name in package.slices
    by_number = {item.number: item for item in go_fields if item.number is not None}
    kind = any(item.go_type.endswith("TypeMeta") for item in go_fields)
    marks = ("*" if kind else "") + ("~" if name in package.slices else "")
    words = [name + marks + ("%" if name in package.atomic else "")]
    for found in sorted(PROTO_FIELD.finditer(body), key=lambda item: int(item[5])):
        go_field = None if hand_made else by_number.get(int(found[5]))
        if go_field is None and not hand_made:
            raise SystemExit(f"{full_name}: no Go field has number {found[5]} ({found[4]})")
        if go_field is None or go_field.json_name != "-":
            words.append(render_field(found, go_field, package, short_names))
            words[-1] += topology(found, go_field, package, short_names, defaults)
    return " ".join(words)


def render_field(
    found: re.Match[str], go_field: GoField | None, package: Package, short_names: dict[str, str]
) -> str:
    """Write one field: `name=number:type` and its marks."""
    cardinality, map_value, single, proto_name, number = found.groups()
    shape = "{}" if map_value else "[]" if cardinality == "repeated" else ""
    type_word = type_name(map_value or single, package, short_names)
    if go_field is None:
        return f"{proto_name}={number}:{shape}{type_word}"
    inline = go_field.json_has("inline")
    if not inline and not go_field.json_name:
        raise SystemExit(f"{package.short}: field {proto_name} has no JSON name")
    marks = "^" if inline else ""
    marks += "*" if go_field.go_type.startswith("*") else ""
    marks += "" if inline or go_field.json_has("omitempty") else "!"
    marks += "?" if go_field.json_has("omitzero") else ""
    if strategies := go_field.tags.get("patchStrategy"):
        marks += f"@{strategies}"
        marks += f":{key}" if (key := go_field.tags.get("patchMergeKey")) else ""
    return f"{go_field.json_name or proto_name}={number}:{shape}{type_word}{marks}"


def topology(
    found: re.Match[str],
    go_field: GoField | None,
    package: Package,
    short_names: dict[str, str],
    defaults: dict[tuple[str, str], str],
) -> str:
    """Write how field managers share a field, where its patch strategy does not tell."""
    if go_field is None:
        return ""
    markers = dict(go_field.markers)
    strategies = go_field.tags.get("patchStrategy", "").split(",")
    if found[1] != "repeated":
        kind = markers.get("structType") or markers.get("mapType")
        return f"%{kind}" if kind else ""
    by_patch = [go_field.tags.get("patchMergeKey", "")] if "merge" in strategies else ["atomic"]
    kind = markers.get("listType")
    keys = [text for marker, text in go_field.markers if marker == "listMapKey"]
    by_marker = {"map": keys, "set": [""], "atomic": ["atomic"]}.get(kind or "", by_patch)
    element = type_name(found[3], package, short_names)
    element = element if "." in element else f"{package.short}.{element}"
    named = [
        f"{key}={text}" if (text := defaults.get((element, key))) else key for key in by_marker
    ]
    return "" if named == by_patch else "%" + (",".join(named) or "set")


def type_name(proto_type: str, package: Package, short_names: dict[str, str]) -> str:
    """Return a scalar's letter, a bare name of this package, or `package.Name` of another."""
    if proto_type in SCALARS:
        return SCALARS[proto_type]
    prefix, _, name = proto_type.lstrip(".").rpartition(".")
    short = short_names[prefix] if prefix else package.short
    return name if short == package.short else f"{short}.{name}"


def main(arguments: list[str]) -> int:
    """Write the table, or with --check compare it."""
    table = render(read_packages())
    if arguments == ["--check"]:
        current = TABLE.exists() and TABLE.read_text() == table
        print(
            f"{TABLE.name} is {'current' if current else 'out of date: run this without --check'}"
        )
        return 0 if current else 1
    if arguments:
        print(__doc__)
        return 2
    TABLE.write_text(table)
    print(f"wrote {TABLE.name}: {len(table)} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
