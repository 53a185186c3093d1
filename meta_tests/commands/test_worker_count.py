"""How many workers a run has where nobody says."""

import pytest

from qemunet_tests.commands.worker_count import default_workers


@pytest.mark.parametrize(
    ("cpus", "available_mb", "workers"),
    [(1, 16_000, 3), (2, 24_000, 4), (8, 64_000, 12), (64, 256_000, 82)],
)
def test_workers_follow_the_cpus(cpus: int, available_mb: int, workers: int) -> None:
    assert default_workers(cpus, available_mb) == workers


@pytest.mark.parametrize(("available_mb", "workers"), [(0, 1), (900, 1), (1_800, 3), (3_000, 6)])
def test_and_no_more_than_memory_has_room_for(available_mb: int, workers: int) -> None:
    assert default_workers(16, available_mb) == workers
