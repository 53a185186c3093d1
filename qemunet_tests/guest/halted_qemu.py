"""QEMU whose machine stands still: what it is made of is asked of its monitor, and nothing boots.

And QEMU that is only asked, and ends by itself: what it prints of itself.
"""

import contextlib
import shutil
import subprocess
from collections.abc import Iterator, Sequence

from qemunet_tests.errors import TimedOut
from qemunet_tests.guest.guest_launcher import GuestLauncher
from qemunet_tests.host.asking import Completed
from qemunet_tests.qemu.command_line import QemuProcess
from qemunet_tests.qemu.netdev import Netdev
from qemunet_tests.qemu.qemu_facts import Qemu
from qemunet_tests.qemu.standstill import again_where_it_stands_still


@contextlib.contextmanager
def halted(
    launcher: GuestLauncher, words: Sequence[str], netdevs: Sequence[Netdev], defaults: bool
) -> Iterator[QemuProcess]:
    """A QEMU that was started with `-S`, ended with the body. With `defaults` it has the devices it has unasked.

    `netdevs` are those among the words that need privileges. Raises NetdevRefused, LaunchFailed.
    """
    nothing = [] if defaults else ["-nodefaults"]
    whole = [*_program(launcher.machine.qemu), *nothing, "-S", *words]
    qemu = again_where_it_stands_still(lambda: _running(launcher, whole, netdevs), launcher.note)
    try:
        yield qemu
    finally:
        _end(qemu)


def _running(launcher: GuestLauncher, words: Sequence[str], netdevs: Sequence[Netdev]) -> QemuProcess:
    _, folder = launcher.launcher.new_folder("halted")
    qemu = launcher.launcher.launch(words, folder, netdevs, serial_ports=0)
    try:
        qemu.wait_until_running(launcher.pace.seconds(4.0))
    except BaseException:
        _end(qemu)
        raise
    return qemu


def _end(qemu: QemuProcess) -> None:
    qemu.quit()
    shutil.rmtree(qemu.folder, ignore_errors=True)


def printed(launcher: GuestLauncher, words: Sequence[str], within_seconds: float = 10.0) -> Completed:
    """What QEMU prints before it ends. Raises TimedOut where it does not end."""
    whole = [*_program(launcher.machine.qemu), *words]
    _, folder = launcher.launcher.new_folder("asked")
    pipe = subprocess.PIPE
    process = launcher.launcher.start_qemu(whole, folder, stdout=pipe, stderr=pipe)
    try:
        out, err = process.communicate(timeout=launcher.pace.seconds(within_seconds))
    except subprocess.TimeoutExpired:
        raise TimedOut(f"QEMU, asked by {' '.join(words)}, does not end") from None
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()
        shutil.rmtree(folder, ignore_errors=True)
    return Completed(process.returncode, out, err)


def _program(qemu: Qemu) -> list[str]:
    return [str(qemu.path), "-no-user-config", "-display", "none", "-accel", "tcg"]
