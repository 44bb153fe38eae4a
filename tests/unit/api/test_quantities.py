"""Quantities keep their family and have one shortest form."""

import pytest

from capim.api.quantities import MALFORMED, canonical_quantity, parse_quantity


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        ("0.5", "500m"),
        ("1024Mi", "1Gi"),
        ("1000m", "1"),
        ("1.5Gi", "1536Mi"),
        ("0.5Gi", "512Mi"),
        ("1e3", "1e3"),
        ("0100", "100"),
        ("1000k", "1M"),
        ("1.0Ki", "1Ki"),
        ("0m", "0"),
        ("-1", "-1"),
        ("1E", "1E"),
        ("0.1n", "1n"),
        ("2e999999999", str((1 << 63) - 1)),
        ("-2e999999999", str(1 - (1 << 63))),
        ("2e-999999999", "1e-9"),
        ("0e999999999", "0"),
        ("0." + "0" * 500 + "3e504", "3e3"),
    ],
)
def test_quantity_is_stored_in_its_shortest_form(text: str, stored: str) -> None:
    assert canonical_quantity(text) == stored


def test_quantities_compare_by_amount() -> None:
    assert parse_quantity("1Gi").nanos == parse_quantity("1024Mi").nanos
    assert parse_quantity("999m").nanos < parse_quantity("1").nanos


@pytest.mark.parametrize("text", ["", "x", "1 Gi", "1Zi", "--1", "1" * 5000])
def test_malformed_quantity_is_refused_in_the_servers_words(text: str) -> None:
    with pytest.raises(ValueError, match=r"quantities must match") as caught:
        parse_quantity(text)
    assert str(caught.value) == MALFORMED
