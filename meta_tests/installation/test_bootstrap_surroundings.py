"""What bootstrap takes from its caller's surroundings: nothing that others can have written, least of all as root."""

import os
import subprocess

import pytest

from meta_tests.patience import limit
from meta_tests.planted.granted import DEFAULT, grant
from meta_tests.samples.bootstrap_world import STRANGER, World

takes_root = pytest.mark.skipif(os.getuid() != 0, reason="becoming another user takes root")

#: What bootstrap starts before it executes the command.
STARTED = ("readlink", "cat", "cksum", "dpkg-query", "sort", "id", "ls", "stat", "env", "sh", "python3", "bindep")


@pytest.mark.parametrize(
    "careless",
    [
        ".:{path}", ":{path}", "{path}:", "bin:{path}", "{path}::",
        "{everybodys}:{path}", "{strangers}:{path}", "{strangers}/roots:{path}", "{strangers}/link:{path}",
        "{listed}:{path}", "{listed}/roots:{path}",
    ],
)  # fmt: skip
def test_nothing_of_the_callers_folder_is_executed_for_a_careless_path(ready: World, careless: str) -> None:
    """Other users put programs there; for root a folder is as bad that they may write to, own, or give its name to."""
    names = ("hostile", "everybodys", "strangers", "listed")
    hostile, everybodys, strangers, listed = (ready.folder / name for name in names)
    for folder in (hostile, hostile / "bin", everybodys, strangers, strangers / "roots", listed, listed / "roots"):
        folder.mkdir()
        for name in STARTED:
            (folder / name).write_text(f"#!/bin/sh\necho {name} >>{ready.folder}/executed\n")
            (folder / name).chmod(0o755)
    everybodys.chmod(0o1777)
    (strangers / "link").symlink_to(hostile)
    if os.geteuid() == 0:
        os.chown(strangers, STRANGER, STRANGER)
        grant(listed, STRANGER)
    elif "s}" in careless or "listed" in careless:
        pytest.skip("the folders on an ordinary user's PATH are his own affair")
    places = {"everybodys": everybodys, "strangers": strangers, "listed": listed}
    path = careless.format(path=ready.environment()["PATH"], **places)
    ran = subprocess.run(
        [ready.bootstrap, "sh", "-c", "id -u"], cwd=hostile, env=ready.environment({"PATH": path}),
        capture_output=True, text=True, timeout=limit(60), check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert not (ready.folder / "executed").exists()


def seen_by(world: World, program: str, names: str) -> None:
    """Have a stand-in write down these variables as it finds them."""
    stand_in = world.programs / program
    told = "".join(f' "{name}=${{{name}-unset}}"' for name in names.split())
    stand_in.write_text(stand_in.read_text().replace("#!/bin/sh\n", f"#!/bin/sh\nprintf '%s\\n'{told} >$WORLD/seen\n"))


def test_pip_hears_where_packages_come_from_and_not_where_else_to_put_them(fresh: World) -> None:
    elsewhere = ("TARGET", "PREFIX", "ROOT", "USER", "PYTHON", "DRY_RUN", "NO_DEPS", "REQUIRE_HASHES", "LOG")
    sources = ("INDEX_URL", "EXTRA_INDEX_URL", "NO_INDEX", "FIND_LINKS", "CERT", "PROXY", "CONSTRAINT", "NO_CACHE_DIR")
    names = [f"PIP_{name}" for name in (*elsewhere, *sources)]
    seen_by(fresh, "pip", " ".join(names))
    assert fresh.run("true", more=dict.fromkeys(names, "as told")).returncode == 0
    seen = (fresh.folder / "seen").read_text().splitlines()
    assert seen == [*(f"PIP_{name}=unset" for name in elsewhere), *(f"PIP_{name}=as told" for name in sources)]


#: Each leads pip or apt-get to a folder or a file.
LEADING = "HOME TMPDIR XDG_CONFIG_HOME XDG_CACHE_HOME PIP_CONFIG_FILE APT_CONFIG"


@takes_root
@pytest.mark.parametrize("program", ["pip", "apt-get"])
@pytest.mark.parametrize("place", ["strangers", "strangers/roots", "everybodys", "listed", "link"])
def test_root_is_led_to_no_settings_and_no_room_of_somebody_elses(fresh: World, place: str, program: str) -> None:
    """sudo -E and su keep a user's HOME, where pip.conf says what root installs."""
    strangers, everybodys, listed = (fresh.folder / name for name in ("strangers", "everybodys", "listed"))
    for folder in (strangers, strangers / "roots", everybodys, listed):
        folder.mkdir()
        (folder / "settings").write_text("")
    os.chown(strangers, STRANGER, STRANGER)
    everybodys.chmod(0o777)
    grant(listed, STRANGER)
    (fresh.folder / "link").symlink_to(strangers)
    seen_by(fresh, program, LEADING)
    led = {name: str(fresh.folder / place) for name in LEADING.split()}
    led |= {name: f"{led[name]}/settings" for name in ("PIP_CONFIG_FILE", "APT_CONFIG")}
    assert fresh.run("true", more=led).returncode == 0
    seen = (fresh.folder / "seen").read_text().splitlines()
    assert seen == ["HOME=/root", *(f"{name}=unset" for name in LEADING.split()[1:])]


@takes_root
def test_what_is_roots_is_heard(fresh: World) -> None:
    (fresh.folder / "sticky").mkdir()
    grant(fresh.folder / "sticky", STRANGER)
    (fresh.folder / "sticky").chmod(0o1777)
    grant(fresh.folder, STRANGER, mask=0o5)
    fresh.write("settings")
    led = dict.fromkeys(LEADING.split(), str(fresh.folder))
    led |= dict.fromkeys(("PIP_CONFIG_FILE", "APT_CONFIG"), f"{fresh.folder}/settings")
    led["TMPDIR"] = f"{fresh.folder}/sticky"
    seen_by(fresh, "pip", LEADING)
    assert fresh.run("true", more=led).returncode == 0
    assert (fresh.folder / "seen").read_text().splitlines() == [f"{name}={led[name]}" for name in LEADING.split()]


@takes_root
@pytest.mark.parametrize("file", ["PIP_CONFIG_FILE", "APT_CONFIG"])
@pytest.mark.parametrize("how", ["owned", "open", "listed"])
def test_a_file_of_somebodys_in_a_folder_of_roots_is_no_setting(fresh: World, file: str, how: str) -> None:
    settings = fresh.folder / "settings"
    settings.write_text("")
    settings.chmod(0o666 if how == "open" else 0o644)
    if how == "owned":
        os.chown(settings, STRANGER, STRANGER)
    elif how == "listed":
        grant(settings, STRANGER)
    seen_by(fresh, "pip", file)
    assert fresh.run("true", more={file: str(settings)}).returncode == 0
    assert (fresh.folder / "seen").read_text() == f"{file}=unset\n"


@takes_root
@pytest.mark.parametrize("part", [".venv", ".venv/bin", "qemunet_tests"])
@pytest.mark.parametrize("how", ["owned", "open", "listed", "link"])
def test_in_a_checkout_of_roots_root_executes_nothing_that_others_can_have_written(
    ready: World, part: str, how: str
) -> None:
    folder = ready.checkout / part
    folder.mkdir(exist_ok=True)
    if how == "owned":
        os.chown(folder, STRANGER, STRANGER)
    elif how == "open":
        folder.chmod(0o1777)
    elif how == "listed":
        grant(folder, STRANGER)
    else:
        (ready.folder / "strangers").mkdir()
        os.chown(ready.folder / "strangers", STRANGER, STRANGER)
        folder.rename(ready.folder / "strangers" / "it")
        folder.symlink_to(ready.folder / "strangers" / "it")
    ran = ready.run("true")
    assert (ran.returncode, ran.stderr) == (
        2, f"bootstrap: others than root can have written what is in {folder}; remove it, or make it root's alone\n"
    )  # fmt: skip
    assert ready.done() == []


@takes_root
def test_what_is_made_in_a_checkout_with_a_default_list_is_roots_alone(fresh: World) -> None:
    grant(fresh.checkout, STRANGER, name=DEFAULT)
    for _ in range(2):
        ran = fresh.run("true")
        assert ran.returncode == 0, ran.stderr


@takes_root
def test_in_a_checkout_of_somebodys_root_runs_what_is_there(ready: World) -> None:
    """A CI job's container has the checkout of a user outside."""
    for each in (ready.checkout, *ready.checkout.rglob("*")):
        os.chown(each, STRANGER, STRANGER)
    ran = ready.run("true")
    assert (ran.returncode, ran.stderr, ready.done()) == (0, "", [])
