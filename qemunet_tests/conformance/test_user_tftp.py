"""What is promised of `tftp=DIR`: a TFTP server at the gateway that gives out the files of a folder, and no others."""

import os
import random

import pytest

from qemunet_tests.deadline import Deadline
from qemunet_tests.observe.process import files_open
from qemunet_tests.observe.tftp import BLOCK_BYTES, DATA, ERROR, FIRST_CLIENT_PORT, TftpClient, tftp_in_words
from qemunet_tests.timeouts import Stretched

GATEWAY, OTHER_GUEST = "10.0.2.2", "10.0.2.16"
#: Around what one block carries, and many blocks.
SIZES_BYTES = (0, 1, 511, 512, 513, 1428, 100_000)
LONG_NAME = "long-" * 20
BIG_BYTES, BIG_BLOCK_BYTES = 1_000_000, 1428
#: Options of a request, and those that are agreed to. RFC 2349: a client that wants to know a size asks with 0.
AGREED = (
    ({"tsize": "0"}, {"tsize": "513"}),
    ({"blksize": "1024"}, {"blksize": "1024"}),
    ({"blksize": "65464"}, {"blksize": "1428"}),
    ({"tsize": "0", "blksize": "600"}, {"tsize": "513", "blksize": "600"}),
    ({"windowsize": "4", "blksize": "600"}, {"blksize": "600"}),
    # RFC 2347: in whichever letters.
    ({"BLKSIZE": "1024", "TSize": "0"}, {"blksize": "1024", "tsize": "513"}),
)
AT_ONCE = 20


def put(folder, name, content):
    """A file that QEMU's user may read."""
    file = folder / name
    file.parent.mkdir(exist_ok=True)
    file.parent.chmod(0o755)
    file.write_bytes(content)
    file.chmod(0o644)
    return file


@pytest.fixture
def tftp(served_folder, attach_user_peer):
    """A TFTP client of a peer whose QEMU serves `served_folder`, in which there is the file `there`."""
    put(served_folder, "there", random.randbytes(513))
    return TftpClient(attach_user_peer(f"tftp={served_folder}"), GATEWAY)


@pytest.mark.claim("user/tftp-read")
def test_files_are_read_whole(tftp, served_folder, claim):
    contents = {f"of-{size}": random.randbytes(size) for size in SIZES_BYTES}
    contents |= {"below/one": b"below", LONG_NAME: b"a long name"}
    for name, content in contents.items():
        put(served_folder, name, content)
    big = put(served_folder, "big", random.randbytes(BIG_BYTES)).read_bytes()
    fetched = {name: tftp.fetch(name) for name in contents} | {"big": tftp.fetch("big", BIG_BLOCK_BYTES)}
    wrong = [name for name, content in (contents | {"big": big}).items() if fetched[name] != content]
    said = "; ".join(f"{name}: {_what_came(fetched[name])}" for name in wrong)
    claim.sees(said or f"{len(fetched)} of {len(fetched)} files whole")
    assert not wrong, f"what is read is not what lies there: {said}"
    other = tftp.of_guest(OTHER_GUEST).fetch("below/one")
    assert other == b"below", f"what another guest reads, at {OTHER_GUEST}, is not what lies there: {_what_came(other)}"


def _what_came(fetched):
    return f"{len(fetched)} bytes" if isinstance(fetched, bytes) else tftp_in_words(fetched)


@pytest.mark.claim("user/tftp-read-only")
def test_nothing_is_written(tftp, served_folder, claim):
    before = {file.name: file.read_bytes() for file in served_folder.iterdir()}
    answers = [tftp.write(name) for name in ("new", "there")]
    assert {file.name: file.read_bytes() for file in served_folder.iterdir()} == before, "the folder was changed"
    assert tftp.fetch("there") == before["there"], "the server serves nothing any more"
    claim.sees(" and ".join(sorted({tftp_in_words(answer) for answer in answers})))
    if answers == [None, None]:
        claim.deviates(name="silence")
    else:
        assert all(answer and answer.kind == ERROR for answer in answers), f"writing is answered: {claim.observed}"


@pytest.mark.claim("user/tftp-binary-only")
def test_text_mode_is_refused(tftp, served_folder, claim):
    content = (served_folder / "there").read_bytes()
    assert tftp.fetch("there") == content, "the file is not served in binary mode"
    # RFC 1350: a mode is written in whichever letters.
    first = tftp.read("there", mode="OCTET")
    claim.sees(tftp_in_words(first))
    assert first and first.content == content[:BLOCK_BYTES], f"a request for OCTET is answered: {tftp_in_words(first)}"
    answer = tftp.read("there", mode="netascii")
    assert claim.sees(tftp_in_words(answer)) == claim.expected, (
        f"a request for text is answered: {tftp_in_words(answer)}"
    )


@pytest.mark.claim("user/tftp-inside-only")
def test_dots_do_not_lead_out_of_the_folder(tftp, served_folder, claim):
    put(served_folder.parent, "beside", b"not for guests")
    put(served_folder, "below/one", b"below")
    ways = ("../beside", "/../beside", "below/../../beside", str(served_folder.parent / "beside"))
    assert tftp.fetch("below/one") == b"below", "what lies in the folder is not served"
    answers = {way: tftp.read(way) for way in ways}
    served = [way for way, answer in answers.items() if answer is None or answer.kind != ERROR]
    claim.sees("; ".join(sorted({tftp_in_words(answer) for answer in answers.values()})))
    assert not served, f"{served[0]} is answered: {tftp_in_words(answers[served[0]])}"
    assert claim.observed == claim.expected, f"the refusals are {claim.observed}"


@pytest.mark.claim("user/tftp-symlink")
def test_links_do_not_lead_out_of_the_folder(tftp, served_folder, claim):
    outside = put(served_folder.parent, "beside", random.randbytes(700))
    (served_folder / "link").symlink_to(outside)
    got = tftp.fetch("link")
    claim.sees(_what_came(got))
    if got == outside.read_bytes():
        claim.deviates(name="followed")
    else:
        assert not isinstance(got, bytes), f"a link out of the folder is answered: {_what_came(got)}"
        assert claim.observed == claim.expected, f"a link out of the folder is answered: {_what_came(got)}"


@pytest.mark.claim("user/tftp-fifo")
def test_what_is_no_file_stops_nobody(tftp, served_folder, claim):
    fifo = served_folder / "fifo"
    os.mkfifo(fifo)
    fifo.chmod(0o644)
    if tftp.waits_for("fifo", fifo):
        claim.sees("QEMU stands still")
        claim.deviates(name="waits-for-a-writer")
        return
    answer = tftp.read("fifo")
    claim.sees(tftp_in_words(answer))
    assert answer and answer.kind == ERROR, f"a request for what is no file is answered: {tftp_in_words(answer)}"


@pytest.mark.claim("user/tftp-missing")
def test_what_is_not_there_is_said_not_to_be(tftp, served_folder, claim):
    put(served_folder, "below/one", b"below")
    answers = {what: tftp.read(name) for what, name in (("nothing", "nothing"), ("a folder", "below"))}
    said = {
        what: f"{tftp_in_words(answer)}, from port {answer.port if answer else '-'}" for what, answer in answers.items()
    }
    claim.sees("; ".join(f"{what}: {answer}" for what, answer in said.items()))
    right = "error 1, File not found, from port 69"
    assert said["nothing"] == right, f"a request for what is not there is answered: {said['nothing']}"
    if said["a folder"] == "error 1, File not found, from port 0":
        claim.deviates(name="from-port-0")
    else:
        assert said["a folder"] == right, f"a request for a folder is answered: {said['a folder']}"


@pytest.mark.claim("user/tftp-options")
def test_size_and_block_size_are_agreed_on(tftp, claim):
    agreed = [(asked, tftp.read("there", asked)) for asked, _ in AGREED]
    seen = [(asked, answer.options if answer and answer.kind not in (DATA, ERROR) else tftp_in_words(answer))
            for asked, answer in agreed]  # fmt: skip
    wrong = [f"{asked}: {answer}" for (asked, answer), (_, right) in zip(seen, AGREED, strict=True) if answer != right]
    claim.sees("; ".join(wrong) or f"{len(seen)} of {len(AGREED)} as they should be")
    assert not wrong, f"options are agreed on otherwise: {'; '.join(wrong)}"


@pytest.mark.claim("user/tftp-ends")
def test_a_transfer_has_an_end(tftp, served_folder, claim):
    content = put(served_folder, "two-blocks", random.randbytes(700)).read_bytes()
    assert tftp.fetch("two-blocks") == content, "the file is not served"
    behind = [tftp.after(2)]
    given_up = [tftp.read("two-blocks"), tftp.gives_up(), tftp.after(1)]
    assert given_up[0] and given_up[0].number == 1, f"a second transfer begins with {tftp_in_words(given_up[0])}"
    behind_error = [answer for answer in given_up[1:] if answer]
    claim.sees(f"behind the last block: {tftp_in_words(behind[0])}; behind the client's error: "
               f"{', '.join(map(tftp_in_words, behind_error)) or tftp_in_words(None)}")  # fmt: skip
    assert claim.observed == claim.expected, f"a transfer that is over goes on: {claim.observed}"


@pytest.mark.claim("user/tftp-off")
def test_without_a_folder_nothing_is_served(user_peer, claim):
    answers = {
        tftp_in_words(TftpClient(user_peer, GATEWAY).read(name)) for name in ("there", "etc/passwd", "/etc/passwd")
    }
    assert claim.sees("; ".join(sorted(answers))) == claim.expected, f"without tftp= a request is answered: {answers}"


#: After so long without a word a read gives way to one that begins: tftp_session_allocate() of libslirp's src/tftp.c.
IDLE_SECONDS, ATTEMPTS = 5.0, 4


@pytest.mark.claim("user/tftp-many")
def test_many_files_are_read_at_once(served_folder, attach_user_peer, claim):
    contents = [random.randbytes(1200) for _ in range(AT_ONCE)]
    for number, content in enumerate(contents):
        put(served_folder, f"f{number}", content)
    peer = attach_user_peer(f"tftp={served_folder}")
    # One is another guest's, with a port that the first guest has as well.
    clients = [TftpClient(peer, GATEWAY, FIRST_CLIENT_PORT + 1, own=OTHER_GUEST)]
    clients += [TftpClient(peer, GATEWAY, FIRST_CLIENT_PORT + number) for number in range(1, AT_ONCE)]
    for _ in range(ATTEMPTS):
        idle = Deadline(Stretched(IDLE_SECONDS), "all reads to begin before the first is idle for too long")
        begun = [client.read(f"f{number}") for number, client in enumerate(clients)]
        if not idle.passed:
            break
    else:
        idle.check()
    blocks = [begun, *([client.block_after(number) for client in clients] for number in (1, 2))]
    got = [b"".join(block.content if block else b"" for block in of_one) for of_one in zip(*blocks, strict=True)]
    whole = sum(one == content for one, content in zip(got, contents, strict=True))
    claim.sees(f"{whole} of {AT_ONCE} whole")
    assert whole == AT_ONCE, f"of {AT_ONCE} files that are read at once {whole} are whole"
    # A file is closed behind the last of its blocks.
    closed = Deadline(IDLE_SECONDS, "files to be closed").sees(lambda: not files_open(peer.qemu, served_folder))
    assert closed, f"once all are read QEMU has {len(files_open(peer.qemu, served_folder))} of {AT_ONCE} files open"
