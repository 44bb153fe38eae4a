"""The prose of the built-in kinds, read from the installed `kubernetes` package when it is asked for.

That client library carries the description of every kind and field in the source of its models. The
source is read as text, a file at a time: importing the models would cost every worker tens of
megabytes. What is not found there has no description: fields that are other messages, for instance.
"""

from __future__ import annotations

import ast
import functools
import importlib.util
import re
from pathlib import Path
from typing import Final, NamedTuple

#: of `HTTPGetAction` and `CSINodeDriver`: http_get_action, csi_node_driver
_WORD_ENDS: Final = re.compile(r"(?<=[A-Z])(?=[A-Z][a-z])|(?<=[a-z\d])(?=[A-Z])")
_FIELD: Final = re.compile(
    r'^    (\w+): .*\bdescription=("(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)*\')', re.MULTILINE
)
_ALIAS: Final = re.compile(r'^        "(\w+)": "([^"]+)",?$', re.MULTILINE)


class Prose(NamedTuple):
    """What is said of a message and of its fields, by JSON name."""

    text: str
    fields: dict[str, str]


_NOTHING: Final = Prose("", {})


def prose(name: str) -> Prose:
    """Return what is said of a message such as `core/v1.Pod`."""
    folder = _folder()
    if folder is None:
        return _NOTHING
    package, _, short = name.rpartition(".")
    group, _, version = package.rpartition("/")
    stem = f"{version}_{_WORD_ENDS.sub('_', short).lower()}.py"
    for path in (folder / f"{group.partition('.')[0]}_{stem}", folder / stem):
        if path.exists():
            return _read(path.read_text(encoding="utf-8"))
    return _NOTHING


@functools.cache
def common_fields() -> dict[str, str]:
    """Return what is said of `apiVersion` and `kind`, which all kinds share."""
    return prose("core/v1.ConfigMap").fields


@functools.cache
def _folder() -> Path | None:
    found = importlib.util.find_spec("kubernetes")
    if found is None or found.origin is None:
        return None
    folder = Path(found.origin).parent / "client" / "models"
    return folder if folder.is_dir() else None


def _read(source: str) -> Prose:
    _, _, source = source.partition("(BaseModel):\n")
    head, _, rest = source.partition("openapi_types: ClassVar")
    _, _, rest = rest.partition("attribute_map: ClassVar")
    names = dict(_ALIAS.findall(rest.partition("}")[0]))
    fields = {
        names.get(attribute, attribute): str(ast.literal_eval(literal))
        for attribute, literal in _FIELD.findall(head)
    }
    text = head.partition('"""')[2].partition("Attributes:")[0]
    return Prose(text.strip(), fields)
