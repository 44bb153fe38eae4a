"""`capim logs`: of a file beside us, of pods, all of it or one cluster's lines."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
import yaml

from capim.cli import logs
from capim.cli.commandline import CommandError, Where
from capim.cli.logreading import Wish, run
from tests.support.kubeapi import until
from tests.support.portforward import UpgradeServer

if TYPE_CHECKING:
    from pathlib import Path

ALL = Wish()
LINES = (
    "cluster placed cluster=default/in-memory-1",
    "cluster placed cluster=default/in-memory-10",
    "machine waits machine=default/in-memory-1-md-0-0",
    "cluster placed cluster=other/in-memory-1",
)


def kubeconfig(folder: Path, server: str, **local: str) -> Where:
    """Write one whose context says where the manager's log is."""
    extensions = [{"name": "capim", "extension": local}]
    context = {"cluster": "m", "user": "m", "extensions": extensions}
    config = {
        "clusters": [{"name": "m", "cluster": {"server": server}}],
        "contexts": [{"name": "m", "context": context}],
        "users": [{"name": "m", "user": {}}],
        "current-context": "m",
    }
    path = folder / "kubeconfig"
    path.write_text(yaml.safe_dump(config))
    return Where(str(path))


def beside(folder: Path) -> Where:
    """Write a log of `LINES`, and a kubeconfig that names it."""
    (folder / "manager.log").write_text("".join(f"{line}\n" for line in LINES))
    return kubeconfig(folder, "http://127.0.0.1:1", log=str(folder / "manager.log"))


@pytest.mark.parametrize(
    ("wish", "lines"),
    [
        pytest.param(Wish(), LINES, id="all"),
        pytest.param(Wish(tail=1), LINES[-1:], id="tail"),
        pytest.param(Wish("in-memory-1"), (LINES[0], LINES[2]), id="cluster"),
        pytest.param(Wish("in-memory-1", tail=1), (LINES[2],), id="tail-of-what-is-wanted"),
        pytest.param(Wish("other/in-memory-1"), LINES[3:], id="other-namespace"),
    ],
)
def test_lines_of_a_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], wish: Wish, lines: tuple[str, ...]
) -> None:
    assert asyncio.run(run(beside(tmp_path), wish)) == 0
    assert capsys.readouterr().out.splitlines() == list(lines)


def test_a_file_is_followed_by_whole_lines(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where, said = beside(tmp_path), []

    def heard() -> str:
        said.append(capsys.readouterr().out)
        return "".join(said)

    async def scenario() -> None:
        task = asyncio.get_running_loop().create_task(run(where, Wish(follow=True, tail=0)))
        with (tmp_path / "manager.log").open("a") as file:
            await asyncio.sleep(0)
            file.write("half of ")
            file.flush()
            file.write("a line\n")
            file.flush()
            await until(lambda: heard().endswith("half of a line\n"))
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(scenario())


def of_pods(
    folder: Path, answers: dict[str, object], wish: Wish = ALL, asked: list[str] | None = None
) -> int:
    """Run against a management cluster that answers by path."""

    def answer(path: str) -> object:
        if asked is not None:
            asked.append(path)
        return answers.get(path.partition("?")[0])

    async def scenario() -> int:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(
            lambda: UpgradeServer(lambda *_: None, answer), "127.0.0.1", 0
        )
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            return await run(kubeconfig(folder, url), wish)
        finally:
            server.close()

    return asyncio.run(scenario())


_PODS = "/api/v1/namespaces/capim-system/pods"


def pods(*names: str) -> dict[str, object]:
    """Answer with pods whose logs say their names, as JSON lines."""
    items = [{"metadata": {"name": name}, "status": {"phase": "Running"}} for name in names]
    said = {f"{_PODS}/{name}/log": {"cluster": f"default/{name}"} for name in names}
    return {_PODS: {"items": items}, **said}


def test_one_pods_lines_are_as_they_are_and_several_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    of_pods(tmp_path, pods("a"))
    assert capsys.readouterr().out == '{"cluster":"default/a"}\n'
    of_pods(tmp_path, pods("a", "b"))
    assert sorted(capsys.readouterr().out.splitlines()) == [
        '[a] {"cluster":"default/a"}',
        '[b] {"cluster":"default/b"}',
    ]


def test_the_options_are_the_servers(tmp_path: Path) -> None:
    asked: list[str] = []
    of_pods(tmp_path, pods("a"), Wish(tail=5, since_s=90, previous=True), asked)
    assert asked[-1] == f"{_PODS}/a/log?tailLines=5&sinceSeconds=90&previous=true"


def test_no_pod_is_one_line_with_the_fix(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="name its --installation-namespace"):
        of_pods(tmp_path, {})


def test_a_bad_duration_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert logs.main(["--since", "soon"]) == 2
    assert "write a duration such as 10m" in capsys.readouterr().err


def test_output_that_nobody_reads_on_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise BrokenPipeError

    redirected: list[int] = []
    monkeypatch.setattr("typer.echo", broken)
    monkeypatch.setattr("os.dup2", lambda _, to: redirected.append(to))
    where = beside(tmp_path)
    assert logs.main(["--kubeconfig", where.kubeconfig]) == 0
    assert len(redirected) == 1
