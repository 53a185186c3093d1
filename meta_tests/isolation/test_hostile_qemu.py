"""A QEMU that was taken over, played by a wrapper: it does whatever its user may, and root does not help it."""

import os
import stat
import subprocess
from pathlib import Path

import pexpect
import pytest

from meta_tests.patience import limit
from meta_tests.qemunet_command import clean_environment
from meta_tests.user_accounts import CHECKOUT
from qemunet_tests.qemu import qemu_facts

takes_root = pytest.mark.skipif(os.geteuid() != 0, reason="there is no difference of rights otherwise")

#: Plants links in the folder of the guest, again and again, wherever it may.
PLANTING = """#!/bin/sh
folder=
for word; do
    case $word in file,id=console,path=*) folder=$(dirname "${{word##*path=}}") ;; esac
done
plant() {{
    for place in "$folder" "$folder/qemu"; do
        for name in monitor.log repro.sh qemu.stderr console.log net0.pcap; do
            ln -sfn {victim} "$place/$name"
        done
        ln -sfn {secret} "$place/secret"
        ln -sfn {home} "$place/home"
        mkfifo "$place/fifo"
    done
}} 2>/dev/null
if [ -n "$folder" ]; then
    id -u >{log}
    plant
    (while sleep 0.1 && kill -0 $$; do plant; done) 2>/dev/null &
fi
exec {qemu} "$@"
"""

#: Says of whatever it is started for whether it could type what the caller's shell executes afterwards.
TYPING = """#!/bin/sh
if (: </dev/tty) 2>/dev/null; then echo "typed, for $*" >>{log}; else echo silent >>{log}; fi
exec {qemu} "$@"
"""


@takes_root
@pytest.mark.slow
def test_root_follows_no_link_of_qemus(open_folder: Path) -> None:
    home, report = open_folder / "home", open_folder / "report"
    home.mkdir(mode=0o700)
    victim, secret, log = home / "victim", home / "secret", open_folder / "log"
    victim.write_text("as it was")
    secret.write_text("for root alone")
    log.touch()
    log.chmod(0o666)
    qemu = open_folder / "qemu"
    places = {"victim": victim, "secret": secret, "home": home, "log": log, "qemu": qemu_facts.find().path}
    qemu.write_text(PLANTING.format(**places))
    qemu.chmod(0o755)
    words = ["qemunet", "run", "user/gateway", "--qemu", str(qemu), "--accel", "tcg", "--cold", "-n", "1", "--keep"]
    done = subprocess.run(
        [CHECKOUT / "bootstrap", *words, "--report", report],
        capture_output=True, text=True, check=False, timeout=300, env=clean_environment(),
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert log.read_text().strip() not in ("", "0"), "the wrapper ran as root, or never"
    assert victim.read_text() == "as it was"
    kept = [path for path in (report / "artifacts").rglob("*") if not path.is_dir()]
    assert {"monitor.log", "repro.sh", "console.log", "net0.pcap"} <= {path.name for path in kept}
    assert all(stat.S_ISREG(path.lstat().st_mode) for path in kept)
    assert not [path for path in kept if b"for root alone" in path.read_bytes()]
    assert "/qemu/fifo: no regular file" in next(path for path in kept if path.name == "left-out.txt").read_text()


@pytest.mark.slow
@pytest.mark.parametrize("words", [
    pytest.param("run user/gateway user/address --cold -n 1 --qemu {qemu}", id="run"),
    pytest.param("run user/gateway user/address --cold -n 2 --qemu {qemu}", id="run-by-workers"),
    pytest.param("doctor --deep --mode user", id="doctor"),
    pytest.param("shell user", id="shell"),
])  # fmt: skip
def test_qemu_does_not_type_at_the_callers_terminal(open_folder: Path, words: str) -> None:
    log, qemu = open_folder / "log", open_folder / "qemu-system-x86_64"
    log.touch()
    log.chmod(0o666)
    qemu.write_text(TYPING.format(log=log, qemu=qemu_facts.find().path))
    qemu.chmod(0o755)
    environment = clean_environment()
    environment["PATH"] = f"{open_folder}:{environment['PATH']}"
    command = ["qemunet", *words.format(qemu=qemu).split()]
    # A session that the terminal belongs to, as that of a shell.
    with pexpect.spawn(str(CHECKOUT / "bootstrap"), command, env=environment, timeout=limit(300)) as terminal:
        if "shell" in words:
            terminal.expect("guest# ")
            terminal.send(b"\x01x")
        terminal.expect(pexpect.EOF)
    said = log.read_text().splitlines()
    assert "silent" in said, terminal.before
    assert [each for each in said if each != "silent"] == []
