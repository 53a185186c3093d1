"""A guest-network connectivity test suite for QEMU."""

from pathlib import Path

# Fixtures and images live on shelves of their own at the top of the checkout. An installation maps them into
# the package; in a bare checkout this line does.
_checkout = Path(__file__).parent.parent
if (_checkout / "fixtures").is_dir() and (_checkout / "pyproject.toml").is_file():
    __path__.append(str(_checkout))
