"""The versions and options of what a session tries, asked of the programs themselves and without a guest."""

import functools
from collections.abc import Callable

from qemunet_tests.claims import Installed
from qemunet_tests.claims.bounds import Program
from qemunet_tests.errors import HarnessError
from qemunet_tests.qemu import qmp_schema
from qemunet_tests.settings import Settings
from qemunet_tests.under_test import chosen_passt, chosen_qemu, guests_identity


def asked_once(chosen: Callable[[], Settings]) -> Installed:
    """Answers for the QEMU that was chosen, or found, asked as the user that guests run as.

    A program is asked when its version or its options are first wanted. The answers raise what looking for QEMU raises,
    and that about libslirp Unavailable where this QEMU was built without.
    """

    @functools.cache
    def version(program: Program) -> str | None:
        if program == "passt":
            found = chosen_passt(chosen())
            return found.version if found else None
        qemu = chosen_qemu(chosen())
        if program == "QEMU":
            return qemu.version
        if obstacle := qemu.without_user_backend():
            raise obstacle.unavailable()
        return qemu.slirp

    @functools.cache
    def has(option: str) -> bool | None:
        qemu, asker = chosen_qemu(chosen()), guests_identity(chosen())
        try:
            return option in qmp_schema.options(qemu.path, asker)
        except HarnessError:
            return None

    return Installed(version, has)
