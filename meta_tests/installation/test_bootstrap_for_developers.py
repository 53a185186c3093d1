"""`./bootstrap` for developers: packages and libraries that only the project's own tests and its developers need."""

import shutil

import pytest

from meta_tests.samples.bootstrap_world import OF_TESTS, PACKAGES, World


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(("tox",), id="tox"),
        pytest.param(("pytest", "meta_tests/test_x.py"), id="pytest"),
        pytest.param(("python", "-m", "meta_tests.userland", "sid"), id="module"),
        pytest.param(("--test", "true"), id="asked-for"),
    ],
)
def test_the_projects_own_tests_get_what_only_they_need(ready: World, words: tuple[str, ...]) -> None:
    for name in ("tox", "pytest", "python"):
        ready.program(name, "")
    ran = ready.run(*words)
    assert (ran.returncode, ready.done()) == (0, ["updated lists", f"installed {OF_TESTS}"])
    assert (ready.run(*words).stderr, ready.run("true").stderr, ready.done()) == ("", "", [])


def test_a_fresh_machine_gets_it_for_tox_and_a_users_command_does_not(fresh: World) -> None:
    fresh.program("tox", "")
    fresh.run("true")
    assert f"installed {OF_TESTS}" not in fresh.done()
    shutil.rmtree(fresh.folder)
    again = World(fresh.folder)
    again.program("tox", "")
    assert again.run("tox").returncode == 0
    assert again.done()[-1] == f"installed {OF_TESTS}"


def test_who_only_runs_it_does_not_wait_for_what_developers_have(fresh: World) -> None:
    installs = fresh.folder / "pip-installs"
    fresh.run("qemunet", "run")
    assert installs.read_text() == f"{fresh.checkout}[bootstrap]\n"
    fresh.done()
    fresh.run("qemunet", "run")
    assert fresh.done() == []
    fresh.run("true")
    assert (installs.read_text(), fresh.done()) == (f"{fresh.checkout}[bootstrap, dev]\n", ["ran pip"])
    fresh.run("qemunet", "run")
    assert fresh.done() == []
    # What a developer has is kept where it is made anew, whoever asks for that.
    fresh.write("checkout/pyproject.toml", "[project]\n# changed\n")
    fresh.run("qemunet", "run")
    assert (installs.read_text(), fresh.done()) == (f"{fresh.checkout}[bootstrap, dev]\n", ["ran pip"])


def test_an_ordinary_user_learns_in_one_line_what_tests_need_as_well(fresh: World) -> None:
    fresh.write("checkout/bindep.txt", f"{PACKAGES[0]} [platform:dpkg]\n{OF_TESTS} [test platform:dpkg]\n")
    fresh.write("user-id", "1000\n")
    assert fresh.run("tox").stderr.endswith(f"sudo apt-get install {PACKAGES[0]} {OF_TESTS}\n")
    assert fresh.run("true").stderr.endswith(f"sudo apt-get install {PACKAGES[0]}\n")
