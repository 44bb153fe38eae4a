"""YAML as a real server lays it out."""

from __future__ import annotations

from capim.server import yamltext


def test_layout() -> None:
    shared = {"x": 1}
    text = yamltext.dump({"b": [shared, shared], "a": {"lines": "1\n2\n", "none": None}})
    assert text == b"a:\n  lines: |\n    1\n    2\n  none: null\nb:\n- x: 1\n- x: 1\n"


def test_text_that_could_be_more_is_quoted() -> None:
    texts = ["1", "yes", "n", "null", "2001-01-01", "", "plain"]
    lines = yamltext.dump({"it": texts}).decode().splitlines()[1:]
    assert lines == ['- "1"', '- "yes"', '- "n"', '- "null"', '- "2001-01-01"', '- ""', "- plain"]
