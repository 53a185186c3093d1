"""The versions of what a session tries, asked of the programs themselves and without a guest."""

import functools
from collections.abc import Callable
from pathlib import Path

from qemunet_tests.claims import Installed
from qemunet_tests.claims.bounds import Program
from qemunet_tests.harness import qemu_facts
from qemunet_tests.harness.host import passt


def asked_once(chosen: Callable[[], Path | None]) -> Installed:
    """Answers for the QEMU that was chosen, or found. A program is asked when its version is first wanted.

    The answer raises what looking for QEMU raises, and Unavailable for libslirp where this QEMU was built without.
    """

    @functools.cache
    def installed(program: Program) -> str | None:
        if program == "passt":
            found = passt.find()
            return found.version if found else None
        path = chosen()
        qemu = qemu_facts.find(str(path) if path else None)
        if program == "QEMU":
            return qemu.version
        qemu.require_user_backend()
        return qemu.slirp

    return installed
