"""What is settled on the machine itself, before the lab is entered: the guest's image, QEMU, the accelerator.

Inside there is no way out to fetch packages, and a user namespace hides which groups the user is in, so that KVM's
refusals could not be explained there.
"""

from collections.abc import Callable, Sequence
from typing import Any

from qemunet_tests import cache, images
from qemunet_tests.isolation import exec_without_network
from qemunet_tests.isolation.enclosure import Running
from qemunet_tests.isolation.identity import unprivileged
from qemunet_tests.qemu import accel
from qemunet_tests.qemu.accel import Accel
from qemunet_tests.qemu.kvm_probe import launch_here
from qemunet_tests.qemu.qemu_facts import Qemu
from qemunet_tests.settings import Settings
from qemunet_tests.under_test import chosen_qemu, guests_identity


def prepare(settings: Settings, notice: Callable[[str], None] = lambda _: None) -> Accel:
    """Build the image if there is none, and choose the accelerator. Quick when all of it was done before.

    `notice` is told what takes long. Raises UsageError, Unavailable, HarnessError.
    """
    cache.let_others_read()
    cache.claim()
    guests, qemu = guests_identity(settings), look_at_what_is_named(settings)
    image = images.ensure(settings.image)
    if settings.target == "host":

        def launch(words: Sequence[str], **streams: Any) -> Running:
            return launch_here([*guests.prefix(), *words], **streams)

        return accel.choose(settings.accel, qemu, image, launch, notice=notice, uid=guests.uid)
    return accel.choose(settings.accel, qemu, image, _cut_off, notice=notice, uid=unprivileged().uid)


def look_at_what_is_named(settings: Settings) -> Qemu:
    """The QEMU, with what is tried in it, as far as no guest is needed to see that it will do.

    To be asked before an image is built, which takes minutes. Raises UsageError, Unavailable, HarnessError.
    """
    qemu = chosen_qemu(settings)
    if settings.accel == "kvm":
        accel.require_prospects(qemu, guests_identity(settings).uid)
    return qemu


def _cut_off(words: Sequence[str], **streams: Any) -> Running:
    """Start a probe as the user that guests run as, in a network namespace that has nothing in it."""
    return launch_here(exec_without_network.words([*unprivileged().prefix(), *words]), **streams)
