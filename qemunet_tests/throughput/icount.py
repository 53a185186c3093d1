"""The lane that counts instructions: under `-icount` a guest's clock is its own instructions.

Goodput per guest second then varies by about 1 % on the noisiest machine. It is sensitive to what the guest executes
per byte (lost offloads, MTU, driver, NIC model) and nearly blind to what the host does. Source: QEMU's
docs/devel/tcg-icount.rst; the same idea stands in Zephyr's zperf tests.
"""

from dataclasses import dataclass

from qemunet_tests.qemu.guest_machine import GuestMachine

#: 2^1 ns an instruction: 500 million instructions a guest second.
SHIFT = 1


@dataclass(frozen=True)
class Counting(GuestMachine):
    """A machine whose clock counts instructions. Single-threaded TCG only."""

    def words(self, name: str) -> list[str]:
        return [*super().words(name), "-icount", f"shift={SHIFT},sleep=on"]
