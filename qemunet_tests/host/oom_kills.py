"""Whether the kernel has ended processes for want of memory, under a control group's limit as well as without."""

from pathlib import Path

from qemunet_tests.host.files import MACHINE, read_text


def count(root: Path = MACHINE) -> int | None:
    """How many since this machine was started; None where the kernel does not say. Source: mm/vmstat.c, Linux 4.13."""
    lines = [line.split() for line in (read_text(root, "/proc/vmstat") or "").splitlines()]
    return next((int(words[1]) for words in lines if len(words) == 2 and words[0] == "oom_kill"), None)


def said_since(before: int | None, root: Path = MACHINE) -> str:
    """What the count has grown by since it was `before`, as the end of a sentence; nothing where it has not."""
    now = count(root)
    grown = 0 if before is None or now is None else now - before
    if grown <= 0:
        return ""
    ended = "a process" if grown == 1 else f"{grown} processes"
    return f", and the kernel has ended {ended} for want of memory meanwhile"
