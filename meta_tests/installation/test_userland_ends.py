"""A second Debian as a machine ends, however it is told to, and leaves nothing."""

import os
import signal
from pathlib import Path

import pexpect
import pytest

from meta_tests.installation.debian_machines import START_SECONDS, UNPACK_SECONDS, USERLAND, as_root, userland
from meta_tests.isolation.leftovers import Run, mounts
from meta_tests.user_accounts import CHECKOUT, Account
from meta_tests.userland.unpacking import shelf
from qemunet_tests.deadline import Deadline

pytest_plugins = "meta_tests.installation.debian_machines"


def _started(run: Run, within_seconds: float, command: str) -> None:
    def there() -> bool:
        # The command's environment is not ours: it is known by the namespaces that it is in.
        run.note()
        return any(" ".join(process.words).startswith(command) for process in run.processes())

    Deadline(within_seconds, command).wait_until(there, interval_seconds=0.2)


def _start(folder: Path, *words: str, **environment: str) -> Run:
    account = Account("root", 0, 60_000 + os.getpid() % 5_000)
    kept = {name: value for name, value in os.environ.items() if name not in ("PATH", "HOME")}
    return Run([*USERLAND, *words], account, folder, **{**kept, **environment})


@as_root
@pytest.mark.slow
def test_a_killed_machine_leaves_no_process_and_no_mount_and_its_folder_to_the_next(suite: str, tmp_path: Path) -> None:
    machines = shelf() / suite / "machines"
    of_others = set(machines.glob("once-*"))
    run = _start(tmp_path, suite, "--", "sh", "-c", "setsid sleep 2501 & sleep 2502")
    try:
        _started(run, START_SECONDS, "sleep 2501")
        (folder,) = set(machines.glob("once-*")) - of_others
        os.kill(run.process.pid, signal.SIGKILL)
        assert run.leaves_nothing(), run.leftovers()
    finally:
        run.end()
    assert folder.exists()
    assert userland(suite, "--", "true").returncode == 0
    assert not folder.exists()


@as_root
@pytest.mark.slow
def test_killed_while_it_unpacks_it_leaves_no_process_and_no_mount(cache: Path, tmp_path: Path) -> None:
    run = _start(tmp_path, "bookworm", "--", "true", QEMUNET_CACHE=str(cache))
    try:
        # The first program of the userland itself runs after mmdebstrap has mounted what it needs.
        _started(run, UNPACK_SECONDS, "dpkg --")
        os.kill(run.process.pid, signal.SIGKILL)
        assert run.leaves_nothing(), run.leftovers()
    finally:
        run.end()
    assert not [mount for mount in mounts() if str(cache) in mount]
    assert not (cache / "userlands" / "bookworm").exists(), "it counts as whole"


@as_root
@pytest.mark.slow
@pytest.mark.parametrize("state", ["wait", "kill -STOP $$; wait"], ids=["runs", "is stopped"])
def test_whoever_is_told_to_end_ends_the_command(suite: str, tmp_path: Path, state: str) -> None:
    run = _start(tmp_path, suite, "--", "sh", "-c", f"trap 'echo told; exit 9' TERM; sleep 2503 & {state}")
    try:
        _started(run, START_SECONDS, "sleep 2503")
        os.kill(run.process.pid, signal.SIGTERM)
        assert run.process.wait(30) == 9
        assert "told" in run.output
        assert run.leaves_nothing(), run.leftovers()
    finally:
        run.end()


@as_root
@pytest.mark.slow
def test_the_command_has_the_terminal_and_its_interrupts(suite: str) -> None:
    command = "test -t 0 && test -t 1 && trap 'echo interrupted once; exit 7' INT"
    command += " && echo ready && { sleep 2504 & wait; }"
    # Whoever runs these tests in the background may have us ignore SIGINT.
    words = ["--default-signal=INT", *USERLAND, suite, "--", "sh", "-c", command]
    terminal = pexpect.spawn("env", words, cwd=str(CHECKOUT))
    terminal.expect("ready", timeout=START_SECONDS)
    terminal.sendintr()
    terminal.expect("interrupted once", timeout=30)
    terminal.expect(pexpect.EOF, timeout=30)
    terminal.close()
    assert terminal.exitstatus == 7
