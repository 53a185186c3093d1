"""The guests that live: what is kept of what they wrote, and how they end."""

import contextlib
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from qemunet_tests import named_file
from qemunet_tests.errors import HarnessError
from qemunet_tests.guest import repro
from qemunet_tests.guest.guest import Guest
from qemunet_tests.guest.guest_launcher import by_hand
from qemunet_tests.isolation.folder import MOST_BYTES, Folder
from qemunet_tests.isolation.namespaces import entered
from qemunet_tests.qemu.guest_machine import GuestMachine


class LivingGuests:
    """`machine` is what they boot on, with its image where people find it; `before_discard` is called with each."""

    def __init__(self, machine: GuestMachine, before_discard: Callable[[Guest], None]) -> None:
        self._machine = machine
        self._before_discard = before_discard
        self._live: list[Guest] = []
        self._unseen: list[Guest] = []
        self._set_aside: list[Guest] = []

    @property
    def all(self) -> list[Guest]:
        """Those alive, the youngest last, without those that are set aside."""
        return [guest for guest in self._live if guest not in self._set_aside]

    def add(self, guest: Guest) -> None:
        self._live.append(guest)

    def set_aside(self, guest: Guest) -> None:
        """A guest that outlives tests is no test's own until one takes it up: whatever fails meanwhile is not its."""
        self._set_aside.append(guest)

    def take_up(self, guest: Guest) -> None:
        """The test that runs has it now."""
        self._set_aside = [each for each in self._set_aside if each is not guest]

    @contextlib.contextmanager
    def unseen_if_it_fails(self) -> Iterator[None]:
        """Guests that are added meanwhile are nobody's where this ends in an exception: `discard_failed` ends them."""
        before = set(self._live)
        try:
            yield
        except BaseException:
            self._unseen += [guest for guest in self._live if guest not in before]
            raise

    def discard_failed(self) -> None:
        """End the guests that did not come up, now that whoever wanted to has looked into what they wrote."""
        while self._unseen:
            guest = self._unseen.pop()
            if guest in self._live:
                self.discard(guest)

    def discard(self, guest: Guest) -> None:
        """End a guest, and forget everything it wrote. Nothing is to be done where that was done."""
        if guest not in self._live:
            return
        self._live.remove(guest)
        self.take_up(guest)
        self._before_discard(guest)
        guest.close()
        shutil.rmtree(guest.folder, ignore_errors=True)

    def close(self) -> None:
        for guest in list(self._live):
            self.discard(guest)

    def save_evidence(self, folder: Folder) -> list[Path]:
        """Copy what the living guests wrote: console, monitor log, captures, and how to boot them by hand."""
        saved = []
        for guest in self.all:
            guest.write_monitor_log()
            with folder.sub(guest.name) as kept:
                kept.copy_from(guest.folder)
                if guest.template_console:
                    with guest.template_console.open("rb") as console:
                        kept.put_before("console.log", named_file.beginning(console, MOST_BYTES))
                self._keep_repro(guest, kept)
                saved.append(kept.path)
        return saved

    def _keep_repro(self, guest: Guest, kept: Folder) -> None:
        """How to boot the same guest by hand, and ask it the same."""
        machine = self._machine
        nics = tuple(replace(nic, mac=mac) for nic, mac in zip(guest.nics, guest.macs, strict=True))
        own = {"libslirp": machine.qemu.own_libslirp, "bridge_helper": machine.qemu.own_helper}
        tried = tuple((option, str(build.path)) for option, build in own.items() if build)
        guest_as_it_was = repro.GuestAsItWas(
            nics, str(machine.qemu.path), machine.accel.used, machine.image.name, guest.last_command, tried
        )
        words = by_hand(machine, guest.name, guest.nics, guest.macs)
        script = repro.script(guest.name, words, machine.image, guest_as_it_was, in_lab=entered())
        kept.write_whole(repro.FACTS, guest_as_it_was.as_json().encode())
        kept.write_whole(repro.SCRIPT, script.encode(), mode=0o755)


def release_lease(guest: Guest) -> None:
    """Have a guest on a bridge give its lease back to the LAN before it is ended.

    One that has died meanwhile, or is not done in time, keeps it: the next guest of this host has the same MAC and is
    given the same lease again.
    """
    if not any(nic.netdev.shares_network for nic in guest.nics):
        return
    with contextlib.suppress(HarnessError):
        guest.run(guest.tools.release_leases.format(), 5)
