"""The project's own tests: they try to break it."""

import pytest

# Its fixtures assert, and are imported by test modules before pytest loads it as a plugin.
pytest.register_assert_rewrite("meta_tests.isolation.runs")
