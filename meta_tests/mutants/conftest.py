"""What tests of mutants share."""

import pytest

from meta_tests.mutants.debian_sources import NoSource
from meta_tests.mutants.trying import Trees


@pytest.fixture(scope="module")
def trees() -> Trees:
    """The sources that are built with one bug each; skipped where they cannot be had."""
    try:
        return Trees()
    except NoSource as why:
        pytest.skip(str(why))
