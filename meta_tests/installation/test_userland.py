"""A second Debian as a machine: real ones, unpacked from this machine's mirror or a week ago at most."""

import os
import re
import subprocess
import time
from pathlib import Path

import pytest

from meta_tests.installation.debian_machines import as_root, userland
from meta_tests.user_accounts import NOBODY
from meta_tests.userland.package_settings import highest_missing
from meta_tests.userland.suites import SUITES
from meta_tests.userland.unpacking import MARKER, remove, shelf

pytest_plugins = "meta_tests.installation.debian_machines"


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("potato", "--", "true"), "bookworm, bookworm-backports, trixie, trixie-backports, forky, sid"),
        (("sid", "true"), "true"),
        (("sid",), "after --"),
        (("sid", "--"), "after --"),
        ((), "SUITE"),
        (("--keep", "../etc", "sid", "--", "true"), "--keep"),
    ],
)
def test_a_mistake_is_one_line(words: tuple[str, ...], named: str) -> None:
    done = userland(*words)
    assert (done.returncode, done.stdout) == (2, "")
    assert named in done.stderr
    assert done.stderr.count("\n") == 1


def test_an_ordinary_user_is_told_that_it_takes_root() -> None:
    become = (f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups") if os.geteuid() == 0 else ()
    done = userland("sid", "--", "true", become=("setpriv", *become) if become else ())
    assert (done.returncode, done.stdout) == (2, "")
    assert re.fullmatch(r"userland: needs root.*\n", done.stderr)


def test_the_help_names_the_suites_and_what_becomes_of_the_machine() -> None:
    done = userland("--help")
    assert done.returncode == 0
    assert all(name in done.stdout for name in SUITES)
    assert "--keep" in done.stdout
    assert "exit status" in done.stdout


@as_root
def test_a_cache_that_others_can_enter_is_refused(cache: Path) -> None:
    (cache / "userlands").mkdir(mode=0o755)
    done = userland("sid", "--", "true", QEMUNET_CACHE=str(cache))
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert str(cache / "userlands") in done.stderr


@as_root
@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "status"),
    [
        (("sh", "-c", "exit 42"), 42),
        (("sh", "-c", "kill -TERM $$"), 143),
        (("no-such-program",), 127),
        (("/srv",), 126),
    ],
)
def test_the_status_is_the_command_s(suite: str, command: tuple[str, ...], status: int) -> None:
    assert userland(suite, "--", *command).returncode == status


FACTS = """
echo "first: $(tr '\\0' ' ' </proc/1/cmdline | head -c 60)"
echo "processes: $(ls -d /proc/[0-9]* | wc -l)"
echo > /sys/kernel/mm/ksm/run 2>/dev/null && echo "sys: written"
echo "disks: $(for each in /dev/* /dev/*/*; do [ ! -b $each ] || echo $each; done)"
echo "nodes: $(for each in /dev/* /dev/net/*; do [ ! -c $each ] || echo $each; done | tr '\\n' ' ')"
echo "there: $(pwd) $(ls -d .venv .tox .git 2>/dev/null)"
useradd --create-home somebody
setpriv --reuid somebody --regid somebody --init-groups unshare -Urnm true && echo "namespaces: an ordinary user's"
echo "policy: $(/usr/sbin/policy-rc.d; echo $?)"
"""


@as_root
@pytest.mark.slow
def test_it_is_a_machine_and_no_chroot(suite: str) -> None:
    done = userland(suite, "--", "sh", "-c", FACTS)
    facts = dict(line.split(": ", 1) for line in done.stdout.splitlines())
    assert done.returncode == 0, done.stderr
    assert "meta_tests.userland" in facts["first"]
    assert int(facts["processes"]) < 10
    assert "sys" not in facts, "/sys can be written"
    assert facts["disks"] == ""
    expected = {f"/dev/{name}" for name in ("null", "zero", "full", "random", "urandom", "tty", "ptmx")}
    standard = {f"/dev/{name}" for name in ("stdin", "stdout", "stderr")}
    assert expected <= set(facts["nodes"].split()) <= expected | standard | {"/dev/net/tun", "/dev/kvm"}
    assert facts["there"].strip() == "/srv/qemunet"
    assert facts["namespaces"] == "an ordinary user's", "the kernel takes it for a chroot"
    assert facts["policy"] == "101"


@as_root
@pytest.mark.slow
def test_a_node_that_is_given_to_somebody_there_is_not_given_to_him_here(suite: str) -> None:
    """As packages do it with /dev/kvm, whose group has another number in each Debian."""
    node = Path("/dev/full")
    before = node.stat()
    try:
        done = userland(suite, "--", "sh", "-c", f"chown 4711:4712 {node} && chmod 640 {node} && stat -c %u:%g {node}")
        assert done.stdout == "4711:4712\n", done.stderr
        after = node.stat()
        assert (after.st_uid, after.st_gid, after.st_mode) == (before.st_uid, before.st_gid, before.st_mode)
    finally:
        os.chown(node, before.st_uid, before.st_gid)
        node.chmod(before.st_mode)


@as_root
@pytest.mark.slow
def test_a_package_that_is_installed_starts_no_service(suite: str) -> None:
    install = "apt-get -qq update && apt-get -qq install -y --no-install-recommends cron >/dev/null 2>&1"
    look = "for each in /proc/[0-9]*/comm; do cat $each; done"
    done = userland(suite, "--", "sh", "-c", f"{install} && command -v cron && {look}")
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[0] == "/usr/sbin/cron"
    assert "cron" not in done.stdout.split()[1:]


#: On a machine whose packages start what they bring, as one that was installed by Debian's installer.
BOOTSTRAP = """
rm -f /usr/sbin/policy-rc.d
# Without an init system and a runlevel nothing is started for that alone.
[ -e /sbin/init ] || ln -s /bin/true /sbin/init
printf '#!/bin/sh\necho N 2\n' >/sbin/runlevel && chmod +x /sbin/runlevel
running() { cat /proc/[0-9]*/comm 2>/dev/null | grep -xE "$1" | sort -u | tr '\\n' ' '; }
apt-get -qq update && apt-get -qq install -y --no-install-recommends cron >/dev/null 2>&1
echo "started by hand: $(running cron)"
kill $(cat /run/crond.pid)
./bootstrap true
echo "ended with: $?"
echo "samba: $(dpkg-query -W -f '${db:Status-Status}' samba)"
echo "started: $(running '[sn]mbd|samba.*|dnsmasq|systemd-.*')"
echo "at the next boot: $(ls /etc/rc[2-5].d | grep -E '^S.*(mbd|samba)')"
echo "policy: $(cat /usr/sbin/policy-rc.d 2>&1)"
apt-get -qq install -y --reinstall cron >/dev/null 2>&1
echo "started by hand afterwards: $(running cron)"
"""


@as_root
@pytest.mark.slow
def test_bootstrap_starts_no_service_where_no_policy_forbids_it(suite: str) -> None:
    done = userland(suite, "--", "sh", "-c", BOOTSTRAP)
    facts = dict(line.split(":", 1) for line in done.stdout.splitlines() if ":" in line)
    found = {name: value.strip() for name, value in facts.items()}
    assert found == {
        "started by hand": "cron",
        "ended with": "0",
        "samba": "installed",
        "started": "",
        "at the next boot": "",
        "policy": "cat: /usr/sbin/policy-rc.d: No such file or directory",
        "started by hand afterwards": "cron",
    }, done.stdout + done.stderr
    assert "and started no service of theirs" in done.stderr


@as_root
@pytest.mark.slow
def test_machines_keep_nothing_of_each_other_unless_asked_to(suite: str) -> None:
    assert userland(suite, "--", "touch", "/left", "/srv/qemunet/left").returncode == 0
    assert userland(suite, "--", "test", "-e", "/left").returncode == 1
    kept = (f"--keep=kept-{os.getpid()}", suite, "--")
    try:
        assert userland(*kept, "sh", "-c", "touch /left left; mkdir .venv").returncode == 0
        assert userland(*kept, "sh", "-c", "test -e /left -a -d .venv -a ! -e left").returncode == 0
    finally:
        remove(shelf() / suite / "machines" / f"kept-{os.getpid()}")


@as_root
@pytest.mark.slow
def test_this_machine_s_settings_are_given_to_it(suite: str, tmp_path: Path) -> None:
    apt = tmp_path / "apt.conf"
    apt.write_text('Acquire::http::Proxy "http://proxy.example:3128/";\nAcquire::GzipIndexes "true";\n')
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    (wheels / "a-wheel").touch()
    show = f"apt-config dump | grep -E 'Acquire::(http::Proxy|GzipIndexes)'; cat /etc/pip.conf; ls {wheels}"
    done = userland(
        suite, "--", "sh", "-c", show, APT_CONFIG=str(apt), PIP_FIND_LINKS=wheels.as_uri(), PIP_DEFAULT_TIMEOUT="77"
    )
    assert 'Acquire::http::Proxy "http://proxy.example:3128/";' in done.stdout
    assert "GzipIndexes" not in done.stdout
    assert "default-timeout = 77" in done.stdout
    assert "a-wheel" in done.stdout


@as_root
@pytest.mark.slow
def test_a_kept_machine_reaches_this_machine_s_packages_every_time(suite: str, folder: Path) -> None:
    (folder / "a-wheel").touch()
    name = f"kept-{os.getpid()}"
    words = (f"--keep={name}", suite, "--", "ls", str(folder))
    try:
        for _ in range(2):
            assert "a-wheel" in userland(*words, PIP_FIND_LINKS=folder.as_uri()).stdout
    finally:
        remove(shelf() / suite / "machines" / name)


@pytest.mark.parametrize(
    ("machine", "bound"),
    [
        ((), "/opt/index"),
        # What a kept machine was given before, and what it has made itself.
        (("opt/index",), "/opt/index"),
        (("opt/index/simple/mine",), None),
    ],
)
def test_what_of_this_machine_a_userland_is_given(tmp_path: Path, machine: tuple[str, ...], bound: str | None) -> None:
    unpacked, root = tmp_path / "unpacked", tmp_path / "root"
    for folder in (unpacked / "opt", root / "opt", *(root / each for each in machine)):
        folder.mkdir(parents=True, exist_ok=True)
    assert highest_missing(root, unpacked, Path("/opt/index/simple")) == (Path(bound) if bound else None)


@as_root
@pytest.mark.slow
def test_offline_it_says_so(cache: Path) -> None:
    done = userland("trixie", "--", "true", become=("unshare", "--net"), QEMUNET_CACHE=str(cache))
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.splitlines()[-1].startswith("userland: offline, so trixie cannot be unpacked: ")
    assert len(done.stderr.splitlines()) == 2, "the first says that it unpacks"


@as_root
@pytest.mark.slow
def test_a_suite_is_used_again_for_a_week_and_longer_where_no_newer_can_be_had(cache: Path, suite: str) -> None:
    there = cache / "userlands" / suite
    (cache / "userlands").mkdir(mode=0o700)
    (there / "machines").mkdir(parents=True)
    subprocess.run(["cp", "-a", shelf() / suite / "root", there], check=True)
    (there / MARKER).touch()
    offline = ("unshare", "--net")
    done = userland(suite, "--", "true", become=offline, QEMUNET_CACHE=str(cache))
    assert (done.returncode, done.stderr) == (0, "")
    os.utime(there / MARKER, (time.time() - 8 * 86400,) * 2)
    done = userland(suite, "--", "true", become=offline, QEMUNET_CACHE=str(cache))
    assert done.returncode == 0
    assert "unpacking" in done.stderr
    assert "the one unpacked 8 days ago is used" in done.stderr
