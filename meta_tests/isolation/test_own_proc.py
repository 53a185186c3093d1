"""A program that looks itself up in /proc by its number, as passt does since 2026."""

from qemunet_tests.isolation.processes import Spawner
from qemunet_tests.network import Lab

LOOKS = ["sh", "-c", "tr '\\0' ' ' </proc/$$/cmdline; : looked for itself"]


def test_it_finds_itself_in_a_proc_of_its_own(spawner: Spawner, lab: Lab) -> None:
    said = spawner.run(LOOKS, network=lab.host.network, within_seconds=10, own_proc=True)
    assert said.stdout.decode().endswith("looked for itself ")


def test_and_not_in_the_machines(spawner: Spawner, lab: Lab) -> None:
    """So that the other one could fail."""
    said = spawner.run(LOOKS, network=lab.host.network, within_seconds=10)
    assert b"looked for itself" not in said.stdout
