"""Kubeconfig files: a cluster's entries merged into one, and written so that no reader sees half of it."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import yaml

from capim.cli.commandline import CommandError

if TYPE_CHECKING:
    from capim.api.meta import JsonObject

_EMPTY: Final = {"apiVersion": "v1", "kind": "Config", "preferences": {}}
_SECTIONS: Final = ("clusters", "users", "contexts")


def single(config: JsonObject, name: str, server: str = "") -> JsonObject:
    """Return a kubeconfig with the current context of another one alone, under one name throughout.

    Args:
        config: as Cluster API writes it into a Secret.
        name: of cluster, user and context.
        server: in place of the one it names; empty: that one.

    Raises:
        CommandError: it is no whole kubeconfig.
    """
    try:
        context = _entry(config, "contexts", config["current-context"])["context"]
        cluster = _entry(config, "clusters", context["cluster"])["cluster"]
        user = _entry(config, "users", context["user"])["user"]
    except (KeyError, TypeError, StopIteration) as error:
        raise CommandError(
            f"the kubeconfig of {name} is not whole: look at its Secret: {error!r}"
        ) from error
    if server:
        cluster = {**cluster, "server": server}
    meant = {**context, "cluster": name, "user": name}
    return {
        **_EMPTY,
        "clusters": [{"name": name, "cluster": cluster}],
        "users": [{"name": name, "user": user}],
        "contexts": [{"name": name, "context": meant}],
        "current-context": name,
    }


def _entry(config: JsonObject, section: str, name: str) -> Any:
    return next(entry for entry in config[section] if entry["name"] == name)


def merged(into: JsonObject, added: JsonObject, *, switch: bool) -> JsonObject:
    """Return a kubeconfig with another's entries in it, in place of those of the same names.

    `switch`: its current context becomes the current one; without any that happens anyway.
    """
    result = {**_EMPTY, **into}
    for section in _SECTIONS:
        fresh = {entry["name"]: entry for entry in added[section]}
        kept = [entry for entry in result.get(section) or () if entry["name"] not in fresh]
        result[section] = [*kept, *fresh.values()]
    if switch or not result.get("current-context"):
        result["current-context"] = added["current-context"]
    return result


def read(path: Path) -> JsonObject:
    """Read a kubeconfig; one that is not there is empty.

    Raises:
        CommandError: it is no kubeconfig.
    """
    if not path.exists():
        return {}
    try:
        config = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except yaml.YAMLError as error:
        raise CommandError(f"{path} is no kubeconfig: repair it, or name another --file") from error
    if not isinstance(config, dict):
        raise CommandError(f"{path} is no kubeconfig: repair it, or name another --file")
    return config


def merge_into(path: Path, added: JsonObject, *, switch: bool) -> str:
    """Merge entries into a file, private and under kubectl's lock; return the context that was current.

    Raises:
        CommandError: another program writes the file.
        OSError: it cannot be written.
    """
    path = Path(os.path.realpath(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = path.with_name(f"{path.name}.lock")
    try:
        os.close(os.open(lock, os.O_CREAT | os.O_EXCL, 0))
    except FileExistsError as error:
        raise CommandError(
            f"{path} is being written by another program: try again, or remove {lock}"
        ) from error
    try:
        before = read(path)
        _replace(path, dump(merged(before, added, switch=switch)))
    finally:
        lock.unlink()
    return str(before.get("current-context") or "")


def _replace(path: Path, text: str) -> None:
    # mkstemp's files are their owner's alone
    number, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    with os.fdopen(number, "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(name, path)


def dump(config: JsonObject) -> str:
    """Write a kubeconfig as text."""
    return yaml.safe_dump(config, sort_keys=False, allow_unicode=True)
