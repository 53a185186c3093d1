"""bootstrap starts no service that a package brings, now or at the next boot, and leaves no trace of having kept it."""

import os
import signal
import subprocess
import time

import pytest

from meta_tests.patience import limit
from meta_tests.samples.bootstrap_world import PACKAGES, World, said_of_installing


@pytest.fixture
def without_samba(ready: World) -> World:
    """A machine where bootstrap ran before, and where a package that brings a service is missing now."""
    ready.write("packages", "\n".join((*PACKAGES, "samba")) + "\n")
    ready.write("checkout/bindep.txt", "# changed\n")
    return ready


SAMBA_ALONE = [
    "ran pip",
    "updated lists",
    "installed samba",
    "systemctl disable smbd.service",
    "update-rc.d smbd disable",
]


def test_no_service_starts_now_or_at_the_next_boot(without_samba: World) -> None:
    ran = without_samba.run("true")
    assert (ran.returncode, without_samba.done()) == (0, SAMBA_ALONE)
    assert not without_samba.policy.exists()


def test_what_was_installed_is_written_down_with_what_it_needs(without_samba: World) -> None:
    ran = without_samba.run("true")
    assert ran.stderr.splitlines() == [said_of_installing(without_samba, 2)]
    written = (without_samba.checkout / ".installed-packages").read_text().split()
    assert written == sorted((*PACKAGES, "samba", "samba-libs"))


@pytest.mark.parametrize("status", [0, 101])
def test_a_policy_that_is_there_stays_and_is_asked(without_samba: World, status: int) -> None:
    text = f"#!/bin/sh\necho asked about $1 >>{without_samba.folder}/log\nexit {status}\n"
    without_samba.policy.write_text(text)
    without_samba.policy.chmod(0o755)
    without_samba.run("true")
    assert without_samba.done() == [*SAMBA_ALONE[:3], "asked about smbd.service", *SAMBA_ALONE[3:]]
    assert without_samba.policy.read_text() == text


def interrupt(world: World, number: int) -> None:
    """Sends a signal to all processes of a bootstrap that waits for apt-get, as a terminal does."""
    world.write("apt-is-slow")
    # A shell cannot trap what was ignored when it started, as nohup has it.
    words = ["env", "--default-signal=INT,TERM,HUP", world.bootstrap, "true"]
    running = subprocess.Popen(words, env=world.environment(), start_new_session=True)
    deadline = time.monotonic() + limit(30)
    while not (world.folder / "apt-waits").exists():
        assert time.monotonic() < deadline
    assert world.policy.exists()
    os.killpg(running.pid, number)
    assert running.wait(timeout=limit(30)) != 0
    world.remove("apt-is-slow")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupted_installation_leaves_no_policy(without_samba: World, number: int) -> None:
    interrupt(without_samba, number)
    deadline = time.monotonic() + limit(30)
    while without_samba.policy.exists():
        assert time.monotonic() < deadline


def test_a_policy_that_a_killed_bootstrap_left_forbids_nobody_anything(without_samba: World) -> None:
    interrupt(without_samba, signal.SIGKILL)
    assert without_samba.policy.exists()
    assert subprocess.run([without_samba.policy, "cron", "(start)"], check=False).returncode == 101
    # It goes as soon as the process that was killed is buried.
    deadline = time.monotonic() + 30
    while without_samba.policy.exists():
        assert subprocess.run([without_samba.policy, "cron", "start"], check=False).returncode == 0
        assert time.monotonic() < deadline


def test_the_next_bootstrap_replaces_a_policy_that_a_killed_one_left(without_samba: World) -> None:
    interrupt(without_samba, signal.SIGKILL)
    without_samba.done()
    assert without_samba.run("true").returncode == 0
    assert without_samba.done() == SAMBA_ALONE[1:]
    assert not without_samba.policy.exists()


def test_others_who_install_meanwhile_start_their_services(without_samba: World) -> None:
    without_samba.write("apt-is-slow")
    running = subprocess.Popen([without_samba.bootstrap, "true"], env=without_samba.environment())
    deadline = time.monotonic() + limit(30)
    while not (without_samba.folder / "apt-waits").exists():
        assert time.monotonic() < deadline
    assert subprocess.run([without_samba.policy, "cron", "start"], check=False).returncode == 0
    assert running.wait(timeout=limit(30)) == 0
    assert not [each for each in without_samba.done() if "start smbd" in each]
