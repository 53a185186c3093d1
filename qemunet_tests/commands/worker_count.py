"""How many processes test at once, where nobody says."""

from collections.abc import Sized

from qemunet_tests.host import resources, system

#: Tests wait most of their time, for timers of QEMU, of guests and of spanning tree: with so many processes more than
#: CPUs, and one more for every so many CPUs, hardly any is idle (docs/architecture.md has the figures).
MORE_THAN_CPUS, CPUS_PER_FURTHER = 4, 4
#: What a process and its guests need of memory, most of all while some tests have three guests, and what is left alone.
WORKER_MB, LEFT_ALONE_MB = 400, 500
#: A process costs a second or two of computing before it tests anything, which so many claims make worth while.
CLAIMS_A_WORKER = 4


def default_workers(cpus: int, available_mb: int) -> int:
    """As many as have work on these CPUs and room in this memory (MiB), at least one."""
    have_work = cpus + MORE_THAN_CPUS + cpus // CPUS_PER_FURTHER
    have_room = (available_mb - LEFT_ALONE_MB) // WORKER_MB
    return max(1, min(have_work, have_room))


def workers_of_this_machine(claims: Sized | None = None) -> int:
    """`default_workers`, for the CPUs that this process may use and the memory that is left now.

    No more than these claims are worth, where not all are tried.
    """
    most = default_workers(system.cpus(), resources.memory().available_mb)
    return most if claims is None else min(most, 1 + len(claims) // CLAIMS_A_WORKER)
