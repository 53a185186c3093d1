"""What types in `repro.sh`: it finds every prompt, and waits for none for ever. QEMU's place has a shell of ours."""

import os
import re
import subprocess
import sys

import pytest

from meta_tests.patience import limit
from qemunet_tests.guest import repro

#: Reads a console as the guest's shell does, and ends by QEMU's keys. What it prints at a prompt comes in these pieces.
SHELL = """
import os, select, sys, tty
tty.setcbreak(0)
def say(*pieces):
    for piece in pieces:
        os.write(1, piece.encode())
        # As long as it takes for the piece to be read alone.
        select.select([], [], [], 0.2)
line = b""
say(*{first})
while True:
    key = os.read(0, 1)
    if key == b"x" and line.endswith(b"\\x01"):
        break
    line += key
    if key == b"\\n":
        if line.strip():
            print("typed", line.decode().strip(), flush=True)
        line = b""
        say(*{pieces})
"""
PROMPT = "guest# "
IN_PIECES = (PROMPT + "\x1b", "[6n")
MESSAGE = "[    3.141593] random: crng init done\r\n"


def driven(first: tuple[str, ...], pieces: tuple[str, ...], limit_seconds: int = 60) -> tuple[int, str, list[str]]:
    """The driver's status, its last words, and what was typed."""
    assert repro.DRIVER.count("_seconds = 5, 300") == 1
    driver = repro.DRIVER.replace("_seconds = 5, 300", f"_seconds = 1, {limit_seconds}")
    shell = [sys.executable, "-c", SHELL.format(first=first, pieces=pieces)]
    done = subprocess.run(
        [sys.executable, "-c", driver, "echo it", PROMPT, "leases", *shell],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=limit(30), env=os.environ,
    )  # fmt: skip
    return done.returncode, done.stderr, re.findall("typed (.*)", done.stdout)


@pytest.mark.parametrize(
    ("first", "pieces"),
    [
        ((PROMPT,), (PROMPT,)),
        (IN_PIECES, IN_PIECES),
        ((PROMPT + MESSAGE,), (PROMPT,)),
        ((PROMPT[:3], MESSAGE, PROMPT[3:], MESSAGE), (PROMPT,)),
    ],
    ids=["whole", "in-pieces", "kernel-behind-it", "kernel-within"],
)
def test_every_prompt_is_found(first: tuple[str, ...], pieces: tuple[str, ...]) -> None:
    assert driven(first, pieces) == (0, "", ["leases", "echo it"])


@pytest.mark.parametrize("first", [("booting",), (PROMPT,)], ids=["never", "no-more"])
def test_a_prompt_that_does_not_come_is_given_up(first: tuple[str, ...]) -> None:
    status, said, _ = driven(first, ("nothing",), limit_seconds=3)
    assert (status, said) == (1, "\nrepro.sh: for 3 s the guest's shell has not asked for a command: it was ended\n")
