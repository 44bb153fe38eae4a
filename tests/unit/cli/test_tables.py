"""Tables and documents: laid out as kubectl lays them out."""

from __future__ import annotations

import json

import yaml

from capim.cli.tables import Column, document, listed, table

COLUMNS = (Column("NAME"), Column("PHASE"), Column("NODE", wide=True))
ROWS = (("a-long-name", "Running", "n1"), ("b", "", "n2"))


def test_columns_are_three_spaces_apart_and_nothing_reads_none() -> None:
    assert (
        table(COLUMNS, ROWS) == "NAME          PHASE\na-long-name   Running\nb             <none>\n"
    )


def test_wide_shows_all_columns() -> None:
    assert table(COLUMNS, ROWS, wide=True).splitlines() == [
        "NAME          PHASE     NODE",
        "a-long-name   Running   n1",
        "b             <none>    n2",
    ]


def test_one_that_was_named_is_itself_and_others_are_a_list() -> None:
    items = [{"kind": "A"}]
    assert listed(items, single=True) == {"kind": "A"}
    assert listed(items, single=False)["items"] == items
    assert listed(items, single=False)["kind"] == "List"


def test_documents_can_be_read_again() -> None:
    body = {"name": "ä", "count": 1}
    assert json.loads(document(body, "json")) == body
    assert yaml.safe_load(document(body, "yaml")) == body
