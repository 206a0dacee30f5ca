"""Numbers that name a product, and prices."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extractor.records import Reason, Rejection
from tests.normalizing import attribute, normalize


@pytest.mark.parametrize(
    ("surface", "canonical"),
    [
        ("012345678905", "00012345678905"),
        ("0 12345-67890 5", "00012345678905"),
        ("UPC: 012345678905", "00012345678905"),
        ("EAN-13 4006381333931", "04006381333931"),
        ("ISBN 0-306-40615-2", "09780306406157"),
        ("0-8044-2957-X", "09780804429573"),
        ("73513537", "00000073513537"),
        ("000000000000", "000000000000"),
        ("12345", "12345"),
        ("does not apply", "does not apply"),
    ],
)
def test_gtin(surface: str, canonical: str) -> None:
    value, rejection = normalize(surface, attribute("gtin"))
    assert (value.canonical, value.unit, rejection) == (canonical, None, None)


def test_a_wrong_check_digit_is_told_and_the_value_kept() -> None:
    value, rejection = normalize("4006381333932", attribute("gtin"))
    assert value.canonical == "4006381333932"
    detail = "'4006381333932': the last digit of 4006381333932 is not its check digit; kept as text"
    assert rejection == Rejection("p1", "x", Reason.CHECK_DIGIT, detail)


@given(st.integers(1, 10**13 - 1), st.integers(0, 9))
def test_one_check_digit_in_ten_is_right(body: int, digit: int) -> None:
    numbers = [f"{body:013}{last}" for last in range(10)]
    right = [number for number in numbers if normalize(number, attribute("gtin"))[1] is None]
    assert len(right) == 1
    # A digit that is read wrongly is noticed.
    wrong = str(digit) + right[0][1:]
    assert wrong == right[0] or normalize(wrong, attribute("gtin"))[1] is not None


@pytest.mark.parametrize(
    ("surface", "canonical"),
    [
        ("HLX-J270DW", "HLXJ270DW"),
        ("hlx j270dw", "HLXJ270DW"),
        ("583718-001", "583718001"),
        ("QZW-4M(208)", "QZW4M208"),
        ("KTMSX-2411", "KTMSX2411"),
        ("P2.5", "P2.5"),
        ("Galaxy S21 Ultra", "galaxy s21 ultra"),
        ("Telecaster", "telecaster"),
        ("0ß", "0SS"),
    ],
)
def test_model_numbers(surface: str, canonical: str) -> None:
    assert normalize(surface, attribute("model"))[0].canonical == canonical


@pytest.mark.parametrize(
    ("surface", "canonical", "unit"),
    [
        ("$1,299.00", "1299.00", "USD"),
        ("₹63,400", "63400.00", "INR"),
        ("Rs. 499", "499.00", "INR"),
        ("19,90 €", "19.90", "EUR"),
        ("EUR 1.299,00", "1299.00", "EUR"),
        ("RM 809", "809.00", "MYR"),
        ("20.5", "20.50", None),
        ("call us", "call us", None),
        ("9" * 40, "9" * 40, None),
    ],
)
def test_prices(surface: str, canonical: str, unit: str | None) -> None:
    value, rejection = normalize(surface, attribute("price"))
    assert (value.canonical, value.unit, rejection) == (canonical, unit, None)
