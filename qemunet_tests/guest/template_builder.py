"""Making a template: a guest is booted, saved where it would configure its network, and thawed once as a proof.

And restoring guests from it.
"""

import shutil
import time
from pathlib import Path

from qemunet_tests.errors import HarnessError
from qemunet_tests.guest.guest import BOOT_SECONDS, Guest
from qemunet_tests.guest.guest_launcher import GuestLauncher
from qemunet_tests.guest.living_guests import LivingGuests
from qemunet_tests.guest.panic import despite_its_timer
from qemunet_tests.guest.template import MEMORY, NETWORK, STATE, Template, nic_words, save, thaw
from qemunet_tests.host.wall_clock import WallClock
from qemunet_tests.qemu.netdev import Nic, SpelledNetdev

#: How far a thawed guest's clock may be off when it is first asked.
CLOCK_SKEW_SECONDS = 5.0


class TemplateBuilder:
    """Makes templates with a launcher, and proves each by thawing a guest, which is put into `guests` for so long."""

    def __init__(self, launcher: GuestLauncher, guests: LivingGuests) -> None:
        self._launcher = launcher
        self._guests = guests

    def freeze(self, models: tuple[str, ...]) -> Path:
        """The folder with memory and state of a guest with these NICs. Raises HarnessError."""
        launcher = self._launcher.launcher
        name, folder = launcher.new_folder("template")
        try:
            # A template has none of a libslirp's state, and a build that gives no lease is not to spoil it.
            with launcher.with_installed_libslirp():
                despite_its_timer(lambda: self._save(name, folder, models), self._launcher.note)
                self._prove(Template(folder, models))
        except BaseException:
            # It takes as much room as a guest.
            shutil.rmtree(folder, ignore_errors=True)
            raise
        return folder

    def _save(self, name: str, folder: Path, models: tuple[str, ...]) -> None:
        machine, launcher, pace = self._launcher.machine, self._launcher.launcher, self._launcher.pace
        for file in (MEMORY, STATE):
            launcher.give(folder / file)
        backed = machine.backed(folder / MEMORY, shared=True, network=NETWORK)
        qemu = launcher.launch([*machine.words(name), *backed, *nic_words(models)], folder, [])
        guest = Guest(name, qemu, (), (), pace, machine.image.guest.tools)
        try:
            qemu.wait_until_running(pace.seconds(4.0))
            guest.wait_until_ready(pace.seconds(BOOT_SECONDS))
            guest.wait_idle(within_seconds=6)
            save(guest.monitor, folder / STATE, pace.seconds(4.0))
        finally:
            guest.close()

    def _prove(self, template: Template) -> None:
        """Thaw a guest once before anybody relies on it. Raises HarnessError where it is not what a booted one is.

        Accelerators differ in what they save: a guest that is back but whose clock ran wild would spoil every test.
        """
        if "user" not in self._launcher.machine.qemu.netdevs:
            return  # nobody here would give it a lease
        began, clock = time.time(), WallClock()
        nics = tuple(Nic(SpelledNetdev("user"), model) for model in template.models)
        guest = restored(self._launcher, self._guests, template, nics, network=True)
        try:
            # QEMU gives each of its backends a network of its own.
            if not all(guest.await_lease(nic, 10) for nic in range(len(template.models))):
                raise HarnessError("a thawed guest gets no lease")
            said = int(guest.check("date +%s"))
        finally:
            self._guests.discard(guest)
        # Where the host's was set meanwhile, nothing can be said of the guest's.
        if clock.change() is None and (skew_seconds := off(said, began, time.time())):
            raise HarnessError(f"a thawed guest's clock is {skew_seconds:.0f} s off")


def restored(
    launcher: GuestLauncher, guests: LivingGuests, template: Template, nics: tuple[Nic, ...], network: bool
) -> Guest:
    """A guest thawed from a template, one of `guests`. Raises NetdevRefused, HarnessError where it does not come up."""
    backed = launcher.machine.backed(template.memory, shared=False, network=NETWORK)
    guest = launcher.start(nics, [*backed, "-incoming", "defer"], guests, thawed=True)
    guest.template_console = template.console
    try:
        thaw(guest.monitor, template.state, launcher.pace.seconds(4.0))
        guest.start_network(thawed=True, network=network)
    except HarnessError as error:
        complaints = guest.qemu.complaints
        guests.discard(guest)
        raise HarnessError(" ".join([str(error), *complaints.errors])) from error
    return guest


def off(said: float, earliest: float, latest: float) -> float:
    """By how many seconds a clock is wrong, 0 where it may be right.

    It was set and read between two moments of the host's, and on a busy machine those lie far apart.
    """
    wrong = max(earliest - said, said - latest)
    return wrong if wrong > CLOCK_SKEW_SECONDS else 0.0
