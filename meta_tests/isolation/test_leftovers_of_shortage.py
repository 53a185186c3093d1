"""Disks that are full, memory that is used up, guests that ail: the run says so, and leaves nothing either way."""

import shutil
import sys
import tempfile
from pathlib import Path

import pytest

from meta_tests.isolation.leftovers import Run
from meta_tests.isolation.runs import CONFORMANCE, START_SECONDS, Start, by_root_first, citing, hand_over, shelves
from meta_tests.patience import limit
from meta_tests.planted.ailing_guest import AILMENT
from meta_tests.planted.little_room import ROOM
from meta_tests.user_accounts import Account
from qemunet_tests import images

pytest_plugins = "meta_tests.isolation.runs"

CLAIMS = ("user/address", "user/gateway")
#: Both guests of the claims above, booted and not thawed, or made into templates first.
BOOT_SECONDS = 2 * START_SECONDS
#: Of address space: enough for Python, and for no guest.
MEMORY_BYTES = 1_400_000_000


@pytest.fixture
def folder(home: Path, account: Account) -> Path:
    """An empty folder of the account's."""
    folder = Path(tempfile.mkdtemp(dir=home))
    hand_over(folder, account)
    return folder


def confined(start: Start, small: str, *words: str, **environment: str) -> Run:
    """A command of qemunet's where a disk is small; `small` is FOLDER=SIZE."""
    return start(
        "meta_tests.planted.small_disks", small, "--", sys.executable, "-m", "qemunet_tests", *words, **environment
    )


def ended(run: Run, status: int, *said: str, within_seconds: float = START_SECONDS) -> None:
    """The run ends with that status, says these things, shows no traceback, and leaves nothing."""
    assert run.process.wait(limit(within_seconds)) == status, run.output
    assert run.leaves_nothing(), run.leftovers()
    text = " ".join(run.output.split())
    for sentence in said:
        assert sentence in text, run.output
    for accident in ("Traceback", "the bench did not clean up"):
        assert accident not in text, run.output


# Guests


@by_root_first
@pytest.mark.parametrize(
    ("ailment", "reason"),
    [
        ("panic", "its kernel panicked: sysrq triggered crash"),
        ("hang", "waiting for QEMU's monitor to answer query-status"),
    ],
)
def test_a_guest_ails(start: Start, ailment: str, reason: str) -> None:
    """Its test is inconclusive, the next one has a guest of its own."""
    run = start(
        *CONFORMANCE, "-p", "meta_tests.planted.ailing_guest", "--tb=no", *citing(*CLAIMS), **{AILMENT: ailment}
    )
    ended(run, pytest.ExitCode.TESTS_FAILED, reason, "1 holds, 1 inconclusive")


# Memory


@by_root_first
def test_there_is_no_memory_for_guests(start: Start) -> None:
    limited = f"import os, resource, sys; resource.setrlimit(resource.RLIMIT_AS, ({MEMORY_BYTES},) * 2); "
    command = ["qemunet_tests", "run", *CLAIMS, "-n", "1"]
    run = start("timeit", "-n1", "-r1", f"{limited} os.execv(sys.executable, [sys.executable, '-m', *{command!r}])")
    ended(run, 3, "Cannot allocate memory", "2 claims: 2 inconclusive")


@by_root_first
def test_memory_is_used_up(start: Start) -> None:
    """The kernel kills the largest, a guest; and nobody can have more from then on."""
    run = start(
        *CONFORMANCE, "-p", "meta_tests.planted.ailing_guest", "--tb=no", *citing(*CLAIMS), **{AILMENT: "no-memory"}
    )
    failed = pytest.ExitCode.TESTS_FAILED
    ended(run, failed, "QEMU ended, killed by SIGKILL", "Cannot allocate memory", "2 claims: 2 inconclusive")


# Disks


@by_root_first
@pytest.mark.parametrize("workers", ["1", pytest.param("2", marks=pytest.mark.slow)])
def test_the_reports_disk_is_full(start: Start, folder: Path, workers: str) -> None:
    words = ["run", *CLAIMS, "--keep", "--report", str(folder), "-n", workers]
    run = confined(start, f"{folder}=8k", *words)
    unkept = f"artifacts could not be kept in {folder}/artifacts: No space left on device"
    ended(run, 3, unkept, f"{folder} could not be written: No space left on device", "2 claims: 2 holds")


@by_root_first
@pytest.mark.parametrize(
    ("room", "said"),
    [
        ("60m", ("No space left on device", "2 claims: 2 inconclusive")),
        pytest.param(
            "100m",
            ("guests with virtio-net-pci boot cold: there is no room for a template in /dev/shm", "2 claims: 2 holds"),
            marks=pytest.mark.slow,
        ),
    ],
    ids=["not-even-for-the-image", "not-for-a-template"],
)
def test_there_is_little_room_while_it_lasts(start: Start, home: Path, room: str, said: tuple[str, ...]) -> None:
    before = shelves(home / "cache")
    run = start(*CONFORMANCE, "-p", "meta_tests.planted.little_room", "--tb=no", *citing(*CLAIMS), **{ROOM: room})
    ended(run, int("inconclusive" in said[-1]), *(said[:-1]), *said[-1].split(": ")[1:], within_seconds=BOOT_SECONDS)
    assert shelves(home / "cache") == before


@pytest.fixture
def cache(home: Path, account: Account) -> Path:
    """A cache with images and no templates."""
    cache = Path(tempfile.mkdtemp(dir=home))
    shutil.copytree(
        home / "cache", cache, symlinks=True, dirs_exist_ok=True, ignore=shutil.ignore_patterns("templates")
    )
    (cache / "templates").mkdir()
    cache.chmod(0o755)
    hand_over(cache, account)
    return cache


@pytest.mark.slow
@by_root_first
def test_the_caches_disk_is_full_when_a_template_is_made(start: Start, cache: Path) -> None:
    shelf = cache / "templates"
    script = (
        'python=$1 shelf=$2; shift 2; "$python" -m qemunet_tests "$@"; echo "ended with $?"; ls "$shelf"; df "$shelf"'
    )
    words = ["sh", "-c", script, "sh", sys.executable, str(shelf), "run", *CLAIMS, "-n", "1", "--accel", "tcg"]
    run = start("meta_tests.planted.small_disks", f"{shelf}=20m", "--", *words, QEMUNET_CACHE=str(cache))
    room = f"boot cold: there is no room for a template in {shelf}: No space left on device"
    ended(
        run,
        0,
        "making a template for guests with virtio-net-pci",
        room,
        "2 claims: 2 holds",
        "ended with 0 Filesystem",
        " 0% ",
        within_seconds=BOOT_SECONDS,
    )


@pytest.mark.slow
@by_root_first
def test_memory_is_full_when_a_template_is_made(start: Start, cache: Path) -> None:
    run = start(
        *CONFORMANCE, "-p", "meta_tests.planted.little_room", "--tb=no", "--qemunet-accel=tcg", *citing(*CLAIMS),
        **{ROOM: "150m", "QEMUNET_CACHE": str(cache)},
    )  # fmt: skip
    ended(run, 0, "QEMU ended, killed by SIGBUS", "2 claims: 2 holds", within_seconds=BOOT_SECONDS)
    assert not [name for name in shelves(cache) if name.startswith("templates/")]


@by_root_first
@pytest.mark.parametrize("action", ["import", pytest.param("build", marks=pytest.mark.slow)])
def test_the_caches_disk_is_full_when_an_image_is_made(
    start: Start, home: Path, folder: Path, account: Account, action: str
) -> None:
    words = [action]
    if action == "import":
        words.append(str(images.export("tiny", home / "tiny.image")))
        hand_over(home, account)
    script = 'python=$1; cd "$2"; shift 2; "$python" -m qemunet_tests image "$@"; echo "ended with $?"; ls -A images'
    run = start(
        "meta_tests.planted.small_disks", f"{folder}=30m", "--",
        "sh", "-c", script, "sh", sys.executable, str(folder), *words,
        QEMUNET_CACHE=str(folder),
    )  # fmt: skip
    ended(run, 0, "o space left on device", "ended with 3 .lock")
    assert run.output.endswith("ended with 3\n.lock\n")
