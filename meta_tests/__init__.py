"""The project's own tests: they try to break it."""

import pytest

# Their fixtures assert, and are imported by test modules before pytest loads them as plugins.
pytest.register_assert_rewrite("meta_tests.isolation.runs", "meta_tests.installation.debian_machines")
