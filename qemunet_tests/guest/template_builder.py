"""Making a template: a guest is booted, saved where it would configure its network, and thawed once as a proof."""

import shutil
import time
from collections.abc import Callable
from pathlib import Path

from qemunet_tests.errors import HarnessError
from qemunet_tests.guest.guest import BOOT_SECONDS, Guest
from qemunet_tests.guest.panic import despite_its_timer
from qemunet_tests.guest.template import MEMORY, NETWORK, STATE, Template, nic_words, save
from qemunet_tests.qemu.guest_machine import GuestMachine
from qemunet_tests.qemu.launcher import Starter
from qemunet_tests.qemu.netdev import Nic, SpelledNetdev
from qemunet_tests.timeouts import Pace

#: How far a thawed guest's clock may be off when it is first asked.
CLOCK_SKEW_SECONDS = 5.0


class Freezer:
    """`thaw` and `discard` are the bench's own: a template is proven by the way it will be used.

    `note` is told of a guest that had to be booted again.
    """

    def __init__(
        self,
        machine: GuestMachine,
        starter: Starter,
        pace: Pace,
        thaw: Callable[[Template, tuple[Nic, ...], bool], Guest],
        discard: Callable[[Guest], None],
        note: Callable[[str], None],
    ) -> None:
        self._machine = machine
        self._starter = starter
        self._pace = pace
        self._thaw = thaw
        self._discard = discard
        self._note = note

    def freeze(self, models: tuple[str, ...]) -> Path:
        """The folder with memory and state of a guest with these NICs. Raises HarnessError."""
        name, folder = self._starter.new_folder("template")
        try:
            despite_its_timer(lambda: self._save(name, folder, models), self._note)
            self._prove(Template(folder, models))
        except BaseException:
            # It takes as much room as a guest.
            shutil.rmtree(folder, ignore_errors=True)
            raise
        return folder

    def _save(self, name: str, folder: Path, models: tuple[str, ...]) -> None:
        for file in (MEMORY, STATE):
            self._starter.give(folder / file)
        backed = self._machine.backed(folder / MEMORY, shared=True, network=NETWORK)
        qemu = self._starter.launch([*self._machine.words(name), *backed, *nic_words(models)], folder, [])
        guest = Guest(name, qemu, (), (), self._pace)
        try:
            qemu.wait_until_running(self._pace.seconds(4.0))
            guest.wait_until_ready(self._pace.seconds(BOOT_SECONDS))
            guest.wait_idle(within_seconds=6)
            save(guest.monitor, folder / STATE, self._pace.seconds(4.0))
        finally:
            guest.close()

    def _prove(self, template: Template) -> None:
        """Thaw a guest once before anybody relies on it. Raises HarnessError where it is not what a booted one is.

        Accelerators differ in what they save: a guest that is back but whose clock ran wild would spoil every test.
        """
        if "user" not in self._machine.qemu.netdevs:
            return  # nobody here would give it a lease
        began = time.time()
        guest = self._thaw(template, tuple(Nic(SpelledNetdev("user"), model) for model in template.models), True)
        try:
            # QEMU gives each of its backends a network of its own.
            if not all(guest.await_lease(nic, 10) for nic in range(len(template.models))):
                raise HarnessError("a thawed guest gets no lease")
            said = int(guest.check("date +%s"))
        finally:
            self._discard(guest)
        if skew_seconds := off(said, began, time.time()):
            raise HarnessError(f"a thawed guest's clock is {skew_seconds:.0f} s off")


def off(said: float, earliest: float, latest: float) -> float:
    """By how many seconds a clock is wrong, 0 where it may be right.

    It was set and read between two moments of the host's, and on a busy machine those lie far apart.
    """
    wrong = max(earliest - said, said - latest)
    return wrong if wrong > CLOCK_SKEW_SECONDS else 0.0
