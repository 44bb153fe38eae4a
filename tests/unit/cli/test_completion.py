"""Completion: what a shell gets when it asks how a line may go on."""

from __future__ import annotations

import pytest

from capim.cli import main

SHELLS = ("bash", "zsh", "fish")


def test_help_keeps_names_and_summaries_apart() -> None:
    lines = main.usage().splitlines()
    for name, command in main.COMMANDS.items():
        (line,) = (it for it in lines if it.strip().startswith(f"{name} "))
        assert line.split(maxsplit=1)[1] == command.summary


@pytest.mark.parametrize("shell", SHELLS)
def test_the_script_asks_capim(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["completion", shell]) == 0
    assert f"{main.COMPLETION_VARIABLE}=complete_{shell}" in capsys.readouterr().out


def test_another_shell_is_refused_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["completion", "tcsh"]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        pytest.param("capim ", set(main.COMMANDS), id="commands"),
        pytest.param("capim ku", {"kubeconfig"}, id="begun"),
        pytest.param("capim get ", {"clusters", "machines", "shards"}, id="kinds"),
        pytest.param("capim get clusters --out", {"--output"}, id="option"),
        pytest.param("capim get clusters -o ", {"json", "name", "wide", "yaml"}, id="value"),
        pytest.param("capim kubeconfig d", set(), id="no-server-no-names"),
    ],
)
def test_lines(
    line: str,
    expected: set[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = line.split()
    monkeypatch.setenv("KUBECONFIG", "/no/such")
    monkeypatch.setenv("COMP_WORDS", line)
    monkeypatch.setenv("COMP_CWORD", str(len(words) - (not line.endswith(" "))))
    monkeypatch.setenv(main.COMPLETION_VARIABLE, "complete_bash")
    main.main([])
    assert set(capsys.readouterr().out.split()) == expected
