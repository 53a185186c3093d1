"""The versions of what a session tries, asked of the programs themselves and without a guest."""

import functools
from collections.abc import Callable

from qemunet_tests.claims import Installed
from qemunet_tests.claims.bounds import Program
from qemunet_tests.settings import Settings
from qemunet_tests.under_test import chosen_passt, chosen_qemu


def asked_once(chosen: Callable[[], Settings]) -> Installed:
    """Answers for the QEMU that was chosen, or found, asked as the user that guests run as.

    A program is asked when its version is first wanted. The answer raises what looking for QEMU raises, and
    Unavailable for libslirp where this QEMU was built without.
    """

    @functools.cache
    def installed(program: Program) -> str | None:
        if program == "passt":
            found = chosen_passt(chosen())
            return found.version if found else None
        qemu = chosen_qemu(chosen())
        if program == "QEMU":
            return qemu.version
        if obstacle := qemu.without_user_backend():
            raise obstacle.unavailable()
        return qemu.slirp

    return installed
