"""The reaper of runs on a real host by users who may make no PID namespace there: it ends what works in its folder."""

import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from meta_tests.isolation.leftovers import FOLDER_PREFIX, LIMIT_SECONDS
from meta_tests.user_accounts import CHECKOUT, Account, accounts
from qemunet_tests.deadline import Deadline

START_SECONDS = 20.0
#: Starts a program that nothing but the reaper finds, its parent gone, its session its own; and one of others.
OWNER = """
import os, subprocess, sys
from pathlib import Path
from qemunet_tests.isolation import namespaces
from qemunet_tests.isolation.folder_reaper import FolderReaper
from qemunet_tests.isolation.processes import Spawner

folder, controller = Path(sys.argv[1]), int(sys.argv[2]) or os.getpid()
namespaces.write_into(folder)
spawner = Spawner(controller, FolderReaper(controller, folder))
(folder / "log").touch()
words = ["sh", "-c", f"setsid tail -f {folder}/log &"]
spawner.run(words, network=namespaces.current_network(), within_seconds=10)
# Somebody else's, whose command line says the same.
subprocess.Popen(["tail", "-f", "/dev/null", f"{folder}/log"], stdout=subprocess.DEVNULL, start_new_session=True)
print(spawner.reaper.pid, flush=True)
if said := sys.stdin.read():
    if said.strip() == "kill the reaper":
        os.kill(spawner.reaper.pid, 9)
    spawner.close()
    print("closed", flush=True)
    sys.stdin.read()
"""


@pytest.fixture(params=accounts())
def account(request: pytest.FixtureRequest) -> Account:
    who: Account = request.param
    return who


@pytest.fixture
def folder(account: Account) -> Iterator[Path]:
    """Where the run writes, and which goes with it."""
    with tempfile.TemporaryDirectory(prefix=FOLDER_PREFIX) as above:
        folder = Path(above, "run")
        folder.mkdir()
        for path in (folder.parent, folder):
            path.chmod(0o755)
            os.chown(path, account.uid if os.geteuid() == 0 else -1, account.group)
        yield folder


@contextlib.contextmanager
def owner(account: Account, folder: Path, controller_pid: int = 0) -> Iterator[subprocess.Popen[str]]:
    """A process that has a reaper, and has started something."""
    words = [*account.prefix, sys.executable, "-c", OWNER, str(folder), str(controller_pid)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(words, cwd=CHECKOUT, env=account.environment, text=True, **pipes) as process:
        assert process.stdout
        reaper = int(process.stdout.readline())
        try:
            Deadline(START_SECONDS, "both programs to be there").wait_until(lambda: len(pids(folder)) == 2)
            yield process
        finally:
            process.kill()
            for pid in [reaper, *pids(folder)]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, 9)


def pids(folder: Path) -> list[int]:
    """Of the programs that have the folder in their command line."""
    found = []
    for process in (path for path in Path("/proc").iterdir() if path.name.isdigit()):
        with contextlib.suppress(OSError):
            if f"{folder}" in (process / "cmdline").read_text() and (process / "comm").read_text() == "tail\n":
                found.append(int(process.name))
    return found


def is_cleared(folder: Path) -> bool:
    """Whether what worked in the folder is gone, and the folder, and nothing else."""
    clearing = Deadline(LIMIT_SECONDS, "the reaper to clear up")
    return clearing.sees(lambda: not folder.exists() and len(pids(folder)) == 1)


def test_the_owner_is_killed(account: Account, folder: Path) -> None:
    with owner(account, folder) as process:
        process.kill()
        assert is_cleared(folder)


def test_the_controller_is_killed(account: Account, folder: Path) -> None:
    controller = subprocess.Popen(["sleep", "1000"])
    with owner(account, folder, controller.pid):
        controller.kill()
        controller.wait()
        assert is_cleared(folder)


@pytest.mark.parametrize("said", ["close", "kill the reaper"])
def test_the_owner_closes_it(account: Account, folder: Path, said: str) -> None:
    with owner(account, folder) as process:
        assert process.stdin
        assert process.stdout
        process.stdin.write(f"{said}\n")
        process.stdin.close()
        assert process.stdout.readline() == "closed\n"
        assert is_cleared(folder)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs programs of others")
def test_a_containers_root_ends_what_runs_as_somebody_else(folder: Path) -> None:
    """He may become others, and not trace them."""
    bounded = ["setpriv", "--bounding-set=-sys_ptrace,-sys_admin", "--inh-caps=-sys_ptrace,-sys_admin", "--"]
    script = OWNER.replace('["sh", "-c", f"setsid tail', '["setpriv", "--reuid=65534", "--regid=65534", '
                           '"--clear-groups", "--inh-caps=-all", "sh", "-c", f"setsid tail')  # fmt: skip
    assert script != OWNER
    folder.chmod(0o755)
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    words = [*bounded, sys.executable, "-c", script, str(folder), "0"]
    with subprocess.Popen(words, cwd=CHECKOUT, text=True, **pipes) as process:
        assert process.stdout
        reaper = int(process.stdout.readline())
        try:
            Deadline(START_SECONDS, "both programs to be there").wait_until(lambda: len(pids(folder)) == 2)
            process.kill()
            assert is_cleared(folder)
        finally:
            process.kill()
            for pid in [reaper, *pids(folder)]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, 9)
