"""`qemunet shell`: a guest in the lab, its console on your terminal."""

import argparse
import contextlib
import fcntl
import functools
import os
import signal
import socket
import sys
import termios
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from qemunet_tests import images, modes, trust
from qemunet_tests.errors import HarnessError, UsageError
from qemunet_tests.qemu.netdev import Nic
from qemunet_tests.signal_handlers import handled

if TYPE_CHECKING:
    from qemunet_tests.guest.bench import Bench
    from qemunet_tests.isolation.processes import Process
    from qemunet_tests.network import Lab
    from qemunet_tests.settings import Settings

#: How long a program in the guest may be silent before it is taken to wait for input, under KVM.
PATIENCE_SECONDS = 0.5
#: How a person and how a pipe leaves the guest.
_WAY_OUT = {True: "leave with Ctrl-A x", False: "ends with its input"}
#: How long QEMU may take to end.
END_SECONDS = 10.0

EXAMPLES = """\
examples:
  qemunet shell user                                a guest behind QEMU's own router
  qemunet shell bridge                              a guest on the LAN, by way of qemu-bridge-helper
  qemunet shell user -- -netdev user,id=second -device e1000,netdev=second
                                                    with another NIC; anything that QEMU takes may follow --
  printf 'ip addr\\nping -c 1 10.0.2.2\\n' | qemunet shell user
                                                    lines from a pipe are typed one after the other; the
                                                    guest ends when they do, with the exit code that a
                                                    script of these lines has: of exit, or of the last

Ctrl-A x ends the guest, Ctrl-A c leads to QEMU's monitor and back. The line printed first names what can be
reached. Nothing in the guest or around it reaches your network, and nothing is left afterwards.
"""


@dataclass(frozen=True)
class GuestShell:
    """What the shell ended with that was typed into."""

    status: int


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Describe the command."""
    parser = subparsers.add_parser(
        "shell",
        help="boot a guest and talk to it yourself",
        usage="qemunet shell [-h] [--image NAME] MODE\n                     [-- QEMU-ARGS...]",
        description=f"Boot the {images.DEFAULT} guest in the lab and hand over its console, where a root shell waits.",
        epilog=EXAMPLES,
    )
    # What repro.sh calls: a guest as it was, described by a file beside it.
    parser.add_argument("--again", metavar="FILE", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--image", metavar="NAME", help="another guest, by the name of its image")
    parser.add_argument("mode", metavar="MODE", nargs="?", help=f"how it is connected: {', '.join(modes.every())}")
    parser.add_argument(
        "qemu_arguments", metavar="QEMU-ARGS", nargs="*", default=[], help="appended to QEMU's command line"
    )


def execute(arguments: argparse.Namespace) -> int:
    """Boot, and return when QEMU has ended. Raises UsageError, Unavailable, HarnessError."""
    if arguments.again:
        return _boot_again(arguments.again)
    if arguments.mode is None:
        raise UsageError(f"MODE is missing: modes are {', '.join(modes.every())} (see `qemunet shell --help`)")
    mode = modes.every().get(arguments.mode)
    if mode is None:
        raise UsageError(f"there is no mode {arguments.mode!r}: modes are {', '.join(modes.every())}")
    if arguments.qemu_arguments[:1] and arguments.qemu_arguments[0] in modes.every():
        raise UsageError(f"a guest has one mode, not {arguments.mode} and {arguments.qemu_arguments[0]}: leave one out")
    settings = _settings({"image": arguments.image}, "--")
    with _ended_in_order_by_signals(), _bench(settings) as (bench, lab), _wired(mode, bench, lab) as wiring:
        by_hand = os.isatty(0)
        _say(hint(arguments.mode, by_hand, wiring.addresses))
        drive = _hand_over_terminal if by_hand else _type_what_is_piped
        status = drive(bench, (Nic(wiring.netdev),), arguments.qemu_arguments)
    if isinstance(status, GuestShell):
        return _told(status)
    if status != 0:
        # QEMU has said why, on the standard error it shares with us.
        how = f"QEMU ended with {f'status {status}' if status > 0 else signal.Signals(-status).name}"
        if arguments.qemu_arguments:
            raise UsageError(f"{how}, having been given: {' '.join(arguments.qemu_arguments)}")
        raise HarnessError(how)
    return 0


def _told(ended: GuestShell) -> int:
    """The same as the guest's shell, as where the caller pipes a script into one of his own."""
    if ended.status:
        _say(f"the guest's shell ended with status {ended.status}")
    return ended.status


def _boot_again(file: Path) -> int:
    """A guest as it was, in a lab; what it was asked last is typed first, then what standard input says."""
    from qemunet_tests.guest import repro

    again = repro.read(file)
    tried = {option: Path(named) for option, named in again.tried}
    was = {"qemu": Path(again.qemu), "accel": again.accel, "image": again.image, **tried}
    settings = _settings(was, f"{file}, ")
    first = f"{repro.one_line(again.command)}\n".encode() if again.command else b""
    with _ended_in_order_by_signals(), _bench(settings) as (bench, _):
        _say(hint(" and ".join(nic.netdev.kind for nic in again.nics), by_hand=False))
        ended = _type_what_is_piped(bench, again.nics, [], first)
    return _told(ended) if isinstance(ended, GuestShell) else ended


def _settings(given: dict[str, object], before: str) -> "Settings":
    from qemunet_tests.settings import from_options

    return from_options(given, flag=lambda name: f"{before}{name}")


def hint(mode: str, by_hand: bool, addresses: Sequence[str] = ()) -> str:
    """What the guest can reach, and how to leave it: one line. `addresses` are to be given by hand, near and far."""
    from qemunet_tests.network import lab_addresses

    lan = (
        f"host {lab_addresses.HOST}, router {lab_addresses.ROUTER}, neighbour {lab_addresses.NEIGHBOUR}, "
        f"outside {lab_addresses.OUTSIDE}, echo on port {lab_addresses.ECHO_PORT}"
    )
    pair = "the other guest is {1}; become {0}: ip link set eth0 up; ip addr add {0}/24 dev eth0"
    return f"{mode}: {pair.format(*addresses) if addresses else lan}; {_WAY_OUT[by_hand]}"


@contextlib.contextmanager
def _wired(mode: modes.Mode, bench: "Bench", lab: "Lab") -> Iterator[modes.Wiring]:
    """The mode with everything at the other end, a second guest included where that is it."""
    from qemunet_tests.isolation.processes import stop

    wiring = mode.plain.wired(lab, bench.identity, bench.qemu)
    try:
        if wiring.far:
            far = bench.boot(Nic(wiring.far), network=False)
            far.check(f"ip link set eth0 up; ip addr add {wiring.addresses[1]}/24 dev eth0")
        yield wiring
    finally:
        for helper in wiring.helpers:
            stop(helper)


@contextlib.contextmanager
def _bench(settings: "Settings") -> Iterator[tuple["Bench", "Lab"]]:
    """A bench at the host of a new lab, and the lab. Afterwards nothing of either is left."""
    from rich.console import Console

    from qemunet_tests import workbench
    from qemunet_tests.commands.build_progress import prepare_image
    from qemunet_tests.prerequisites import look_at_what_is_named, prepare

    look_at_what_is_named(settings)
    prepare_image(Console(stderr=True), settings.image)
    machine = workbench.machine_of(settings, prepare(settings, _say))
    with workbench.in_a_lab(machine) as stack:
        yield stack


def _hand_over_terminal(bench: "Bench", nics: tuple[Nic, ...], words: list[str]) -> int:
    with _restored(0), _restored(1):
        process = bench.attach_terminal(nics, words, stdin=0, stdout=1, stderr=2, **_place(bench, words))
        with _stopped(process):
            return process.wait()


def _type_what_is_piped(
    bench: "Bench", nics: tuple[Nic, ...], words: list[str], first: bytes = b""
) -> "int | GuestShell":
    """QEMU's status where that is an error, else that of the guest's shell."""
    from qemunet_tests.commands.piped_input import PipedTyping
    from qemunet_tests.guest.guest import BOOT_SECONDS

    ours, theirs = socket.socketpair()
    with theirs:
        streams = {"stdin": theirs.fileno(), "stdout": theirs.fileno(), "stderr": 2, **_place(bench, words)}
        process = bench.attach_terminal(nics, words, **streams)
    with ours, _stopped(process):
        guest, patience_seconds = bench.machine.image.guest, bench.pace.seconds(PATIENCE_SECONDS)
        prompt = guest.control.prompt.encode()
        typing = PipedTyping(ours, 0, functools.partial(_write_all, 1), patience_seconds, prompt, first)
        typing.wait_for_shell(bench.pace.seconds(BOOT_SECONDS), guest.tools.await_leases.format())
        typing.type_everything()
        ended = GuestShell(typing.last_status(bench.pace.seconds(END_SECONDS)))
        typing.leave()
        return process.wait(END_SECONDS) or ended


def _place(bench: "Bench", words: list[str]) -> dict[str, object]:
    """Where QEMU looks for files that the words name, and for its firmware: where the caller is, if only he puts them.

    To be asked on behalf of the user that QEMU runs as: by sudo, that is the caller.
    """
    here = Path()
    if not words:
        return {}
    if why := trust.against(here, owner_uid=bench.identity.uid):
        _say(f"files in QEMU-ARGS have to be named in full: of the folder you are in, {why}")
        return {}
    return {"cwd": here.absolute()}


def _write_all(descriptor: int, content: bytes) -> None:
    while content:
        content = content[os.write(descriptor, content) :]


@contextlib.contextmanager
def _stopped(process: "Process") -> Iterator[None]:
    from qemunet_tests.isolation.processes import stop

    try:
        yield
    finally:
        stop(process)


@contextlib.contextmanager
def _restored(descriptor: int) -> Iterator[None]:
    """QEMU changes a terminal's mode, and leaves it changed where it is killed."""
    flags = fcntl.fcntl(descriptor, fcntl.F_GETFL)
    mode = termios.tcgetattr(descriptor) if os.isatty(descriptor) else None
    try:
        yield
    finally:
        fcntl.fcntl(descriptor, fcntl.F_SETFL, flags)
        if mode is not None:
            # A terminal that was closed meanwhile has no mode.
            with contextlib.suppress(termios.error):
                termios.tcsetattr(descriptor, termios.TCSADRAIN, mode)


@contextlib.contextmanager
def _ended_in_order_by_signals() -> Iterator[None]:
    def leave(number: int, _frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    with handled(leave, signal.SIGTERM, signal.SIGHUP):
        yield


def _say(text: str) -> None:
    print(f"qemunet: {text}", file=sys.stderr, flush=True)
