"""Generated files are what their generators make, as far as that can be told without Go."""

from pathlib import Path

import pytest

from tools import generate_faults, generate_kinds, seal


def test_no_seal_is_broken() -> None:
    assert seal.broken() == []


def test_every_generated_file_is_sealed() -> None:
    root = Path(seal.ROOT)
    written = [*(root / "capim/api").glob("builtin_*.txt")]
    written += (root / seal.VECTORS).glob("*.json")
    sealed = {made.path for made in seal.MADE}
    assert {path.relative_to(root).as_posix() for path in written} == sealed


@pytest.mark.parametrize(
    "changed", ["capim/api/builtin_types.txt", "tools/generate_builtin_types.py"]
)
def test_a_change_breaks_a_seal(
    changed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for made in seal.MADE:
        sources = [path for pattern in made.sources for path in seal.ROOT.glob(pattern)]
        for path in (seal.ROOT / made.path, *sources):
            copy = tmp_path / path.relative_to(seal.ROOT)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(path.read_bytes())
    monkeypatch.setattr(seal, "ROOT", tmp_path)
    assert seal.broken() == []
    tmp_path.joinpath(changed).write_bytes(b"changed")
    assert "capim/api/builtin_types.txt" in seal.broken()


def test_the_page_of_kinds_is_current() -> None:
    assert generate_kinds.PAGE.read_text("utf-8") == generate_kinds.page()
    assert generate_kinds.unused() == set()


def test_the_page_of_faults_is_current() -> None:
    current = generate_faults.PAGE.read_text("utf-8")
    assert current == generate_faults.page(current)
