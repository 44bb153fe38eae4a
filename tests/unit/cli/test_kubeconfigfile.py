"""Kubeconfig files: what a merge keeps, replaces and switches, and how the file is written."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import pytest
import yaml

from capim.cli.commandline import CommandError
from capim.cli.kubeconfigfile import merge_into, merged, single


def config(name: str, server: str = "https://10.0.0.1:20000") -> dict[str, Any]:
    """As Cluster API writes one, with names of its own."""
    return {
        "clusters": [{"name": name, "cluster": {"server": server}}],
        "users": [{"name": f"{name}-admin", "user": {"token": "t"}}],
        "contexts": [
            {"name": f"{name}-admin@{name}", "context": {"cluster": name, "user": f"{name}-admin"}}
        ],
        "current-context": f"{name}-admin@{name}",
    }


def names(whole: dict[str, Any], section: str) -> list[str]:
    return [entry["name"] for entry in whole[section]]


def test_one_cluster_has_one_name_throughout() -> None:
    alone = single(config("a"), "default/a")
    assert [names(alone, it) for it in ("clusters", "users", "contexts")] == [["default/a"]] * 3
    assert alone["contexts"][0]["context"] == {"cluster": "default/a", "user": "default/a"}
    assert alone["clusters"][0]["cluster"]["server"] == "https://10.0.0.1:20000"
    assert alone["current-context"] == "default/a"


def test_another_server_takes_the_place_of_the_one_it_names() -> None:
    alone = single(config("a"), "default/a", "https://127.0.0.1:20000")
    assert alone["clusters"][0]["cluster"] == {"server": "https://127.0.0.1:20000"}


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param({}, id="empty"),
        pytest.param({**config("a"), "users": None}, id="no-users"),
        pytest.param({**config("a"), "current-context": "other"}, id="no-such-context"),
    ],
)
def test_what_is_not_whole_is_refused(broken: dict[str, Any]) -> None:
    with pytest.raises(CommandError, match="the kubeconfig of default/a is not whole"):
        single(broken, "default/a")


def test_a_merge_keeps_others_replaces_its_own_and_switches() -> None:
    both = merged(config("mine"), single(config("a"), "default/a"), switch=True)
    again = merged(both, single(config("a"), "default/a", "https://b:1"), switch=True)
    assert names(again, "clusters") == ["mine", "default/a"]
    assert again["clusters"][1]["cluster"]["server"] == "https://b:1"
    assert again["current-context"] == "default/a"


def test_the_current_context_stays_where_it_is_wanted() -> None:
    added = single(config("a"), "default/a")
    assert merged(config("mine"), added, switch=False)["current-context"] == "mine-admin@mine"
    assert merged({}, added, switch=False)["current-context"] == "default/a"


def test_the_file_is_private_and_whole_and_tells_what_was_current(tmp_path: Path) -> None:
    path = tmp_path / "new" / "config"
    added = single(config("a"), "default/a")
    assert merge_into(path, added, switch=True) == ""
    assert merge_into(path, single(config("b"), "default/b"), switch=True) == "default/a"
    assert names(yaml.safe_load(path.read_text()), "contexts") == ["default/a", "default/b"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [it.name for it in path.parent.iterdir()] == ["config"]


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    target, link = tmp_path / "real", tmp_path / "link"
    link.symlink_to(target)
    merge_into(link, single(config("a"), "default/a"), switch=True)
    assert link.is_symlink()
    assert names(yaml.safe_load(target.read_text()), "contexts") == ["default/a"]


def test_a_file_under_anothers_lock_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "config"
    (tmp_path / "config.lock").touch()
    with pytest.raises(CommandError, match=r"or remove .*config\.lock"):
        merge_into(path, single(config("a"), "default/a"), switch=True)
    assert not path.exists()


@pytest.mark.parametrize("text", ["a: [", "- 1"], ids=["no-yaml", "no-mapping"])
def test_what_is_no_kubeconfig_is_not_overwritten(tmp_path: Path, text: str) -> None:
    path = tmp_path / "config"
    path.write_text(text)
    with pytest.raises(CommandError, match="is no kubeconfig"):
        merge_into(path, single(config("a"), "default/a"), switch=True)
    assert path.read_text() == text
    assert [it.name for it in tmp_path.iterdir()] == ["config"]
