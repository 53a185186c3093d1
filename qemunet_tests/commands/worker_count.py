"""How many processes test at once, where nobody says."""

from qemunet_tests.host import resources, system

#: Tests wait a part of their time, for timers of QEMU and of spanning tree: with so many processes more than CPUs, and
#: one more for every so many CPUs, none is idle (docs/architecture.md has the simulation).
MORE_THAN_CPUS, CPUS_PER_FURTHER = 2, 4
#: What a process and its guests need of memory, most of all while some tests have three guests, and what is left alone.
WORKER_MB, LEFT_ALONE_MB = 400, 500


def default_workers(cpus: int, available_mb: int) -> int:
    """As many as have work on these CPUs and room in this memory (MiB), at least one."""
    have_work = cpus + MORE_THAN_CPUS + cpus // CPUS_PER_FURTHER
    have_room = (available_mb - LEFT_ALONE_MB) // WORKER_MB
    return max(1, min(have_work, have_room))


def workers_of_this_machine() -> int:
    """`default_workers`, for the CPUs that this process may use and the memory that is left now."""
    return default_workers(system.cpus(), resources.memory().available_mb)
