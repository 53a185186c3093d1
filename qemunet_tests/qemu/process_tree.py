"""What a process has started, proc(5)."""

from collections.abc import Iterator

from qemunet_tests.host.files import MACHINE, read_text


def descendants(pid: int) -> Iterator[int]:
    """Its children, and theirs."""
    for child in (read_text(MACHINE, f"/proc/{pid}/task/{pid}/children") or "").split():
        yield int(child)
        yield from descendants(int(child))
