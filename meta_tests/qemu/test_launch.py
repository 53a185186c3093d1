"""A QEMU that does not start, and a guest that does not come up: what is said, and which verdict follows."""

import secrets
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from meta_tests.patience import limit
from qemunet_tests import images
from qemunet_tests.deadline import Deadline
from qemunet_tests.errors import HarnessError, TimedOut
from qemunet_tests.guest.bench import Bench
from qemunet_tests.guest.guest import Guest, GuestDied
from qemunet_tests.isolation.namespaces import SCRATCH
from qemunet_tests.isolation.processes import Process
from qemunet_tests.modes.user import UserNetdev
from qemunet_tests.qemu.built_image import Image
from qemunet_tests.qemu.command_line import CONSOLE, CONSOLE_BYTES, SAID_BYTES, LaunchFailed, NetdevRefused, QemuProcess
from qemunet_tests.qemu.netdev import Nic
from qemunet_tests.report.verdict import judge
from qemunet_tests.report.verdict_of_test import Verdict
from qemunet_tests.timeouts import Pace

Launch = Callable[..., QemuProcess]


def verdict(error: BaseException) -> Verdict:
    return judge(error, "setup")[0]


@pytest.fixture
def folder() -> Iterator[Path]:
    """Where anybody may write, unlike a temporary folder of pytest's."""
    folder = SCRATCH / f"launch-{secrets.token_hex(4)}"
    folder.mkdir()
    folder.chmod(0o777)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def launch(bench: Bench, folder: Path) -> Iterator[Launch]:
    """Starts a command as if it were QEMU, and ends it."""
    launched = []

    def launch(words: Sequence[str], serial_ports: int = 0) -> QemuProcess:
        def start(command: Sequence[str], **options: object) -> Process:
            return bench.station.start([*bench.identity.prefix(), *command], **options)

        launched.append(QemuProcess(words, start, folder, serial_ports))
        return launched[-1]

    yield launch
    for each in launched:
        each.quit()


def test_a_failed_launch_says_command_status_and_message(bench: Bench, launch: Launch) -> None:
    words = [str(bench.qemu.path), "-no-such-option", "a word"]
    with pytest.raises(LaunchFailed) as failed:
        launch(words).wait_until_running(20)
    first, command = str(failed.value).splitlines()
    assert first.startswith("QEMU did not start (exit status 1): ")
    assert first.endswith(": -no-such-option: invalid option")
    assert command.startswith(f"{bench.qemu.path} -no-such-option 'a word' -chardev socket")
    assert (failed.value.status, failed.value.words[:3]) == (1, words)
    assert not isinstance(failed.value, AssertionError)
    assert verdict(failed.value) is Verdict.INCONCLUSIVE


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("exit 7", "(exit status 7): it said nothing"),
        ("echo one >&2; echo two >&2; exit 1", "(exit status 1): two (one)"),
        ("kill -SEGV $$", "(killed by SIGSEGV): it said nothing"),
        ("kill -40 $$", "(killed by signal 40): it said nothing"),
    ],
)
def test_however_it_ends(launch: Launch, script: str, said: str) -> None:
    with pytest.raises(LaunchFailed) as failed:
        launch(["sh", "-c", script]).wait_until_running(20)
    assert f"QEMU did not start {said}\nsh -c " in str(failed.value)


def test_a_program_that_is_not_there(launch: Launch) -> None:
    with pytest.raises(LaunchFailed, match="/no/such/qemu: No such file or directory"):
        launch(["/no/such/qemu"]).wait_until_running(20)


def test_a_refused_backend_is_a_broken_promise(bench: Bench) -> None:
    with pytest.raises(NetdevRefused, match=r"[Hh]ost forwarding") as refused:
        bench.boot(Nic(UserNetdev(hostfwd=("tcp::99999-:22",))))
    assert isinstance(refused.value, AssertionError)
    assert verdict(refused.value) is Verdict.BROKEN
    assert "-netdev" in str(refused.value).splitlines()[-1]


def test_a_port_that_is_taken_is_a_broken_promise(bench: Bench) -> None:
    with bench.station.open_socket() as taken:
        taken.bind(("0.0.0.0", 2222))
        taken.listen()
        attempt = bench.attempt(netdevs=[UserNetdev(hostfwd=("tcp::2222-:22",))])
    assert (attempt.started, attempt.status) == (False, 1)
    assert "Could not set up host forwarding rule 'tcp::2222-:22'" in attempt.message


def test_an_attempt_that_succeeds(bench: Bench) -> None:
    assert bench.attempt(netdevs=[UserNetdev()]).started


def test_a_qemu_that_hangs_before_its_monitor_answers(launch: Launch) -> None:
    begun = time.monotonic()
    hanging = launch(["sh", "-c", "exec sleep 1000"])
    with pytest.raises(TimedOut, match=r"monitor to greet\nsh -c 'exec sleep 1000'") as failed:
        hanging.wait_until_running(0.5)
    assert time.monotonic() - begun < limit(5)
    assert verdict(failed.value) is Verdict.INCONCLUSIVE
    hanging.quit()
    assert hanging.how_it_ended() == "killed by SIGTERM"


def test_something_that_is_not_a_monitor_answers(launch: Launch) -> None:
    mail_server = """
import signal, socket, sys
connection = socket.socket(fileno=int(sys.argv[2].rpartition("=")[2]))
connection.send(b"220 ready\\n")
signal.pause()
"""
    with pytest.raises(HarnessError, match="to greet"):
        launch([sys.executable, "-c", mail_server]).wait_until_running(10)


def cpio(name: str, content: bytes) -> bytes:
    """An archive with one executable file, which a kernel unpacks over those before it."""

    def entry(name: str, mode: int, content: bytes) -> bytes:
        fields = (1, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name) + 1, 0)
        head = b"070701" + b"".join(b"%08X" % field for field in fields) + name.encode() + b"\0"
        return b"".join(part + b"\0" * (-len(part) % 4) for part in (head, content))

    return entry(name, 0o100755, content) + entry("TRAILER!!!", 0, b"")


def spoilt(image: Image, folder: Path, **files: bytes) -> Image:
    """An image of which some files are others."""
    for name in ("vmlinuz", "initrd"):
        (folder / name).write_bytes(files.get(name, (image.folder / name).read_bytes()))
    return Image("spoilt", "spoilt", folder, images.recipe("tiny").guest)


@pytest.fixture
def boot(bench: Bench, launch: Launch) -> Callable[[Image], Guest]:
    """Starts a guest from an image, and does not wait for it."""

    def boot(image: Image) -> Guest:
        machine = replace(bench.machine, image=image)
        return Guest(
            "spoilt", launch([*machine.words("spoilt"), *machine.cold()], 2), (), (), Pace(), image.guest.tools
        )

    return boot


def test_of_what_floods_both_ends_are_read(launch: Launch, folder: Path) -> None:
    flood = "yes | head -c 30000000"
    (folder / CONSOLE).touch(0o666)
    (folder / CONSOLE).chmod(0o666)
    says = f"(echo first; {flood}; echo last) | tee {folder / CONSOLE} >&2; exit 1"
    qemu = launch(["sh", "-c", says])
    with pytest.raises(LaunchFailed) as failed:
        qemu.wait_until_running(limit(30))
    for text, most in ((failed.value.message, SAID_BYTES), (qemu.console_text, CONSOLE_BYTES)):
        assert len(text) < 2 * most + 100
        assert (text.split()[0], text.split()[-1]) == ("first", "last")
        assert " bytes more]" in text
    assert qemu.complaints.errors[-1] == "last"


def test_a_kernel_that_is_none(bench: Bench, folder: Path, boot: Callable[[Image], Guest]) -> None:
    guest = boot(spoilt(bench.machine.image, folder, vmlinuz=secrets.token_bytes(1 << 20)))
    with pytest.raises(HarnessError) as failed:
        guest.qemu.wait_until_running(bench.pace.seconds(4))
        guest.wait_until_ready(5)
    assert isinstance(failed.value, LaunchFailed | GuestDied | TimedOut)
    assert verdict(failed.value) is Verdict.INCONCLUSIVE


def test_an_initrd_that_is_none(bench: Bench, folder: Path, boot: Callable[[Image], Guest]) -> None:
    guest = boot(spoilt(bench.machine.image, folder, initrd=secrets.token_bytes(1 << 20)))
    guest.qemu.wait_until_running(bench.pace.seconds(4))
    with pytest.raises(GuestDied, match="its kernel panicked: VFS: Unable to mount root fs") as failed:
        guest.wait_until_ready(bench.pace.seconds(12))
    assert verdict(failed.value) is Verdict.INCONCLUSIVE


def test_a_guest_that_boots_into_nothing(bench: Bench, folder: Path, boot: Callable[[Image], Guest]) -> None:
    init = b"#!/bin/busybox sh\necho the disk is on fire\nexec /bin/busybox sleep 1000\n"
    original = bench.machine.image.initrd.read_bytes()
    guest = boot(
        spoilt(bench.machine.image, folder, initrd=original + b"\0" * (-len(original) % 4) + cpio("init", init))
    )
    guest.qemu.wait_until_running(bench.pace.seconds(4))
    speaks = Deadline(bench.pace.seconds(12), "the guest's last words")
    speaks.wait_until(lambda: "on fire" in guest.qemu.console_text)
    with pytest.raises(TimedOut, match="QEMU still runs; last on its console: the disk is on fire") as failed:
        guest.wait_until_ready(0.1)
    assert verdict(failed.value) is Verdict.INCONCLUSIVE
