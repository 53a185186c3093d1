"""How many workers a run has where nobody says."""

import pytest

from qemunet_tests.commands.worker_count import default_workers, workers_of_this_machine


@pytest.mark.parametrize(
    ("cpus", "available_mb", "workers"),
    [(1, 16_000, 5), (2, 24_000, 6), (8, 64_000, 14), (64, 256_000, 84)],
)
def test_workers_follow_the_cpus(cpus: int, available_mb: int, workers: int) -> None:
    assert default_workers(cpus, available_mb) == workers


@pytest.mark.parametrize(("available_mb", "workers"), [(0, 1), (900, 1), (1_800, 3), (3_000, 6)])
def test_and_no_more_than_memory_has_room_for(available_mb: int, workers: int) -> None:
    assert default_workers(16, available_mb) == workers


@pytest.mark.parametrize(("claims", "workers"), [(1, 1), (3, 1), (4, 2), (7, 2), (8, 3)])
def test_few_claims_are_not_worth_many_processes(monkeypatch: pytest.MonkeyPatch, claims: int, workers: int) -> None:
    monkeypatch.setattr("qemunet_tests.commands.worker_count.default_workers", lambda *_: 12)
    assert workers_of_this_machine(range(claims)) == workers
    assert workers_of_this_machine() == workers_of_this_machine(range(1000)) == 12
