"""Ways to get it beside a clone: a Debian package and an OCI image ask for what bindep.txt and pyproject.toml say."""

import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

from meta_tests.patience import limit

CHECKOUT = Path(__file__).parents[2]
#: What every Debian system has, or what comes as a dependency under a name of its own.
_OF_OTHERS = {"python3-venv"}


def debian_packages() -> set[str]:
    """Those of bindep.txt that a run asks for on Debian."""
    found = set()
    for line in (CHECKOUT / "bindep.txt").read_text().splitlines():
        name, _, profile = line.partition(" ")
        if name and not name.startswith("#") and "platform:rpm" not in profile and not profile.startswith("[test"):
            found |= {name} if "fedora" not in profile else set()
    return found


def control() -> dict[str, str]:
    """The fields of both paragraphs of debian/control."""
    unfolded = re.sub(r"\n[ \t]+", " ", (CHECKOUT / "debian" / "control").read_text())
    return dict(line.split(": ", 1) for line in unfolded.splitlines() if ": " in line)


def test_the_debian_package_depends_on_what_bindep_names() -> None:
    depends = {name.strip().partition(" ")[0] for name in re.split(r"[,|]", control()["Depends"])}
    assert debian_packages() - _OF_OTHERS <= depends


def test_the_debian_package_has_the_version_and_the_python_of_the_project() -> None:
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]
    assert (CHECKOUT / "debian" / "changelog").read_text().startswith(f"qemunet ({project['version']}) ")
    assert f"python3 ({project['requires-python'].replace('>=', '>= ')})" in control()["Build-Depends"]


@pytest.mark.parametrize("script", ["oci/build-image", "debian/tests/user-mode", "debian/prerm"])
def test_scripts_are_shell(script: str) -> None:
    assert (CHECKOUT / script).stat().st_mode & 0o111
    subprocess.run(["sh", "-n", str(CHECKOUT / script)], check=True)


#: A qemunet whose first run cannot tell one of three claims, and whose second ends as it is told to.
RUN_THAT_CANNOT_TELL = """#!/bin/sh
echo "$@" >>"$ASKED"
while [ "$1" != --report ]; do shift; done
mkdir -p "$2"
echo '{"verdicts": [{"claim": "user/a", "verdict": "holds"}, {"claim": "user/b", "verdict": "inconclusive"},
 {"claim": "user/c", "verdict": "unavailable"}]}' >"$2/results.json"
case $2 in */report) exit "$FIRST" ;; esac
exit "$SECOND"
"""


@pytest.mark.parametrize(
    ("first", "second", "ended", "runs"),
    [(0, 9, 0, 1), (1, 9, 1, 1), (2, 9, 2, 1), (3, 0, 0, 2), (3, 1, 1, 2), (3, 3, 3, 2)],
)
def test_autopkgtest_tries_once_more_what_a_busy_machine_kept_from_being_told(
    first: int, second: int, ended: int, runs: int, tmp_path: Path
) -> None:
    (tmp_path / "qemunet").write_text(RUN_THAT_CANNOT_TELL)
    (tmp_path / "qemunet").chmod(0o755)
    told = {"ASKED": f"{tmp_path}/asked", "FIRST": str(first), "SECOND": str(second)}
    environment = {
        **os.environ,
        **told,
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "AUTOPKGTEST_ARTIFACTS": str(tmp_path),
    }
    script = str(CHECKOUT / "debian/tests/user-mode")
    assert subprocess.run([script], env=environment, check=False).returncode == ended
    asked = [f"run user/* --report {tmp_path}/report", f"run user/b --report {tmp_path}/again"]
    assert (tmp_path / "asked").read_text().splitlines() == asked[:runs]


def test_the_image_is_built_of_what_the_script_lays_out() -> None:
    built = (CHECKOUT / "oci" / "Containerfile").read_text()
    laid_out = (CHECKOUT / "oci" / "build-image").read_text()
    for name in re.findall(r"^COPY (\S+)", built, re.MULTILINE):
        assert f'"$room/{name}"' in laid_out, name


def test_the_debian_package_is_for_the_python_that_its_libraries_are_compiled_for() -> None:
    rules = (CHECKOUT / "debian" / "rules").read_text()
    assert "${qemunet:Python}" in control()["Depends"]
    assert "-Vqemunet:Python=" in rules
    # What nobody sets would be left empty, with a warning.
    assert set(re.findall(r"\$\{(\w+:\w+)\}", control()["Depends"])) <= {"misc:Depends", "qemunet:Python"}


def test_what_runs_of_root_left_in_the_debian_package_goes_with_it(tmp_path: Path) -> None:
    cached = tmp_path / "lib/python3.11/site-packages/qemunet_tests/conformance/__pycache__"
    cached.mkdir(parents=True)
    for name in ("test_user.cpython-311.pyc", "test_user.cpython-311-pytest-9.2.0.pyc"):
        (cached / name).touch()
    prerm = (CHECKOUT / "debian" / "prerm").read_text().replace("/usr/lib/qemunet", str(tmp_path))
    subprocess.run(["sh", "-c", prerm, "prerm", "remove"], check=True)
    assert [file.name for file in cached.iterdir()] == ["test_user.cpython-311.pyc"]


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("dh"), reason="debhelper is not installed")
def test_the_debian_package_is_built_and_works(tmp_path: Path) -> None:
    """Minutes: its libraries come by pip. Unpacked beside the system it tells its version and its claims."""
    source = tmp_path / "qemunet"
    made_here = shutil.ignore_patterns(".*", "__pycache__", "*.egg-info", "build", "dist", "qemunet-report")
    shutil.copytree(CHECKOUT, source, ignore=made_here)
    words = ["dpkg-buildpackage", "-us", "-uc"]
    subprocess.run(words, cwd=source, check=True, capture_output=True, timeout=limit(600))
    (package,) = tmp_path.glob("*.deb")
    subprocess.run(["dpkg-deb", "--extract", str(package), str(tmp_path / "there")], check=True)
    place = tmp_path / "there" / "usr/lib/qemunet"
    assert (place / "bin/qemunet").read_text().startswith("#!/usr/lib/qemunet/bin/python3 -I\n")
    claims = [str(place / "bin/python3"), "-I", str(place / "bin/qemunet"), "claims", "user/address"]
    assert "10.0.2.15" in subprocess.run(claims, check=True, capture_output=True, text=True).stdout
    assert (tmp_path / "there/usr/share/man/man1/qemunet.1.gz").is_file()
    modules = next(place.glob("lib/python3*/site-packages/qemunet_tests"))
    assert [*modules.glob("__pycache__/settings.*.pyc")], "nobody may write what was compiled where it is installed"
    # Compiled libraries are for one Python alone.
    depends = subprocess.run(["dpkg-deb", "--field", package, "Depends"], check=True, capture_output=True, text=True)
    _, number = modules.parent.parent.name.split("python3.")
    assert f"python3 (>= 3.{number}), python3 (<< 3.{int(number) + 1}~)" in depends.stdout
