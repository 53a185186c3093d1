"""The doctor's judgement of a host made of namespaces, while an administrator puts it in order."""

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from qemunet_tests.errors import Unavailable
from qemunet_tests.qemu import qemu_facts

DOCTOR = [sys.executable, "-m", "qemunet_tests", "doctor"]

#: A host made of namespaces: an /etc with a folder qemu of its own, its own /sys, and what an administrator
#: would type. Reads commands from standard input, and answers each with the doctor's words.
HOST = """
import json, os, pathlib, subprocess, sys
from qemunet_tests.isolation.syscalls import CLONE_NEWNET, CLONE_NEWNS, CLONE_NEWUSER, mount, unshare
from qemunet_tests.isolation.syscalls import MS_BIND, MS_PRIVATE, MS_RDONLY, MS_REC
uid, gid = os.getuid(), os.getgid()
try:
    unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET)
except OSError as refused:
    print(json.dumps(str(refused)), flush=True)
    sys.exit()
for name, text in (("setgroups", "deny"), ("uid_map", f"0 {uid} 1"), ("gid_map", f"0 {gid} 1")):
    pathlib.Path("/proc/self", name).write_text(text)
mount("none", "/", None, MS_REC | MS_PRIVATE)
mount("none", "/sys", "sysfs", MS_RDONLY)
mount("none", "/mnt", "tmpfs")
os.mkdir("/mnt/etc")
mount("/etc", "/mnt/etc", None, MS_BIND | MS_REC)
mount("none", "/etc", "tmpfs")
for entry in os.listdir("/mnt/etc"):
    if entry != "qemu":
        os.symlink(f"/mnt/etc/{entry}", f"/etc/{entry}")
os.mkdir("/etc/qemu")
print(json.dumps("ready"), flush=True)
for line in sys.stdin:
    typed = subprocess.run(["sh", "-ec", json.loads(line)], capture_output=True, text=True)
    done = subprocess.run(sys.argv[1:], capture_output=True, text=True)
    print(json.dumps([typed.returncode, typed.stderr, done.returncode, done.stdout]), flush=True)
"""


class NamespaceHost:
    """A host to type commands at, which the doctor examines after each."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", HOST, *DOCTOR, "--json", "--mode", "bridge"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.greeting = self._answer()

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        return json.loads(self._process.stdout.readline())

    def type(self, commands: str) -> tuple[int, dict[str, Any]]:
        """The doctor's exit status and document after `commands`."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(commands) + "\n")
        self._process.stdin.flush()
        typed, complaint, status, said = self._answer()
        assert typed == 0, complaint
        return status, json.loads(said)

    def close(self) -> None:
        self._process.communicate()


@pytest.fixture
def namespace_host() -> Iterator[NamespaceHost]:
    try:
        qemu_facts.find()
    except Unavailable as lacking:
        pytest.skip(lacking.reason)
    made = NamespaceHost()
    try:
        if made.greeting != "ready":
            pytest.skip(f"namespaces cannot be made here: {made.greeting}")
        yield made
    finally:
        made.close()


def test_a_host_of_namespaces_from_bare_to_bridged_and_back(namespace_host: NamespaceHost) -> None:
    """Each remedy, typed as the doctor words it or as an administrator would, clears what it was for."""

    def states(commands: str) -> dict[str, str]:
        status, document = namespace_host.type(commands)
        found = {one["id"]: one["state"] for one in document["capabilities"]}
        assert (status == 0) == document["modes"]["bridge"]["possible"]
        found["possible"] = str(document["modes"]["bridge"]["possible"])
        found["acl remedy"] = next(one["remedy"] for one in document["capabilities"] if one["id"] == "acl")
        return found

    bare = states("true")
    assert (bare["acl"], bare["bridge"], bare["helper-privilege"], bare["possible"]) == (
        "not",
        "not",
        "ok",
        "False",
    )
    listed = states(bare["acl remedy"])
    assert (listed["acl"], listed["bridge"], listed["possible"]) == ("ok", "not", "False")
    made = states("ip link add br0 type bridge stp_state 0")
    assert (made["bridge"], made["bridge-up"], made["possible"]) == ("ok", "not", "False")
    up = states("ip link set br0 up")
    assert (up["bridge-up"], up["bridge-uplink"], up["possible"]) == ("ok", "caution", "True")
    wired = states(
        "ip link add up0 type veth peer name lan0; ip link set lan0 up; ip link set up0 master br0 up;"
        "ip addr add 192.168.1.2/24 dev br0"
    )
    bridge_states = {name: state for name, state in wired.items() if name.startswith("bridge")}
    assert bridge_states.pop("bridge-firewall", "ok") in ("ok", "caution")
    assert set(bridge_states.values()) == {"ok"}
    slow = states("ip link set br0 type bridge stp_state 1")
    assert (slow["bridge-stp"], slow["possible"]) == ("caution", "True")
    narrow = states("ip link set br0 type bridge stp_state 0; ip link set br0 mtu 1400")
    assert (narrow["bridge-stp"], narrow["bridge-mtu"]) == ("ok", "caution")
    doubled = states("ip link set br0 mtu 1500; ip addr add 192.168.7.2/24 dev up0")
    assert doubled["bridge-address"] == "caution"
    denied = states("ip addr del 192.168.7.2/24 dev up0; echo 'deny all' >>/etc/qemu/bridge.conf")
    assert (denied["acl"], denied["possible"]) == ("not", "False")


@pytest.mark.parametrize(
    ("limit", "powers"),
    [("max_net_namespaces", []), ("max_user_namespaces", ["setpriv", "--bounding-set=-all", "--"])],
)
def test_a_limit_on_namespaces_is_named_with_the_command_that_lifts_it(limit: str, powers: list[str]) -> None:
    """In a user namespace of its own, whose limits are nobody else's."""
    script = f'echo 0 > /proc/sys/user/{limit} && exec "$@"'
    own = ["unshare", "--user", "--map-root-user", "--net", "--mount", "sh", "-ec", script, "sh"]
    if subprocess.run([*own, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("user namespaces cannot be made here")
    done = subprocess.run(
        [*own, *powers, *DOCTOR, "--json", "--mode", "lab,user"], capture_output=True, text=True, check=False
    )
    document = json.loads(done.stdout)
    found = {one["id"]: one for one in document["capabilities"]}
    assert found["namespaces"]["state"] == "not"
    assert found["namespaces"]["reason"].startswith(f"user.{limit}=0 allows no such namespace")
    assert f"sysctl -w user.{limit}=10000" in found["namespaces"]["remedy"]
    assert not document["modes"]["lab"]["possible"]
    assert done.returncode != 0
    if powers and "there is no passt" not in found["passt"]["reason"]:
        assert "none can be made" in found["passt"]["reason"]
