"""Tables of tests: where several claims are tried in one way, each is a row and bears its claim."""

from typing import Any

import pytest


def promise(claim: str, *values: Any) -> Any:
    """A row for `pytest.mark.parametrize`: what the test is to take for this claim."""
    return pytest.param(*values, marks=pytest.mark.claim(claim), id=claim)
