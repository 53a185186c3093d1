"""report.html: how it is made, and `qemunet report`."""

import json
import os
import random
import struct
import subprocess
import sys

import pytest

from meta_tests.samples.pages import HOSTILE, LOST, broken_host, healthy_run, lab_results, many_claims
from qemunet_tests.__main__ import exit_code
from qemunet_tests.report.page.html_page import html_page
from qemunet_tests.report.page.network_drawing import chain, network
from qemunet_tests.report.page.network_plan import BACKEND_Y, BRIDGE_Y, LEFT, NODE_WIDTH, RIGHT, plan_of
from qemunet_tests.report.page.page_view import PageView, anchor, folder_beside, web_address
from qemunet_tests.report.passed_packets import summary_of, with_packets
from qemunet_tests.report.session_results import write_results
from qemunet_tests.report.shapes import FrameLoss, HostNetwork
from qemunet_tests.report.verdict_of_test import Verdict, VerdictOfTest


def test_the_page_is_drawn_anew_from_results_alone(tmp_path, capsys):
    write_results(broken_host(), tmp_path)
    assert exit_code(["report", str(tmp_path)]) == 0
    assert capsys.readouterr().out == f"written: {tmp_path}/report.html\n"
    first = (tmp_path / "report.html").read_text()
    assert exit_code(["report", f"{tmp_path}/results.json", "--out", f"{tmp_path}/other.html"]) == 0
    # Artifacts lie beside the results, not beside any page.
    assert (tmp_path / "other.html").read_text() == first.replace(
        '<a href="./artifacts/test_reach-lan-tcp/guest-1/"><code>out/artifacts/test_reach-lan-tcp/guest-1</code></a>',
        "<code>out/artifacts/test_reach-lan-tcp/guest-1</code>",
    ).replace(
        '<a href="./artifacts/test_bulk-both-ways/guest-1/"><code>out/artifacts/test_bulk-both-ways/guest-1</code></a>',
        "<code>out/artifacts/test_bulk-both-ways/guest-1</code>",
    )


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "results.json"),
        ("{}", "has no results of a run: target: Field required"),
        ("", "has no results"),
        ("[" * 100_000, "has no results"),
        ('{"kind": "session"}', "has no results"),
    ],
)
def test_a_file_of_another_kind_is_refused_in_one_line(tmp_path, capsys, content, said):
    if content is not None:
        (tmp_path / "results.json").write_text(content)
    for place in (tmp_path, tmp_path / "results.json"):
        assert exit_code(["report", str(place)]) == 2
        complaint = capsys.readouterr().err
        named = place if content is None else tmp_path / "results.json"
        assert complaint.startswith(f"qemunet: {named}") and complaint.count("\n") == 1
        assert said in complaint
    assert not (tmp_path / "report.html").exists()


def test_an_address_that_is_none_of_the_web_is_refused_with_the_results(tmp_path, capsys):
    written = json.loads(write_results(healthy_run(), tmp_path).read_text())
    written["verdicts"][0]["source"]["url"] = "javascript:alert(1)"
    (tmp_path / "results.json").write_text(json.dumps(written))
    assert exit_code(["report", str(tmp_path)]) == 2
    assert "verdicts.0.source.url" in capsys.readouterr().err


def test_where_the_page_cannot_be_written_one_line_says_so(tmp_path, capsys):
    write_results(healthy_run(), tmp_path)
    assert exit_code(["report", str(tmp_path), "--out", f"{tmp_path}/none/page.html"]) == 2
    assert "none/page.html cannot be written: No such file or directory" in capsys.readouterr().err
    assert exit_code(["report", str(tmp_path), str(tmp_path)]) == 2


@pytest.mark.parametrize(
    "url", ["javascript:alert(1)", "data:text/html,x", "//evil", "file:///etc", "http:", "", None, "http://["]
)
def test_no_browser_is_sent_anywhere_but_to_the_web(url):
    assert web_address(url) is None


def test_addresses_of_the_web_and_of_the_page():
    assert web_address("https://www.qemu.org/docs/#x") == "https://www.qemu.org/docs/#x"
    assert anchor("user/hostfwd-udp") == "claim/user/hostfwd-udp"
    assert anchor('user/"x y"') == "claim/user/-x-y-"
    assert folder_beside("/a/out/artifacts/test_x/guest-1") == "./artifacts/test_x/guest-1/"
    assert folder_beside("out/artifacts/te st/guest-1") == "./artifacts/te%20st/guest-1/"
    for elsewhere in ("/var/cache/qemunet/failures/test_x/guest-1", "/x/artifacts/../..", "artifacts/x"):
        assert folder_beside(elsewhere) is None


def test_old_results_get_the_sentences_of_today(tmp_path):
    written = json.loads(write_results(broken_host(), tmp_path).read_text())
    for each in written["verdicts"]:
        for added in ("says", "source", "topic", "lost", "packets"):
            del each[added]
    written["verdicts"][0]["claim"] = "user/of-another-time"
    (tmp_path / "results.json").write_text(json.dumps(written))
    assert exit_code(["report", str(tmp_path)]) == 0
    page = (tmp_path / "report.html").read_text()
    assert "DHCP gives the guest the address 10.0.2.15" in page
    assert "user/of-another-time" in page


def test_the_page_stays_small_and_repeats_no_cause():
    assert len(html_page(many_claims(400)).encode()) < 2_000_000
    results = broken_host()
    view = PageView.of(results)
    assert [len(each.claims) for each in view.causes] == [sum(each.cause == "helper-1" for each in results.verdicts), 3]
    assert [each.claim for each in view.unexplained] == ["user/lease-time"]
    assert [len(each.claims) for each in view.unavailable] == [3]


def test_what_was_broken_for_no_known_cause_is_never_laid_together():
    alike = [VerdictOfTest(f"user/{slug}", Verdict.BROKEN, "t", reason="no answer") for slug in ("address", "gateway")]
    view = PageView.of(lab_results(*alike))
    assert (view.causes, len(view.unexplained), view.first) == ([], 2, None)


def test_a_lost_frame_is_drawn_between_where_it_was_seen_and_missed():
    answer = FrameLoss(what="offer", places=["the guest's NIC", "tap0", "up0"], seen_at="up0", missed_at="tap0")
    drawn = chain(answer)
    assert [box.name for box in drawn.boxes] == ["the guest's NIC", "tap0", "up0"]
    assert drawn.boxes[1].x < drawn.lost_x < drawn.boxes[2].x
    beyond = chain(FrameLoss(what="ping", places=["the guest's NIC", "tap0", "up0"], seen_at="up0", missed_at=None))
    assert [box.name for box in beyond.boxes] == ["the guest's NIC", "tap0", "up0", "beyond"]
    assert beyond.boxes[2].x < beyond.lost_x < beyond.boxes[3].x
    lab = plan_of(broken_host())
    assert lab
    marks = network(lab, PageView.of(broken_host()).losses).marks
    assert [each.label for each in marks] == ["2"]
    lost = FrameLoss(what="x", places=["the guest's NIC", "tap0", "enp0s25"], seen_at="tap0", missed_at="enp0s25")
    within = broken_host().verdicts[0].model_copy(update={"mode": "bridge", "lost": lost})
    (mark,) = network(lab, [("1", [within])]).marks
    assert (mark.y, mark.x) == (BRIDGE_Y, LEFT - NODE_WIDTH / 2)
    odd = chain(FrameLoss(what="x", places=[], seen_at="a", missed_at="b"))
    assert odd.boxes == []


def test_a_real_hosts_network_is_drawn_by_its_own_names():
    results = broken_host().model_copy(update={"target": "host"})
    assert plan_of(results) is None
    told = HostNetwork(
        link="wlp3s0", router="192.168.77.1", bridge="virbr0", uplink="enp1s0", neighbour="192.168.77.9:7007"
    )
    plan = plan_of(results.model_copy(update={"network": told}))
    assert plan and [box.name for box in plan.boxes] == [
        "outside", "router", "neighbour", "virbr0", "enp1s0", "tap", "guest", "wlp3s0", "QEMU, libslirp", "guest"
    ]  # fmt: skip
    mode, loss = (results.verdicts[0].model_copy(update={"mode": mode}) for mode in ("user", "bridge"))
    out = FrameLoss(what="SYN", places=["the guest's NIC", "wlp3s0"], seen_at="the guest's NIC", missed_at="wlp3s0")
    beyond = FrameLoss(what="ARP", places=["the guest's NIC", "tap0", "enp1s0"], seen_at="enp1s0", missed_at=None)
    losses = [("1", [mode.model_copy(update={"lost": out})]), ("2", [loss.model_copy(update={"lost": beyond})])]
    first, second = network(plan, losses).marks
    assert (first.x, first.y, first.label) == (RIGHT, (BACKEND_Y + BRIDGE_Y) / 2, "1")
    assert (second.x, second.label) == (LEFT, "2") and second.y < plan.links["enp1s0"].y
    alone = plan_of(results.model_copy(update={"network": HostNetwork(link="eth0")}))
    assert alone and [box.name for box in alone.boxes] == ["outside", "router", "eth0", "QEMU, libslirp", "guest"]


def test_where_a_frame_was_lost_crosses_from_a_worker():
    said = VerdictOfTest("user/address", Verdict.BROKEN, "t", lost=LOST)
    assert VerdictOfTest.from_properties(said.as_properties()) == said


# Packets


def pcap(*frames: bytes) -> bytes:
    records = b"".join(
        struct.pack("=IIII", 100 + number, 0, len(each), len(each)) + each for number, each in enumerate(frames)
    )
    return struct.pack("=IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1) + records


def frames() -> list[bytes]:
    from scapy.layers.dhcp import BOOTP, DHCP
    from scapy.layers.dns import DNS, DNSQR
    from scapy.layers.inet import ICMP, IP, TCP, UDP
    from scapy.layers.inet6 import ICMPv6EchoRequest, ICMPv6ND_RS, IPv6
    from scapy.layers.l2 import ARP, Ether

    ether = Ether(src="52:54:00:12:34:56", dst="52:55:0a:00:02:02")
    out, back = (ether / IP(src=near, dst=far) for near, far in (("10.0.2.15", "10.0.2.3"), ("10.0.2.3", "10.0.2.15")))
    to_all = ether / IP(src="0.0.0.0", dst="255.255.255.255")
    discover = to_all / UDP(sport=68, dport=67) / BOOTP() / DHCP(options=[("message-type", "discover"), "end"])
    asked = DNSQR(qname="www.example")
    made = [
        discover,
        discover,
        ether / ARP(op=1, psrc="10.0.2.15", pdst="10.0.2.2"),
        out / UDP(sport=5000, dport=53) / DNS(rd=1, qd=asked),
        back / UDP(sport=53, dport=5000) / DNS(qr=1, rcode=3, qd=asked),
        out / TCP(sport=40000, dport=7007, flags="S"),
        out / ICMP(type=8) / b"abcd",
        ether / IPv6(src="fec0::2", dst="fec0::3") / ICMPv6EchoRequest(),
        ether / IPv6(src="fe80::1", dst="ff02::2") / ICMPv6ND_RS(),
        ether / IP(src="10.0.2.15", dst="10.0.2.3", proto=132) / (b"x" * 30),
    ]
    return [bytes(each) for each in made]


def test_packets_are_told_in_a_line_each_kind():
    lines = [(each.line, each.count) for each in summary_of("net0", pcap(*frames()))]
    assert lines[:9] == [
        ("DHCP discover 0.0.0.0 → 255.255.255.255", 2),
        ("ARP: who has 10.0.2.2? 10.0.2.15 asks", 1),
        ("DNS question www.example 10.0.2.15 → 10.0.2.3", 1),
        ("DNS answer www.example: NXDOMAIN 10.0.2.3 → 10.0.2.15", 1),
        ("TCP SYN 10.0.2.15:40000 → 10.0.2.3:7007", 1),
        ("ping 10.0.2.15 → 10.0.2.3", 1),
        ("ping fec0::2 → fec0::3", 1),
        ("IPv6: router solicitations", 1),
        ("IP protocol 132 10.0.2.15 → 10.0.2.3", 1),
    ]


def test_hostile_and_cut_off_captures_are_told_all_the_same():
    seen = frames()
    whole = pcap(*seen)
    for length in range(0, len(whole), 7):
        summary_of("net0", whole[:length])
    for seed in range(60):
        summary_of("net0", whole[:40] + random.Random(seed).randbytes(400))
    dns = seen[3].replace(b"\x03www\x07example\x00", b"\x0b<b>\x1b[31m\xff</\x00")
    (line,) = [each.line for each in summary_of("net0", pcap(dns))]
    assert "<b>" in line and line.isprintable()
    tcp = seen[5]
    many = [tcp[:34] + struct.pack(">H", port) + tcp[36:] for port in range(1, 200)]
    told = summary_of("net0", pcap(*many))
    assert (len(told), told[4].line, told[4].count) == (15, "185 other kinds, not listed", 185)


def test_captures_beside_the_results_are_told_of_and_others_left_out(tmp_path):
    kept = tmp_path / "artifacts" / "test_it" / "guest-1"
    kept.mkdir(parents=True)
    (kept / "net0.pcap").write_bytes(pcap(*frames()[:2]))
    os.mkfifo(kept / "net1.pcap")
    (kept / "net2.pcap").symlink_to(kept / "net0.pcap")
    results = broken_host()
    concerned = results.verdicts[0].model_copy(update={"artifacts": [str(kept), str(tmp_path / "gone")]})
    (told,) = with_packets(results.model_copy(update={"verdicts": [concerned]})).verdicts[0].packets
    assert (told.nic, told.line, told.count, told.last_seconds) == (
        "guest-1 net0",
        "DHCP discover 0.0.0.0 → 255.255.255.255",
        2,
        1.0,
    )


@pytest.mark.slow
def test_drawing_four_hundred_claims_takes_less_than_a_second_of_the_processor(tmp_path):
    write_results(many_claims(400), tmp_path)
    draw = f"from qemunet_tests.__main__ import exit_code; assert exit_code(['report', {str(tmp_path)!r}]) == 0"
    measure = f"import os; {draw}; print(os.times().user)"
    ran = subprocess.run([sys.executable, "-c", measure], capture_output=True, text=True, check=True)
    assert float(ran.stdout.split()[-1]) < 1.0


@pytest.mark.parametrize("at", ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59"])
def test_a_moment_that_no_calendar_has_in_utc_is_left_out(tmp_path, capsys, at):
    results = healthy_run().model_copy(update={"at": at})
    write_results(results, tmp_path)
    assert exit_code(["report", str(tmp_path)]) == 0, capsys.readouterr().err
    assert PageView.of(results).when is None


@pytest.mark.parametrize("text", HOSTILE[:3])
def test_what_others_say_passes_through_the_templates_alone(text):
    assert text not in html_page(healthy_run().model_copy(update={"notes": [text]}))
