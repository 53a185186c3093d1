"""bridge.conf: our reading of it against the real qemu-bridge-helper, file by file."""

import base64
import json
import subprocess
import sys
from pathlib import Path

import pytest

from meta_tests.patience import limit
from qemunet_tests.errors import Unavailable
from qemunet_tests.host import acl
from qemunet_tests.qemu import qemu_facts

CONF = "/etc/qemu/bridge.conf"
EXTRA = "/etc/qemu/more.conf"
LONG = "bridge-fifteen-"

#: Name, the files, the bridge asked for. A value of None is a folder.
CASES: list[tuple[str, dict[str, bytes | None], str]] = [
    ("nothing there", {}, "br0"),
    ("empty", {CONF: b""}, "br0"),
    ("folder", {CONF: None}, "br0"),
    ("allow", {CONF: b"allow br0\n"}, "br0"),
    ("other bridge", {CONF: b"allow br1\n"}, "br0"),
    ("no final newline", {CONF: b"allow br0"}, "br0"),
    ("carriage returns", {CONF: b"allow br0\r\n"}, "br0"),
    ("case matters", {CONF: b"allow BR0\n"}, "br0"),
    ("no patterns", {CONF: b"allow br*\n"}, "br0"),
    ("pattern taken literally", {CONF: b"allow br*\n"}, "br*"),
    ("allow all", {CONF: b"allow all\n"}, "br0"),
    ("deny all after allow", {CONF: b"allow br0\ndeny all\n"}, "br0"),
    ("deny all before allow", {CONF: b"deny all\nallow br0\n"}, "br0"),
    ("deny wins", {CONF: b"deny br0\nallow all\n"}, "br0"),
    ("deny of another", {CONF: b"deny br1\nallow all\n"}, "br0"),
    ("deny all with a comment is about a name", {CONF: b"deny all # for now\nallow br0\n"}, "br0"),
    ("comment line", {CONF: b"# allow br0\n\n   # more\nallow br0\n"}, "br0"),
    ("trailing comment", {CONF: b"allow br0 # the LAN\n"}, "br0"),
    ("trailing word", {CONF: b"allow br0 br1\n"}, "br0"),
    ("trailing blanks", {CONF: b"allow br0  \t \n"}, "br0"),
    ("leading blanks", {CONF: b" \t allow   br0\n"}, "br0"),
    ("tab between", {CONF: b"allow\tbr0\n"}, "br0"),
    ("tab between, blank at the end", {CONF: b"allow\tbr0 \n"}, "br0"),
    ("tab and blank between", {CONF: b"allow \tbr0\n"}, "br0"),
    ("tab, then a comment with blanks", {CONF: b"allow\tbr0 # x\n"}, "br0"),
    ("equals sign", {CONF: b"allow=br0\n"}, "br0"),
    ("unknown word", {CONF: b"allow br0\npermit br1\n"}, "br0"),
    ("one word", {CONF: b"allow br0\nallow\n"}, "br0"),
    ("word without a name", {CONF: b"allow \n"}, "br0"),
    ("capital word", {CONF: b"Allow br0\n"}, "br0"),
    ("comment sign inside", {CONF: b"allow #br0\n"}, "#br0"),
    ("vertical tab", {CONF: b"\vallow br0\v\n"}, "br0"),
    ("form feed line", {CONF: b"\f\nallow br0\n"}, "br0"),
    ("vertical tab between", {CONF: b"allow\vbr0\n"}, "br0"),
    ("byte order mark", {CONF: b"\xef\xbb\xbfallow br0\n"}, "br0"),
    ("nul after the name", {CONF: b"allow br0\0 junk\n"}, "br0"),
    ("nul first", {CONF: b"\0allow br0\nallow br1\n"}, "br0"),
    ("fifteen characters", {CONF: f"allow {LONG}\n".encode()}, LONG),
    ("rule longer than fifteen", {CONF: f"allow {LONG}x\n".encode()}, LONG),
    ("sixteen characters", {CONF: f"allow {LONG}x\n".encode()}, f"{LONG}x"),
    ("long comment is cut", {CONF: b"#" + b"x" * 4094 + b"allow br0\n"}, "br0"),
    ("long comment one shorter", {CONF: b"#" + b"x" * 4093 + b"allow br0\n"}, "br0"),
    ("name beyond the cut", {CONF: b"allow " + b" " * 4089 + b"br0\n"}, "br0"),
    ("include", {CONF: f"include {EXTRA}\n".encode(), EXTRA: b"allow br0\n"}, "br0"),
    ("include denies", {CONF: f"allow br0\ninclude {EXTRA}\n".encode(), EXTRA: b"deny br0\n"}, "br0"),
    ("include missing", {CONF: f"include {EXTRA}\nallow br0\n".encode()}, "br0"),
    ("only a missing include", {CONF: f"include {EXTRA}\n".encode()}, "br0"),
    (
        "bad line in include",
        {CONF: f"include {EXTRA}\n".encode(), EXTRA: b"allow br0\nbad\nallow br1\n"},
        "br0",
    ),
    (
        "after the bad line",
        {CONF: f"include {EXTRA}\n".encode(), EXTRA: b"allow br0\nbad\nallow br1\n"},
        "br1",
    ),
    ("include a folder", {CONF: f"allow br0\ninclude {EXTRA}\n".encode(), EXTRA: None}, "br0"),
    ("long comment behind the name", {CONF: b"allow br0 # the bridge to the LAN\n"}, "br0"),
    ("long comment behind another name", {CONF: b"allow br0\ndeny br9 # not the one\n"}, "br0"),
    ("unknown word with a long name", {CONF: b"foo bridge-sixteen--\nallow br0\n"}, "br0"),
    (
        "long name in include",
        {CONF: f"allow br0\ninclude {EXTRA}\n".encode(), EXTRA: b"deny br0-with-a-long-name\n"},
        "br0",
    ),
    ("include with a comment", {CONF: f"include {EXTRA} # x\n".encode(), EXTRA: b"allow br0\n"}, "br0"),
    ("relative include", {CONF: b"include etc/qemu/more.conf\n", EXTRA: b"allow br0\n"}, "br0"),
    ("quoted include", {CONF: f'include "{EXTRA}"\n'.encode(), EXTRA: b"allow br0\n"}, "br0"),
]

#: Runs in namespaces of its own, with an /etc of its own: asks the real helper about every case.
ASK = """
import base64, json, os, pathlib, shutil, subprocess, sys
from qemunet_tests.isolation.syscalls import CLONE_NEWNET, CLONE_NEWNS, CLONE_NEWUSER, MS_PRIVATE, MS_REC
from qemunet_tests.isolation.syscalls import mount, unshare
uid, gid = os.getuid(), os.getgid()
try:
    unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET)
except OSError as refused:
    print(json.dumps(str(refused)))
    sys.exit()
for name, text in (("setgroups", "deny"), ("uid_map", f"0 {uid} 1"), ("gid_map", f"0 {gid} 1")):
    pathlib.Path("/proc/self", name).write_text(text)
libraries = pathlib.Path("/etc/ld.so.cache").read_bytes()
mount("none", "/", None, MS_REC | MS_PRIVATE)
mount("none", "/etc", "tmpfs")
pathlib.Path("/etc/ld.so.cache").write_bytes(libraries)
answers = []
for files, bridge in json.load(sys.stdin):
    shutil.rmtree("/etc/qemu", ignore_errors=True)
    os.mkdir("/etc/qemu")
    for path, content in files.items():
        if content is None:
            os.mkdir(path)
        else:
            pathlib.Path(path).write_bytes(base64.b64decode(content))
    said = subprocess.run([sys.argv[1], f"--br={bridge}", "--fd=9"], capture_output=True, cwd="/", timeout=100)
    answers.append(said.stderr.decode(errors="replace"))
print(json.dumps(answers))
"""


def encoded(content: bytes | None) -> str | None:
    return None if content is None else base64.b64encode(content).decode()


@pytest.fixture(scope="module")
def spoken_by_helper() -> dict[str, str]:
    """What the real helper says, by the name of the case."""
    try:
        helper = qemu_facts.find().helper_path
    except Unavailable as lacking:
        pytest.skip(lacking.reason)
    if helper is None or not Path(helper).exists():
        pytest.skip("qemu-bridge-helper is not installed")
    if acl.path_read_by(helper) != CONF:
        pytest.skip(f"this helper reads {acl.path_read_by(helper)}")
    questions = [({path: encoded(content) for path, content in files.items()}, to) for _, files, to in CASES]
    asked = subprocess.run(
        [sys.executable, "-c", ASK, helper], input=json.dumps(questions), capture_output=True, text=True,
        check=True, timeout=limit(60),
    )  # fmt: skip
    answers = json.loads(asked.stdout)
    if isinstance(answers, str):
        pytest.skip(f"namespaces cannot be made here: {answers}")
    return {name: said for (name, _, _), said in zip(CASES, answers, strict=True)}


def laid_out(root: Path, files: dict[str, bytes | None]) -> Path:
    for path, content in files.items():
        place = root / path.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        if content is None:
            place.mkdir()
        else:
            place.write_bytes(content)
    return root


@pytest.mark.parametrize(("name", "files", "bridge"), CASES, ids=[name for name, _, _ in CASES])
def test_we_decide_as_the_helper_does(
    name: str, files: dict[str, bytes | None], bridge: str, spoken_by_helper: dict[str, str], tmp_path: Path
) -> None:
    said = spoken_by_helper[name]
    read = acl.read(CONF, laid_out(tmp_path, files))

    gave_up_on_file = "failed to parse default acl file" in said
    refused = gave_up_on_file or "access denied by acl file" in said or said.startswith(f"name `{bridge}' too")
    assert refused or "bridge" in said or "tun" in said, f"an answer we do not know: {said!r}"
    if len(bridge) < 16:
        assert (read.problem is not None) == gave_up_on_file, (read, said)
    assert acl.decide(read, bridge).allowed == (not refused), (read, said)


def test_the_table_holds_both_answers(spoken_by_helper: dict[str, str]) -> None:
    """A comparison in which the helper always said the same would prove nothing."""
    denied = sum("access denied" in said for said in spoken_by_helper.values())
    unparsed = sum("failed to parse" in said for said in spoken_by_helper.values())
    assert denied > 10
    assert unparsed > 3
    assert len(spoken_by_helper) - denied - unparsed > 10


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"allow br1\n", "/etc/qemu/bridge.conf allows no bridge called br0"),
        (b"allow all\n\ndeny br0\n", "line 3 of /etc/qemu/bridge.conf denies br0"),
        (b"deny all\nallow br0\n", "line 1 of /etc/qemu/bridge.conf denies every bridge"),
        (b"# LAN\nallow br0 # it\n", "line 2 of /etc/qemu/bridge.conf is about a bridge called 'br0 # it'"),
        (b"allow=br0\n", "line 1 of /etc/qemu/bridge.conf has one word only: 'allow=br0'"),
        (b"allow br0\npermit br1\n", "line 2 of /etc/qemu/bridge.conf begins with 'permit'"),
        (b"include /etc/qemu/more.conf\n", "the included /etc/qemu/more.conf cannot be read"),
    ],
)
def test_the_reason_names_the_line(content: bytes, reason: str, tmp_path: Path) -> None:
    read = acl.read(CONF, laid_out(tmp_path, {CONF: content}))
    decision = acl.decide(read, "br0")
    assert not decision.allowed
    assert reason in decision.reason


@pytest.mark.parametrize(
    "more",
    [
        {CONF: b"include /etc/qemu/bridge.conf\n"},
        {CONF: b"include /etc/qemu/more.conf\n", EXTRA: b"include /etc/qemu/bridge.conf\n"},
    ],
)
def test_a_file_that_includes_itself_is_named(more: dict[str, bytes | None], tmp_path: Path) -> None:
    """The helper's stack overflows, unless the limit on open files comes first."""
    read = acl.read(CONF, laid_out(tmp_path, more))
    assert read.problem is not None
    assert "includes itself" in read.problem


def test_the_path_is_the_one_compiled_in(tmp_path: Path) -> None:
    (tmp_path / "helper").write_bytes(b"\x7fELF\0deny\0/etc/qemu-kvm/bridge.conf\0include\0")
    assert acl.path_read_by("/helper", tmp_path) == "/etc/qemu-kvm/bridge.conf"
    assert acl.path_read_by("/missing", tmp_path) == acl.DEFAULT_PATH


@pytest.mark.parametrize(
    ("words", "place"),
    [
        (b"/usr/bin\0/qemu-bundle\0/..\0", "{}/etc/bridge.conf"),
        # Of 11.1 with --disable-relocatable.
        (b"/usr/bin\0/qemu-bundle\0", "/usr/etc/bridge.conf"),
        # Of before 5.2.
        (b"", "/usr/etc/bridge.conf"),
    ],
    ids=["moves", "stays", "knows no prefix"],
)
def test_what_was_configured_below_the_prefix_moves_with_a_helper_that_can_be_moved(
    words: bytes, place: str, tmp_path: Path
) -> None:
    helper = tmp_path / "libexec/helper"
    helper.parent.mkdir()
    helper.write_bytes(b"\x7fELF\0deny\0/usr/etc/bridge.conf\0/proc/self/exe\0" + words)
    assert acl.path_read_by(str(helper)) == place.format(tmp_path.resolve())
