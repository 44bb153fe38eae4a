"""Objects as YAML, both ways, as sigs.k8s.io/yaml does it. Pure.

Written, keys are sorted and text is quoted where it could be more; read, it is JSON in other clothes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import orjson
import yaml

from capim.wire import strictjson

if TYPE_CHECKING:
    from collections.abc import Callable

    from capim.api.meta import JsonObject

_TEXT: Final = "tag:yaml.org,2002:str"
#: booleans of YAML 1.1 that PyYAML reads as text and Go's does not
_OTHER_BOOLEANS: Final = frozenset({"y", "Y", "n", "N"})


#: values of a document with references, each counted where it stands
_ALIASED_LIMIT: Final = 100_000
_TOO_MANY_ALIASES: Final = "document contains excessive aliasing"
#: YAML that is no JSON: 25 us a value here, where Go takes one; the largest definitions have 40 000
_VALUES_LIMIT: Final = 50_000
_TEXT_LIMIT_BYTES: Final = 1 << 20
_TOO_LARGE: Final = "document is too large: send it as JSON"


class _Loader(yaml.SafeLoader):
    """YAML as JSON knows it: what looks like a time stays text."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - the base class declares it so
        first: [(tag, pattern) for tag, pattern in rows if tag != "tag:yaml.org,2002:timestamp"]
        for first, rows in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    repeated: list[str] | None = None  #: keys given twice in a map, where somebody wants to know
    values = 0  #: maps, lists, and what is in them
    aliases = 0  #: how often the document refers to itself
    merged = 0  #: entries of maps that others were merged into

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Count values and references."""
        self.values += 1
        if self.values > _VALUES_LIMIT:
            raise ValueError(_TOO_LARGE)
        self.aliases += self.check_event(yaml.AliasEvent)
        return super().compose_node(parent, index)

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        """Note keys that are given twice."""
        node = super().compose_mapping_node(anchor)
        if self.repeated is not None:
            self.repeated += _repeated_in(node)
        return node

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Merge maps, as long as they stay small: merges of merges grow without bounds."""
        super().flatten_mapping(node)
        self.merged += len(node.value)
        if self.merged > _ALIASED_LIMIT:
            raise ValueError(_TOO_MANY_ALIASES)


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


def load(data: bytes) -> Any:
    """Return the JSON value that a document stands for; of several documents there is none.

    Raises:
        ValueError, TypeError, RecursionError, yaml.YAMLError: it is not YAML, or not JSON.
    """
    if len(data) > _TEXT_LIMIT_BYTES:
        raise ValueError(_TOO_LARGE)
    loader = _Loader(data)
    try:
        body = loader.get_single_data()
    finally:
        loader.dispose()
    if loader.aliases:
        _check_size(body)
    return orjson.loads(orjson.dumps(body, option=orjson.OPT_NON_STR_KEYS))


def is_printable(data: bytes) -> bool:
    """Tell whether a text in UTF-8 has only characters that YAML allows."""
    return yaml.reader.Reader.NON_PRINTABLE.search(data.decode()) is None


def repeated_keys(data: bytes) -> list[str]:
    """Return a complaint about every key that a map of a document gives again, as Go's decoder words it.

    Each names the line of the value.

    Raises:
        yaml.YAMLError: it is not YAML.
    """
    if _is_json_without_repeats(data) or len(data) > _TEXT_LIMIT_BYTES:
        return []
    loader = _Loader(data)
    loader.repeated = []
    try:
        loader.get_single_node()
    except ValueError:
        return []  # JSON of very many values: too dear to look through for a warning
    finally:
        loader.dispose()
    return loader.repeated


def _is_json_without_repeats(data: bytes) -> bool:
    """Tell at the price of JSON what YAML would tell at a hundred times that."""
    try:
        return not strictjson.has_duplicates(data, orjson.loads(data))
    except ValueError:
        return False


def _repeated_in(node: yaml.MappingNode) -> list[str]:
    seen, repeated = set(), []
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode):
            continue
        if key.value in seen:
            line = value.start_mark.line + 1
            repeated.append(f'line {line}: key "{key.value}" already set in map')
        seen.add(key.value)
    return repeated


def _check_size(body: object) -> None:
    """Refuse a document that is small only because it repeats itself. Raises ValueError."""
    waiting, count = [body], 0
    while waiting:
        value = waiting.pop()
        count += 1
        if count > _ALIASED_LIMIT:
            raise ValueError(_TOO_MANY_ALIASES)
        if isinstance(value, dict):
            waiting.extend(value.values())
        elif isinstance(value, list):
            waiting.extend(value)


def dump(body: JsonObject) -> bytes:
    """Return the object's text."""
    text: bytes = yaml.dump(body, Dumper=_Dumper, encoding="utf-8", allow_unicode=True)
    return text
