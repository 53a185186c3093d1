"""Where built guests and probe results are kept between runs."""

import os
from pathlib import Path

SYSTEM_CACHE = Path("/var/cache/qemunet")


def cache_root() -> Path:
    """The folder this user may write. It is not created here.

    Root keeps its cache where other users can read it, because root's home is closed to the user QEMU runs as.
    """
    if chosen := os.environ.get("QEMUNET_CACHE"):
        return Path(chosen)
    if os.getuid() == 0:
        return SYSTEM_CACHE
    if xdg := os.environ.get("XDG_CACHE_HOME"):
        return Path(xdg) / "qemunet"
    home = Path(os.environ.get("HOME", "/nonexistent"))
    if os.access(home, os.W_OK):
        return home / ".cache" / "qemunet"
    return Path(f"/var/tmp/qemunet-{os.getuid()}")


def readable_caches() -> list[Path]:
    """Where to look for what was built before: our own cache, then the one root shares; or only the one chosen."""
    shared = [] if os.environ.get("QEMUNET_CACHE") else [SYSTEM_CACHE]
    return list(dict.fromkeys([cache_root(), *shared]))
