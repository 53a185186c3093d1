"""What QEMU makes for `smb=` lies with what else is the guest's: one that is killed leaves it nowhere else."""

import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from qemunet_tests.deadline import Deadline
from qemunet_tests.guest.bench import Bench
from qemunet_tests.isolation.namespaces import scratch
from qemunet_tests.isolation.processes import Process
from qemunet_tests.qemu.launcher import OWN

MADE = "qemu-smb.*"
WITHIN_SECONDS = 20.0


@pytest.fixture
def everybodys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that TMPDIR names, where whoever QEMU runs as may make files."""
    folder = scratch() / tmp_path.name
    folder.mkdir()
    folder.chmod(0o1777)
    monkeypatch.setenv("TMPDIR", str(folder))
    return folder


def documented(bench: Bench, words: list[str]) -> Process:
    return bench.documented.boot_diskless("-nographic", *words)[1]


def of_a_shell(bench: Bench, words: list[str]) -> Process:
    return bench.attach_terminal((), words, stdin=-1, stdout=-3, stderr=-3)


@pytest.mark.parametrize("start", [documented, of_a_shell])
def test_a_killed_qemu_leaves_nothing_in_everybodys_folder(
    bench: Bench, shared_folder: Path, everybodys: Path, start: Callable[[Bench, list[str]], Process]
) -> None:
    before = set(scratch().glob(f"*/{OWN}/{MADE}"))
    process = start(bench, ["-nic", f"user,smb={shared_folder}"])
    try:
        made = Deadline(WITHIN_SECONDS, "QEMU to make the folder of its server").wait_until(
            lambda: [*everybodys.glob(MADE), *(set(scratch().glob(f"*/{OWN}/{MADE}")) - before)]
        )
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert list(everybodys.iterdir()) == []
        assert [folder.is_dir() for folder in made] == [True]
    finally:
        if start is documented:
            bench.documented.end(process)
