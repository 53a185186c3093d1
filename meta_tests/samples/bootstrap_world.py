"""A machine as bootstrap sees it, made of stand-ins: no package is installed and no registry asked."""

import subprocess
from collections.abc import Mapping
from pathlib import Path

from meta_tests.patience import limit

CHECKOUT = Path(__file__).parents[2]
#: A user whom nobody knows.
STRANGER = 4711
PACKAGES = ("python3-venv", "qemu-system-x86", "mtools")
OF_TESTS = "mmdebstrap"

# What each stand-in does is what the real one would do to the files in $WORLD.
STAND_INS = {
    "python3": """
case "$*" in
    *-V) /usr/bin/python3 "$@" >/dev/null && cat $WORLD/python-version ;;
    *version_info*) grep -q "Python 3.9" $WORLD/python-version ;;
    *ensurepip*) [ -e $WORLD/installed/python3-venv ] ;;
    *"-m venv"*)
        ! env | grep "^PYTHON" || exit 1
        echo made venv >>$WORLD/log; mkdir -p $5/bin; cp $WORLD/bin/pip $WORLD/bin/bindep $5/bin/ ;;
esac""",
    "pip": """
echo ran pip >>$WORLD/log
for each; do echo "$each" >$WORLD/pip-installs; done
[ ! -e $WORLD/pip-is-slow ] || sleep 0.5
[ ! -e $WORLD/pip-breaks ] || { echo pip says why >&2; exit 1; }
! env | grep "^PYTHON" || exit 1
cp $WORLD/program ${0%/*}/qemunet 2>/dev/null || true""",
    "bindep": """
case "$*" in *" test") of_tests=$WORLD/packages-of-tests ;; *) of_tests= ;; esac
case "$*" in
    *--list_all*) cat $WORLD/packages $of_tests ;;
    *--brief*)
        [ ! -e $WORLD/bindep-breaks ] || { echo Traceback >&2; exit 1; }
        missing=
        for name in $(cat $WORLD/packages $of_tests); do
            [ -e $WORLD/installed/$name ] || { missing=1; echo $name; }
        done
        [ -z "$missing" ] ;;
esac""",
    "dpkg-query": """
case "$*" in
    -L*)
        case " $* " in *" samba "*) echo /usr/sbin/smbd /lib/systemd/system/smbd.service /etc/init.d/smbd ;; esac |
            tr " " "\\n"
        case " $* " in *" systemd "*) echo /lib/systemd/system/getty.target ;; esac
        exit ;;
esac
named=$(echo "$3" | grep Package)
shift 3
for name; do
    if [ -e $WORLD/installed/$name ]; then echo installed ${named:+$name}; else bad=1; fi
done
[ -z "$bad" ]""",
    "dpkg": "",
    "apt-get": """
[ ! -e $WORLD/apt-breaks ] || { echo apt says why >&2; exit 100; }
case "$*" in
    *update*) echo updated lists >>$WORLD/log; exit ;;
esac
for name; do
    case $name in
        -* | install | [A-Z]*) continue ;;
        samba) names="samba samba-libs" ;;
        *) names=$name ;;
    esac
    case "$*" in *" -s "*) printf 'Inst %s (1.0 [amd64])\\n' $names; continue ;; esac
    echo installed $name >>$WORLD/log
    [ ! -e $WORLD/apt-is-slow ] || { touch $WORLD/apt-waits; sleep 1; }
    for each in $names; do touch $WORLD/installed/$each; done
    [ $name != samba ] || maintainer-script
done""",
    # As deb-systemd-invoke(1p) does.
    "maintainer-script": """
policy=$WORLD/sbin/policy-rc.d
if [ -x $policy ]; then $policy smbd.service start; [ $? != 101 ] || exit 0; fi
systemctl start smbd.service""",
    # As systemctl does where $SYSTEMD_OFFLINE is set.
    "systemctl": """
[ "$1 $SYSTEMD_OFFLINE" = "start 1" ] || echo systemctl $* >>$WORLD/log""",
    "update-rc.d": "echo update-rc.d $* >>$WORLD/log",
    "id": "cat $WORLD/user-id",
    "sudo": '[ -e $WORLD/sudo-works ] || exit 1; shift; exec "$@"',
}


class World:
    """A machine as bootstrap sees it, kept in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.checkout = folder / "checkout"
        self.programs = folder / "bin"
        self.policy = folder / "sbin" / "policy-rc.d"
        for each in (self.checkout, self.programs, self.policy.parent, folder / "installed"):
            each.mkdir(parents=True)
        for name, does in STAND_INS.items():
            self.program(name, does)
        script = (CHECKOUT / "bootstrap").read_text()
        assert script.count("python=/usr/bin/python3\n") == 1
        self.bootstrap = self.checkout / "bootstrap"
        script = script.replace("/usr/bin/python3\n", f"{self.programs}/python3\n")
        assert script.count("/usr/sbin") == 1
        self.bootstrap.write_text(script.replace("/usr/sbin/policy-rc.d\n", f"{self.policy}\n"))
        self.bootstrap.chmod(0o755)
        self.write("checkout/pyproject.toml", "[project]\n")
        self.write("checkout/bindep.txt", "".join(f"{name} [platform:dpkg]\n" for name in PACKAGES))
        self.write("packages", "\n".join(PACKAGES) + "\n")
        self.write("packages-of-tests", f"{OF_TESTS}\n")
        self.write("python-version", "Python 3.11.2\n")
        self.write("user-id", "0\n")

    def program(self, name: str, does: str) -> None:
        path = self.programs / name
        path.write_text(f"#!/bin/sh\n{does}\n")
        path.chmod(0o755)

    def write(self, name: str, text: str = "") -> None:
        (self.folder / name).write_text(text)

    def remove(self, name: str) -> None:
        (self.folder / name).unlink()

    def environment(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        return {"PATH": f"{self.programs}:/usr/bin:/bin", "WORLD": str(self.folder), **(more or {})}

    def run(
        self, *words: str, script: Path | None = None, more: Mapping[str, str] | None = None
    ) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [script or self.bootstrap, *words],
            cwd=self.folder,
            env=self.environment(more),
            capture_output=True,
            text=True,
            timeout=limit(60),
            check=False,
        )

    def run_as_nobody(self, *words: str) -> "subprocess.CompletedProcess[str]":
        self.write("user-id", "65534\n")
        become = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
        return subprocess.run(
            [*become, self.bootstrap, *words],
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=limit(60),
            check=False,
        )

    def done(self) -> list[str]:
        """What was done since this was asked last."""
        log = self.folder / "log"
        lines = log.read_text().splitlines() if log.exists() else []
        log.unlink(missing_ok=True)
        return lines


def said_of_installing(world: World, count: int) -> str:
    return (
        f"bootstrap: installed {count} system packages and started no service of theirs; to remove what it installed: "
        f"apt-get purge $(cat {world.checkout}/.installed-packages)"
    )
