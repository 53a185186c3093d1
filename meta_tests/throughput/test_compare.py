"""`qemunet compare`: regressions are found and named, noise is not, and unlike things are not compared."""

import json

import pytest

from meta_tests.samples import recordings
from qemunet_tests.__main__ import exit_code

RATES = recordings.RATES


@pytest.fixture
def compare(tmp_path, capsys):
    """Compare two recordings, made from (session, rows); answers with exit code and output."""

    def run(before, after, *words):
        paths = []
        for name, (about, rows) in (("before", before), ("after", after)):
            paths.append(str(recordings.write(tmp_path / f"{name}.jsonl", about, rows)))
        code = exit_code(["compare", *paths, *words])
        return code, capsys.readouterr().out

    return run


def usual(seed=1, session=None, **changes):
    return session, list(recordings.runs(seed=seed, **changes))


def test_a_recording_is_no_different_from_itself(tmp_path, capsys):
    path = str(recordings.write(tmp_path / "a.jsonl", lines=list(recordings.runs(noise=0.1))))
    assert exit_code(["compare", path, path]) == 0
    assert capsys.readouterr().out.startswith("no difference")


def test_a_repeat_is_no_regression(compare):
    codes = [compare(usual(seed), usual(seed + 100))[0] for seed in range(10)]
    # Twenty recordings, in which the A/A arm may fail by chance.
    assert codes.count(0) >= 9
    assert 1 not in codes


@pytest.mark.parametrize("factor", [0.27, 0.5])
def test_a_lost_offload_or_a_rate_cap_is_a_regression_of_the_right_arm(compare, factor):
    code, said = compare(usual(), usual(2, rates={**RATES, "bridge": RATES["bridge"] * factor}), "--json")
    lines = [json.loads(line) for line in said.splitlines()]
    assert code == 1
    of_rate = next(line for line in lines if line.get("metric") == "tcp.g2h")
    assert (of_rate["verdict"], of_rate["subject"]) == ("slower", "bridge")
    assert lines[-1] == {**lines[-1], "kind": "end", "verdict": "slower", "exit": 1}


def test_an_improvement_is_no_regression(compare):
    code, said = compare(usual(), usual(2, rates={**RATES, "bridge": RATES["bridge"] * 3}))
    assert code == 0
    assert said.startswith("faster")


def test_a_regression_of_user_mode_is_named_so(compare):
    rates = {**RATES, "user": 100.0, "user-again": 100.0}
    code, said = compare(usual(), usual(2, rates=rates), "--json")
    lines = [json.loads(line) for line in said.splitlines()]
    assert code == 1
    assert lines[0]["subject"] == "user"


def test_a_machine_that_is_slower_altogether_is_a_warning_only(compare):
    code, said = compare(usual(), usual(2, rates={arm: rate / 3 for arm, rate in RATES.items()}))
    assert code == 0
    assert "warning: user" in said


def test_a_recording_whose_a_a_arm_failed_decides_nothing(compare):
    code, said = compare(usual(), usual(2, rates={**RATES, "user-again": 600.0}))
    assert code == 3
    assert said.startswith("inconclusive: A/A failed in after.jsonl")


UNLIKE = {
    "machine": {"machine": {**recordings.session()["machine"], "id": "other"}},
    "kernel": {"machine": {**recordings.session()["machine"], "kernel": "6.19"}},
    "qemu": {"qemu": {**recordings.session()["qemu"], "version_line": "QEMU 10.0"}},
    "accel": {"accel": {"used": "kvm"}},
    "image": {"image": {"name": "tiny", "digest": "e"}},
    "placement": {"placement": {"kind": "free", "main_cpus": [0, 1], "guest_cpus": [0, 1]}},
    "method": {"seconds": 5},
}


@pytest.mark.parametrize("factor", UNLIKE)
def test_recordings_that_differ_are_refused_unless_asked_for(compare, factor):
    other = recordings.session(**UNLIKE[factor])
    code, said = compare(usual(), usual(2, session=other))
    assert code == 3
    assert said.startswith("invalid comparison")
    assert f"undeclared difference: {factor}:" in said
    assert compare(usual(), usual(2, session=other), "--factor", factor)[0] == 0


def test_all_differences_may_be_asked_for_at_once(compare):
    other = recordings.session(**UNLIKE["machine"], **UNLIKE["qemu"])
    assert compare(usual(), usual(2, session=other), "--factor", "machine")[0] == 3
    assert compare(usual(), usual(2, session=other), "--factor", "any")[0] == 0


@pytest.mark.parametrize(
    ("changes", "factor"),
    [
        ({"mtu": "576"}, "mtu"),
        ({"features": "0000"}, "offloads"),
        ({"driver": "e1000"}, "driver"),
        ({"congestion": "bbr"}, "congestion"),
        ({"iperf3": "iperf 3.18"}, "iperf3"),
        ({"argv": ["qemu", "-netdev", "tap,id=net0,vnet_hdr=off"]}, "arguments"),
    ],
)
def test_guests_that_differ_are_refused_and_the_difference_is_named(compare, changes, factor):
    code, said = compare(usual(), usual(2, guest={**recordings.GUEST, **changes}))
    assert code == 3
    assert f"undeclared difference: {factor} of bridge virtio-net-pci" in said


@pytest.mark.parametrize(
    ("changes", "named", "odd"),
    [
        ({"tap_mtu": "576"}, "mtu of bridge virtio-net-pci: MTU of the tap 1500 -> 576", "the MTU of its tap is 576"),
        ({"bridge_mtu": "576"}, "mtu of bridge virtio-net-pci: MTU of the bridge 1500 -> 576", "the MTU of the bridge"),
        (
            {"mss": "524"},
            "mtu of bridge virtio-net-pci: bytes in a TCP segment 1448 -> 524",
            "TCP sends segments of 524",
        ),
        ({"qdisc": "tbf"}, "qdisc of bridge virtio-net-pci: on the tap noqueue -> tbf", "the queue discipline tbf is"),
    ],
)
def test_what_lies_in_the_path_is_named(compare, changes, named, odd):
    after = usual(2, rates={**RATES, "bridge": RATES["bridge"] / 2}, on_path={**recordings.ON_PATH, **changes})
    code, said = compare(usual(), after)
    assert code == 3
    factor = named.partition(" ")[0]
    assert f"undeclared difference: {named}" in said
    assert "slower all the same: tcp.g2h virtio-net-pci bridge/user changed 0." in said
    assert f"warning: after.jsonl: bridge virtio-net-pci: {odd}" in said
    assert compare(usual(), after, "--factor", factor)[0] == 1


def test_a_recording_that_did_not_ask_for_the_path_is_compared_all_the_same(compare):
    assert compare(usual(on_path={}), usual(2, on_path={"mss": "524"}))[0] == 0


def test_offloads_that_were_lost_are_named(compare):
    guest = {**recordings.GUEST, "features": "0010", "tun_flags": "0x1002"}
    before = {**recordings.GUEST, "features": "110000010001", "tun_flags": "0x5002"}
    code, said = compare(usual(guest=before), usual(2, guest=guest))
    assert code == 3
    assert "virtio with CSUM GUEST_CSUM GUEST_TSO4 HOST_TSO4 -> virtio with bit 2" in said
    assert "tap with vnet_hdr (0x5002) -> tap without vnet_hdr (0x1002)" in said


def test_an_arm_without_a_single_proven_row_is_named(compare):
    about, rows = usual(2)
    for row in rows:
        if row["arm"] == "bridge":
            row |= {"valid": False, "why_invalid": "wrong backend: the monitor shows user, not tap"}
    code, said = compare(usual(), (about, rows))
    assert code == 3
    assert said.startswith(
        "invalid comparison: in after.jsonl all 16 transfers of bridge virtio-net-pci are invalid: wrong backend"
    )


def test_addresses_and_descriptors_are_no_difference(compare):
    argv = ["other-qemu", *recordings.GUEST["argv"][1:-1], "virtio-net-pci,netdev=net0,mac=52:54:00:00:00:09"]
    assert compare(usual(), usual(2, guest={**recordings.GUEST, "argv": argv}))[0] == 0


def with_baseline(factor, noise=0.05):
    rates = {"user": 300.0 * factor, "user-baseline": 300.0, "user-again": 300.0 * factor}
    pairs = [
        {"nic": recordings.NIC, "arms": ["user", "user-baseline"], "twin": False},
        {"nic": recordings.NIC, "arms": ["user-again", "user"], "twin": True},
    ]
    return recordings.session(pairs=pairs), list(recordings.runs(rates, noise=noise))


@pytest.mark.parametrize(("factor", "code"), [(0.5, 1), (1.0, 0), (2.0, 0)])
def test_two_qemus_in_one_recording(tmp_path, factor, code):
    path = recordings.write(tmp_path / "a.jsonl", *with_baseline(factor))
    assert exit_code(["compare", str(path), "--baseline"]) == code


def test_markdown_for_a_jobs_page(tmp_path):
    path = str(recordings.write(tmp_path / "a.jsonl"))
    page = tmp_path / "summary.md"
    page.write_text("before\n")
    assert exit_code(["compare", path, path, "--markdown", str(page)]) == 0
    text = page.read_text()
    assert text.startswith("before\n## Throughput: no difference")
    assert "| tcp.g2h | virtio-net-pci | bridge/user |" in text


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["{a}"], "two recordings"),
        (["{a}", "{a}", "--baseline"], "two recordings"),
        (["{a}", "/nonexistent.jsonl"], "No such file"),
        (["{a}", "--baseline"], "has no baseline"),
        (["{a}", "{a}", "--factor", "weather"], "no 'weather'"),
    ],
)
def test_mistakes_are_one_line_and_exit_2(tmp_path, capsys, words, message):
    path = recordings.write(tmp_path / "a.jsonl")
    assert exit_code(["compare", *(word.format(a=path) for word in words)]) == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1
