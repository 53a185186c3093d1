"""What is seen and expected is said in people's words, not in Python's."""

import pytest

from qemunet_tests.report.claim_report import in_words


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("", "nothing"),
        ([""], "nothing"),
        (True, "yes"),
        (False, "no"),
        (None, "nothing"),
        (["10.0.2.3", "10.0.2.4"], "10.0.2.3, 10.0.2.4"),
        (frozenset({"b", "a"}), "a, b"),
        ((), "nothing"),
        ({"by TCP": True, "by UDP": False}, "by TCP: yes; by UDP: no"),
        (7, "7"),
        ("10.0.2.15/24", "10.0.2.15/24"),
    ],
)
def test_a_value_is_written_as_people_do(value: object, words: str) -> None:
    assert in_words(value) == words
