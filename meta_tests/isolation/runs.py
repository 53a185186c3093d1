"""Real runs of the conformance tests, by root and by an ordinary user: started, and brought to a stand."""

import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from meta_tests.isolation.leftovers import FOLDER_PREFIX, Run
from meta_tests.planted.run_that_waits import FOLDER
from meta_tests.user_accounts import Account, accounts
from qemunet_tests.cache import cache_root, readable_caches
from qemunet_tests.deadline import Deadline

CONFORMANCE = ("pytest", "--pyargs", "qemunet_tests.conformance", "-p", "no:cacheprovider")
CLAIMS = ("bridge/lease-address", "bridge/lease-gateway", "user/address", "user/gateway")
START_SECONDS = 120.0

Start = Callable[..., Run]

by_everybody = pytest.mark.parametrize("account", accounts(), indirect=True, scope="session")
#: By root in the core run, by an ordinary user too in the full one.
by_root_first = pytest.mark.parametrize("account", accounts(slow=["nobody"]), indirect=True, scope="session")
one_or_two_workers = pytest.mark.parametrize("workers", [pytest.param(1, marks=pytest.mark.slow), 2])


def citing(*claims: str) -> list[str]:
    """Options that select claims."""
    return [f"--qemunet-claims={claim}" for claim in claims]


def shelves(cache: Path) -> set[str]:
    """What lies in a cache, half-made things included."""
    return {f"{folder.parent.name}/{folder.name}" for folder in cache.glob("*/*") if folder.name != ".lock"}


def hand_over(folder: Path, account: Account) -> None:
    """Make a folder and all that is in it the account's."""
    for path in (folder, *folder.rglob("*")):
        os.chown(path, account.uid if os.geteuid() == 0 else -1, account.group, follow_symlinks=False)


@pytest.fixture(scope="session")
def account(request: pytest.FixtureRequest) -> Account:
    who: Account = request.param
    return who


@pytest.fixture(scope="session")
def home(account: Account) -> Iterator[Path]:
    """A folder of the account's, with a cache in which everything is that was built before."""
    from qemunet_tests.prerequisites import prepare
    from qemunet_tests.settings import Settings

    prepare(Settings())
    home = Path(tempfile.mkdtemp(prefix=FOLDER_PREFIX))
    home.chmod(0o755)
    for shelf in ("images", "templates"):
        (home / "cache" / shelf).mkdir(parents=True)
        for cache in reversed(readable_caches()):
            for entry in (cache / shelf).glob("[!.]*"):
                (home / "cache" / shelf / entry.name).symlink_to(entry)
    if (cache_root() / "accel.json").exists():
        shutil.copyfile(cache_root() / "accel.json", home / "cache" / "accel.json")
    hand_over(home, account)
    yield home
    shutil.rmtree(home)


@pytest.fixture
def start(account: Account, home: Path) -> Iterator[Start]:
    """Starts a run, and ends what is left of it."""
    with ExitStack() as ends:

        def start(*words: str, **environment: str) -> Run:
            folder = Path(tempfile.mkdtemp(dir=home))
            (folder / "stands").mkdir()
            hand_over(folder, account)
            run = Run(
                [sys.executable, "-m", *words],
                account,
                folder,
                **{"QEMUNET_CACHE": str(home / "cache"), FOLDER: str(folder / "stands"), **environment},
            )
            ends.callback(run.end)
            return run

        yield start


def standing(start: Start, workers: int, *claims: str) -> Run:
    """A run of conformance tests that stands still, with a guest alive in every worker."""
    spread = ["-n", str(workers)] if workers > 1 else []
    run = start(*CONFORMANCE, "-p", "meta_tests.planted.run_that_waits", *citing(*(claims or CLAIMS)), *spread)

    def stands() -> bool:
        assert run.process.poll() is None, run.output
        return len(list((run.log.parent / "stands").iterdir())) == workers

    Deadline(START_SECONDS, "the run to stand still").wait_until(stands, interval_seconds=0.1)
    run.note()
    return run
