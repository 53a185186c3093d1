"""Wheel and sdist: what is inside, and that an installation outside the checkout works."""

import ast
import itertools
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest

from meta_tests.patience import limit

CHECKOUT = Path(__file__).parents[2]
# Folder of the checkout: its place in an installation.
SHELVES = {
    "qemunet_tests": "qemunet_tests",
    "fixtures": "qemunet_tests/fixtures",
    "images": "qemunet_tests/images",
}
A_USERS_TEST = """
def test_of_a_user(user_guest, bridge_guest):
    assert user_guest.check("true") and bridge_guest.check("true")
"""


def files_of(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            yield path.relative_to(folder)


def shipped() -> set[str]:
    """Every file of the three shelves, as an installation names it."""
    return {f"{place}/{file}" for shelf, place in SHELVES.items() for file in files_of(CHECKOUT / shelf)}


def imported_modules() -> set[str]:
    """The top-level name of every module that the three shelves import."""
    names: set[str] = set()
    for shelf in SHELVES:
        for file in (CHECKOUT / shelf).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.Import):
                    names |= {alias.name for alias in node.names}
                elif isinstance(node, ast.ImportFrom) and node.module:
                    names.add(node.module)
    return {name.partition(".")[0] for name in names}


def run(*command: object, folder: Path) -> str:
    """What a command prints; it has to succeed."""
    ran = subprocess.run(
        [str(word) for word in command],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=limit(300),
        check=False,
    )
    assert ran.returncode == 0, ran.stdout
    return ran.stdout


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    return tomllib.loads((CHECKOUT / "pyproject.toml").read_text())


@pytest.fixture(scope="module")
def clean_checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a clone holds, without what was made in ours."""
    copy = tmp_path_factory.mktemp("clone") / "qemunet"
    made_here = shutil.ignore_patterns(".*", "__pycache__", "*.egg-info", "build", "dist", "qemunet-report")
    shutil.copytree(CHECKOUT, copy, ignore=made_here)
    return copy


@pytest.fixture(scope="module")
def dist(clean_checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with an sdist, and a wheel built from that sdist."""
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--outdir", folder, folder=clean_checkout)
    return folder


@pytest.fixture(scope="module")
def wheel(dist: Path) -> Path:
    return next(dist.glob("*.whl"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of an environment that holds the wheel and what it needs, far from the checkout."""
    folder = tmp_path_factory.mktemp("installed")
    run(sys.executable, "-m", "venv", folder / "venv", folder=folder)
    programs = folder / "venv" / "bin"
    run(programs / "pip", "--disable-pip-version-check", "install", "--quiet", wheel, folder=folder)
    return programs


@pytest.fixture(scope="module")
def bare(installed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of an environment that holds what the project needs and not the project."""
    folder = tmp_path_factory.mktemp("bare") / "venv"
    shutil.copytree(installed.parent, folder, symlinks=True, ignore=shutil.ignore_patterns("qemunet*"))
    return folder / "bin"


def test_every_folder_with_modules_is_declared(project: dict[str, Any]) -> None:
    modules = [Path(name).parent for name in shipped() if name.endswith(".py")]
    assert {".".join(folder.parts) for folder in modules} == set(project["tool"]["setuptools"]["packages"])


def test_every_data_file_is_declared(project: dict[str, Any]) -> None:
    declared: set[str] = set()
    places = {place: shelf for shelf, place in SHELVES.items()}
    for package, patterns in project["tool"]["setuptools"]["package-data"].items():
        place = package.replace(".", "/")
        folder = CHECKOUT / places.get(place, place)
        declared |= {f"{place}/{path.relative_to(folder)}" for each in patterns for path in folder.glob(each)}
    assert {name for name in shipped() if not name.endswith(".py")} <= declared


def test_the_entry_point_bears_its_modules_name(project: dict[str, Any]) -> None:
    for name, module in project["project"]["entry-points"]["pytest11"].items():
        assert name == module


def test_every_library_imported_is_declared(project: dict[str, Any]) -> None:
    declared = {needed.partition(">=")[0] for needed in project["project"]["dependencies"]}
    distributions = packages_distributions()
    for module in imported_modules() - sys.stdlib_module_names - {"qemunet_tests"}:
        # Their case is as their makers like it.
        named = {name.lower() for name in distributions.get(module, [])}
        assert declared & named, f"{module} is of no declared library"


def test_every_library_is_explained_and_has_a_range(project: dict[str, Any]) -> None:
    explained = (CHECKOUT / "docs" / "libraries.md").read_text()
    extras = project["project"]["optional-dependencies"].values()
    for needed in [*project["project"]["dependencies"], *itertools.chain(*extras)]:
        name, range_, below = needed.partition(">=")
        assert f"| {name} | `{range_}{below}` |" in explained


@pytest.mark.slow
def test_the_wheel_carries_every_file_and_no_other(wheel: Path) -> None:
    inside = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    manual = {name for name in inside if name.endswith(".data/data/share/man/man1/qemunet.1")}
    assert len(manual) == 1
    assert inside - manual == shipped()


def test_the_page_of_the_package_has_no_link_into_a_checkout(project: dict[str, Any]) -> None:
    """An index shows it alone, without the files beside it."""
    page = (CHECKOUT / project["project"]["readme"]).read_text()
    assert [place for place in re.findall(r"\]\(([^)]+)\)", page) if "://" not in place] == []


@pytest.mark.slow
def test_the_sdist_keeps_the_shelves(dist: Path) -> None:
    with tarfile.open(next(dist.glob("*.tar.gz"))) as archive:
        inside = {name.partition("/")[2] for name in archive.getnames()}
    shelves = {f"{shelf}/{file}" for shelf in SHELVES for file in files_of(CHECKOUT / shelf)}
    assert shelves | {"pyproject.toml", "README.md", "LICENSE"} <= inside


@pytest.mark.slow
def test_an_installed_wheel_collects_its_tests_anywhere(installed: Path, tmp_path: Path) -> None:
    shown = run(installed / "pytest", "--pyargs", "qemunet_tests.conformance", "--collect-only", "-q", folder=tmp_path)
    assert "test_user.py::" in shown


@pytest.mark.slow
def test_an_installed_wheel_knows_its_claims(installed: Path, tmp_path: Path) -> None:
    assert "user/address" in run(installed / "qemunet", "claims", folder=tmp_path)


@pytest.mark.slow
def test_the_fixtures_are_there_for_a_users_test(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "test_mine.py").write_text(A_USERS_TEST)
    shown = run(installed / "pytest", "--qemunet-target=lab", "--setup-plan", "test_mine.py", folder=tmp_path)
    assert "(fixtures used: " in shown
    for fixture in ("user_guest", "bridge_guest"):
        assert f"SETUP    F {fixture}" in shown


@pytest.mark.slow
@pytest.mark.parametrize("tests", ["qemunet_tests/conformance", "--pyargs qemunet_tests.conformance"])
def test_a_bare_checkout_collects(bare: Path, clean_checkout: Path, tests: str) -> None:
    command = ["-m", "pytest", *tests.split(), "--collect-only", "-q", "-p", "no:cacheprovider"]
    assert "test_user.py::" in run(bare / "python", *command, folder=clean_checkout)
