"""Net filters, on a wire between a peer and a socket: no guest, and every frame is known."""

import pytest

from qemunet_tests.guest.plugging import MAC
from qemunet_tests.observe.capture import headers_before, whole_capture
from qemunet_tests.observe.nic import seen_nic
from qemunet_tests.observe.pcap_file import ETHERNET, MAGIC, numbers_in, read_pcap

#: Nobody's: frames to it are what the peer sends.
FAR = "52:54:00:70:65:02"
#: Of a machine that is not slowed down: a guest notices a NIC and loads its driver.
FOUND_SECONDS = 2.0
#: VIRTIO 1.2, 5.1.6: with the number of merged buffers.
HEADER_BYTES = 12
#: Where an Ethernet frame has its source.
SOURCE_AT = 6


def numbers_in_words(numbers):
    """Numbers of frames, for people."""
    return " ".join(str(number) for number in numbers) or "none"


@pytest.mark.claim("filter/dump-equals-traffic")
def test_the_dump_is_what_passed(filtered, qemus_folder, claim):
    wire, sent = filtered(f"filter-dump,id=f,file={qemus_folder}/wire.pcap"), []
    for number, size_bytes in zip(range(1, 12, 2), (60, 61, 600, 1514, 9014, 60), strict=True):
        sent += wire.send_out([number], size_bytes)
        assert wire.came_out(1) == [number], "a frame that the filter only looks at did not pass"
        sent += wire.send_back([number + 1], size_bytes)
        assert wire.came_back(1) == [number + 1], "a frame that the filter only looks at did not come back"
    wire.settle()
    kept = read_pcap(qemus_folder / "wire.pcap")
    records = [record.kept for record in kept.records]
    right = sum(one == other for one, other in zip(records, sent, strict=False))
    claim.sees(f"{right} of {len(sent)} frames{', in order' if records == sent else ''}")
    assert claim.observed == claim.expected, f"the dump has {claim.observed}, and {len(records)} records"


@pytest.mark.claim("filter/dump-format")
def test_the_dump_is_a_classic_capture(filtered, qemus_folder, claim):
    wire = filtered(f"filter-dump,id=f,file={qemus_folder}/wire.pcap")
    wire.send_out([1])
    wire.came_out(1)
    kept = read_pcap(qemus_folder / "wire.pcap")
    kind = "pcap" if kept.magic == MAGIC else f"{kept.magic:x}"
    link = "Ethernet" if kept.link_type == ETHERNET else f"link type {kept.link_type}"
    claim.sees(f"{kind} {'.'.join(map(str, kept.version))} of {link}, {kept.longest_bytes} bytes at most")
    assert claim.observed == claim.expected, f"the file is {claim.observed}"
    assert kept.whole, "its last record does not end with it"


@pytest.mark.claim("filter/dump-maxlen")
def test_the_dump_is_cut(filtered, qemus_folder, claim):
    wire = filtered(f"filter-dump,id=f,file={qemus_folder}/wire.pcap,maxlen=100")
    (sent,) = wire.send_out([1], 1514)
    wire.came_out(1)
    wire.settle()
    kept = read_pcap(qemus_folder / "wire.pcap").records
    claim.sees(", ".join(f"{len(each.kept)} of {each.size_bytes} bytes" for each in kept) or "nothing")
    assert claim.observed == claim.expected, f"the dump has {claim.observed}"
    assert kept[0].kept == sent[:100], "they are not the frame's first bytes"


@pytest.mark.claim("filter/dump-hotplugged")
def test_a_dump_begins_and_ends_while_qemu_runs(filtered, qemus_folder, claim):
    wire, file = filtered(), qemus_folder / "wire.pcap"
    monitor = wire.peer.qemu.monitor
    for first in (1, 4, 7):
        if first == 4:
            monitor.execute("object-add", **{"qom-type": "filter-dump", "id": "f", "netdev": "net0", "file": str(file)})
        wire.send_out(range(first, first + 3))
        assert wire.came_out(3) == list(range(first, first + 3)), "not all frames passed"
        if first == 4:
            monitor.execute("object-del", id="f")
    kept = read_pcap(file)
    claim.sees(f"{numbers_in_words(numbers_in(file))} of 9 frames, {'whole' if kept.whole else 'broken off'}")
    assert claim.observed == claim.expected, f"the dump has {claim.observed}"


@pytest.mark.claim("filter/dump-two")
def test_two_dumps_see_the_same(filtered, qemus_folder, claim):
    files = [qemus_folder / f"{name}.pcap" for name in ("one", "other")]
    wire = filtered(*(f"filter-dump,id={file.stem},file={file}" for file in files))
    wire.send_out([1, 2, 3])
    wire.came_out(3)
    wire.settle()
    claim.sees(" and ".join(numbers_in_words(numbers_in(file)) for file in files))
    assert claim.observed == claim.expected, f"two dumps have {claim.observed}"


@pytest.mark.claim("filter/removed-with-netdev")
def test_a_filter_goes_with_its_backend(halted, qemus_folder, claim):
    words = ("-netdev", "user,id=lan", "-object", f"filter-dump,id=f,netdev=lan,file={qemus_folder}/wire.pcap")
    monitor = halted("-M", "pc", *words).monitor
    assert "f" in [each["name"] for each in monitor.execute("qom-list", path="/objects")], "there is no filter"
    monitor.execute("netdev_del", id="lan")
    left = [each["name"] for each in monitor.execute("qom-list", path="/objects") if each["name"] == "f"]
    runs = monitor.execute("query-status")["status"]
    claim.sees(f"QEMU {'runs' if runs else 'ended'}, {'with its' if left else 'without a'} filter")
    assert claim.observed == claim.expected, f"after netdev_del {claim.observed}"


@pytest.mark.claim("filter/buffer")
def test_a_buffer_holds_frames_back(filtered, claim):
    wire, numbers = filtered("filter-buffer,id=f,interval=100000000"), list(range(20))
    wire.send_out(numbers)
    wire.settle()
    early = wire.passes_at_once(1)
    # What takes it away lets go of what it holds: its hundred seconds are not waited for.
    wire.peer.qemu.monitor.execute("object-del", id="f")
    came = wire.came_out(20)
    claim.sees(f"{numbers_in_words(early)} at first, then {len(came)} of 20{' in order' if came == numbers else ''}")
    assert claim.observed == claim.expected, f"a buffer lets pass {claim.observed}"


@pytest.mark.claim("filter/buffer-interval")
def test_a_buffer_lets_go_by_itself(filtered, claim):
    wire, numbers = filtered("filter-buffer,id=f,interval=50000"), list(range(20))
    wire.send_out(numbers)
    came = wire.came_out(20)
    claim.sees(f"{len(came)} of 20{' in order' if came == numbers else ''}")
    assert claim.observed == claim.expected, f"of what a buffer holds come {claim.observed}"


@pytest.mark.claim("filter/mirror")
def test_a_mirror_copies(filtered, filter_ends, claim):
    words, connect = filter_ends
    wire = filtered("filter-mirror,id=f,outdev=copy", words=words("copy"))
    copies = connect("copy")
    wire.settle()
    sent = wire.send_out([1, 2, 3], 1514)
    taken = copies.take(3)
    right = sum(one == other for one, other in zip(taken, sent, strict=False))
    claim.sees(f"{right} of 3 copies, {len(wire.came_out(3))} of 3 pass")
    assert claim.observed == claim.expected, f"a mirror gives {claim.observed}"


@pytest.mark.claim("filter/redirector-out")
def test_a_redirector_takes_frames_away(filtered, filter_ends, claim):
    words, connect = filter_ends
    wire = filtered("filter-redirector,id=f,outdev=away", words=words("away"))
    end = connect("away")
    wire.settle()
    sent = wire.send_out([1, 2, 3], 1514)
    taken = end.take(3)
    right = sum(one == other for one, other in zip(taken, sent, strict=False))
    passed = wire.passes_at_once(3)
    claim.sees(f"{right} of 3 at its outdev, {numbers_in_words(passed)} {'pass' if len(passed) > 1 else 'passes'}")
    assert claim.observed == claim.expected, f"of redirected frames {claim.observed}"


@pytest.mark.claim("filter/redirector-in")
def test_a_redirector_puts_frames_in(filtered, filter_ends, claim):
    words, connect = filter_ends
    wires = {
        queue: filtered(f"filter-redirector,id=f,indev={queue},queue={queue}", words=words(queue))
        for queue in ("rx", "tx")
    }
    for queue, wire in wires.items():
        end = connect(queue)
        for number in (1, 2, 3):
            end.put(wire.frame_back(number, 1514))
    out, back = wires["rx"].came_out(3), wires["tx"].came_back(3)
    claim.sees(f"rx: {len(out)} of 3 go out; tx: {len(back)} of 3 come back")
    assert claim.observed == claim.expected, f"of what is put in {claim.observed}"


@pytest.mark.claim("filter/redirector-in-again")
def test_whoever_puts_frames_in_may_change(filtered, filter_ends, claim):
    words, connect = filter_ends
    wire, counts = filtered("filter-redirector,id=f,indev=in,queue=rx", words=words("in")), []
    for _ in range(2):
        end = connect("in")
        for number in (1, 2, 3):
            end.put(wire.frame_out(number))
        counts.append(len(wire.came_out(3)))
        end.close()
        wire.settle()
    claim.sees("{} of 3 go out; again: {} of 3".format(*counts))
    if claim.observed != claim.expected:
        assert counts == [3, 0], f"of what is put in {claim.observed}"
        claim.deviates(name="never-again")


@pytest.mark.claim("filter/queue")
def test_a_queue_is_a_direction(filtered, qemus_folder, claim):
    queues = ("rx", "tx", "all")
    wire = filtered(*(f"filter-dump,id={queue},queue={queue},file={qemus_folder}/{queue}.pcap" for queue in queues))
    wire.send_out([1, 2, 3])
    assert wire.came_out(3) == [1, 2, 3], "not all frames passed"
    wire.send_back([4, 5, 6])
    assert wire.came_back(3) == [4, 5, 6], "not all frames came back"
    wire.settle()
    claim.sees(
        ", ".join(f"{queue}: {numbers_in_words(numbers_in(qemus_folder / f'{queue}.pcap'))}" for queue in queues)
    )
    assert claim.observed == claim.expected, f"by queue the dumps have {claim.observed}"


@pytest.mark.claim("filter/status")
def test_a_filter_is_switched_on_and_off(filtered, filter_ends, claim):
    words, connect = filter_ends
    wire = filtered("filter-redirector,id=f,outdev=away,status=off", words=words("away"))
    connect("away")
    wire.settle()
    passed: list[str] = []
    for status in ("off", "on", "off"):
        if passed:  # the first is that of its command line
            wire.peer.qemu.monitor.execute("qom-set", path="/objects/f", property="status", value=status)
        wire.send_out([1, 2, 3])
        wire.settle()
        passed.append(f"{status}: {len(wire.passes_at_once(3) if status == 'on' else wire.came_out(3))} pass")
    claim.sees(", ".join(passed))
    assert claim.observed == claim.expected, f"while a redirector is {claim.observed}"


@pytest.mark.claim("filter/position")
@pytest.mark.parametrize("way", ["tx", "rx"])
def test_a_filter_stands_where_it_is_put(filtered, filter_ends, qemus_folder, claim, way):
    """A redirector lets nothing pass: what stands behind it sees nothing. What is sent meets filters the other way."""
    words, connect = filter_ends
    places = {
        "head": "position=head",
        "tail": "position=tail",
        "before": "position=id=f,insert=before",
        "behind": "position=id=f,insert=behind",
    }
    dumps = [f"filter-dump,id={name},{place},file={qemus_folder}/{name}.pcap" for name, place in places.items()]
    wire = filtered("filter-redirector,id=f,outdev=away", *dumps, words=words("away"))
    end = connect("away")
    wire.settle()
    (wire.send_back if way == "tx" else wire.send_out)([1])
    assert len(end.take(1)) == 1, "the redirector redirects nothing"
    seen = {name for name in places if numbers_in(qemus_folder / f"{name}.pcap")}
    first = seen if way == "tx" else places.keys() - seen
    claim.sees(", ".join(f"{name}: {'sees' if name in first else 'does not'}" for name in places))
    assert claim.observed == claim.expected, f"of four places {claim.observed}"


@pytest.mark.claim("filter/rewriter-passes")
def test_a_rewriter_lets_pass_what_was_not_failed_over(filtered, claim):
    from scapy.layers.inet import IP, TCP
    from scapy.layers.l2 import Ether

    wire = filtered("filter-rewriter,id=f")
    flags = ("S", "A", "PA")
    segments = [
        bytes(Ether(src=wire.peer.mac, dst=FAR) / IP(src="10.0.2.15", dst="10.0.2.99") / TCP(flags=flag, seq=7))
        for flag in flags
    ]
    others = [wire.frame_out(number) for number in (1, 2, 3)]
    sent = [frame for pair in zip(segments, others, strict=True) for frame in pair]
    came = []
    for frame in sent:
        wire.peer.wire.put(frame)
        wire.far.settimeout(2.0)
        try:
            came.append(wire.far.recv(2000))
        except TimeoutError:
            break
    claim.sees(f"{len(came)} of {len(sent)} frames, {'unchanged' if came == sent else 'changed'}")
    assert claim.observed == claim.expected, f"a rewriter lets pass {claim.observed}"


def whole_segment(frame):
    """The TCP segment that came in a frame, where its checksums are right; None where none came."""
    from scapy.layers.inet import IP, TCP
    from scapy.layers.l2 import Ether

    came = Ether(frame or b"")
    summed = came.copy()
    if TCP in came:
        del summed[IP].chksum, summed[TCP].chksum
    return came[TCP] if TCP in came and bytes(summed) == bytes(came) else None


@pytest.mark.claim("filter/rewriter")
def test_a_rewriter_counts_as_another_guest_did(filtered, claim):
    """Another guest has answered a client, from 5000 on; the one that takes its place counts from 1000 on."""
    from scapy.layers.inet import IP, TCP
    from scapy.layers.l2 import Ether

    wire = filtered("filter-rewriter,id=f")
    wire.far.settimeout(2.0)
    out = Ether(src=wire.peer.mac, dst=FAR) / IP(src="10.0.2.15", dst="10.0.2.99")
    back = Ether(src=FAR, dst=wire.peer.mac) / IP(src="10.0.2.99", dst="10.0.2.15")

    def client(**fields):
        wire.far.sendto(bytes(back / TCP(sport=4000, dport=80, **fields)), wire.near)
        return whole_segment(wire.peer.wire.take(2.0))

    def guest(**fields):
        wire.peer.wire.put(bytes(out / TCP(sport=80, dport=4000, **fields)))
        return whole_segment(wire.far.recv(2000))

    client(flags="S", seq=300)
    guest(flags="SA", seq=1000, ack=301)
    told, sent = client(flags="A", seq=301, ack=5001), guest(flags="PA", seq=1001, ack=301)
    claim.sees(f"the guest is told {told and told.ack}, the client {sent and sent.seq}")
    assert claim.observed == claim.expected, f"of what is counted from 1000 and from 5000 on {claim.observed}"


@pytest.mark.claim("filter/dump-virtio-plain")
def test_frames_of_a_virtio_nic_have_nothing_in_front(plugged, claim):
    guest = plugged("bridge", "virtio-net-pci")
    assert seen_nic(guest, FOUND_SECONDS).driver == "virtio_net", "no driver finds the NIC"
    guest.check("ip link set eth0 up; arping -c 1 -w 1 -I eth0 198.51.100.1 || true")
    # Of its own frames: in front of what comes in before its driver is there stands another header.
    places = {length + SOURCE_AT for length in headers_before(MAC, whole_capture(guest))}
    claim.sees(
        "the NIC's address where Ethernet has it" if places == {SOURCE_AT} else f"the NIC's address at {sorted(places)}"
    )
    if claim.observed != claim.expected:
        assert places == {SOURCE_AT + HEADER_BYTES}, f"in the dump there is {claim.observed}"
        claim.deviates(name="header-in-front")
