"""Objects as YAML as sigs.k8s.io/yaml lays it out: sorted keys, quotes where text could be more. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import yaml

if TYPE_CHECKING:
    from collections.abc import Callable

    from capim.api.meta import JsonObject

_TEXT: Final = "tag:yaml.org,2002:str"
#: booleans of YAML 1.1 that PyYAML reads as text and Go's does not
_OTHER_BOOLEANS: Final = frozenset({"y", "Y", "n", "N"})


class _Dumper(yaml.SafeDumper):
    """Writes what could be read as a number, a time or a truth in double quotes."""

    def ignore_aliases(self, data: object) -> bool:
        """Write equal parts twice: JSON knows no references."""
        del data
        return True


def _tag(dumper: yaml.SafeDumper, text: str) -> str:
    """Return what a reader takes unquoted text for."""
    resolve: Callable[[type[yaml.Node], str, tuple[bool, bool]], str] = dumper.resolve
    return resolve(yaml.ScalarNode, text, (True, False))


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = None
    if "\n" in text:
        style = "|"
    elif text in _OTHER_BOOLEANS or _tag(dumper, text) != _TEXT:
        style = '"'
    return dumper.represent_scalar(_TEXT, text, style=style)


_Dumper.add_representer(str, _text)


def dump(body: JsonObject) -> bytes:
    """Return the object's text."""
    text: bytes = yaml.dump(body, Dumper=_Dumper, encoding="utf-8", allow_unicode=True)
    return text
