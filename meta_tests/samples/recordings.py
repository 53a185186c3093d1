"""Recordings that nobody measured, for tests that know what must come out."""

import json
import random
from pathlib import Path

from qemunet_tests.throughput.recording_shapes import LINES

NIC = "virtio-net-pci"
GUEST = {
    "arm": "bridge",
    "nic": NIC,
    "argv": ["qemu", "-netdev", "bridge,id=net0,br=br0", "-device", "virtio-net-pci,netdev=net0,mac=52:54:00:00:00:01"],
    "mtu": "1500",
    "features": "1110",
    "driver": "virtio_net",
    "kernel": "6.1",
    "congestion": "cubic",
    "iperf3": "iperf 3.12",
    "network": "net0: index=0,type=tap",
}
MACHINE = {"user": 100, "system": 20, "idle": 0, "steal": 0, "others_cpus": 0.2, "load": 1.0, "probe_us": 3000.0}
ON_PATH = {"tap_mtu": "1500", "bridge_mtu": "1500", "qdisc": "noqueue", "tun_flags": "0x5002", "mss": "1448"}
RATES = {"user": 300.0, "bridge": 2000.0, "user-again": 300.0}
PAIRS = [
    {"nic": NIC, "arms": ["bridge", "user"], "twin": False},
    {"nic": NIC, "arms": ["user-again", "user"], "twin": True},
]


def session(**changes):
    said = {
        "kind": "session",
        "schema": 1,
        "at": "2026-01-02T03:04:05+00:00",
        "machine": {"id": "m", "processor": "p", "cpus": 2, "architecture": "x86_64", "kernel": "6.18"},
        "qemu": {"path": "/q", "version": "7.2", "slirp": "4.7.0", "version_line": "QEMU 7.2", "binary": "1-2"},
        "accel": {"used": "tcg", "reason": "asked for"},
        "image": {"name": "tiny", "digest": "d"},
        "placement": {"kind": "one", "main_cpus": [1], "guest_cpus": [1]},
        "placed": "all on CPU 1",
        "seconds": 1,
        "guest_time": False,
        "path": "guest to host",
        "arms": [
            {"name": name, "nic": NIC, "way": name.split("-")[0], "again": "-" in name, "far_end": "the host"}
            for name in RATES
        ],
        "baseline_qemu": None,
        "seed": 1,
        "pairs": PAIRS,
        "uplink": {"name": "eth0", "mbit_per_second": 1000},
    }
    return {**said, **changes}


def runs(rates=RATES, blocks=8, noise=0.05, seed=1, guest=GUEST, drift=0.0, on_path=ON_PATH):
    chance, number = random.Random(seed), 0
    for block in range(1, blocks + 1):
        for arm, rate in rates.items():
            for direction in ("g2h", "h2g"):
                value = rate * chance.lognormvariate(0, noise) * (1 + drift * block)
                number += 1
                yield {
                    "kind": "run",
                    "schema": 1,
                    "run": number,
                    "measures": f"tcp.{direction}",
                    "position": number,
                    "seconds": 1.5,
                    "machine": MACHINE,
                    "on_path": on_path,
                    "boot": 1 if block <= blocks // 2 else 2,
                    "block": block,
                    "arm": arm,
                    "nic": NIC,
                    "guest": guest,
                    "values": {
                        f"tcp.{direction}": value,
                        f"cpu.{direction}": 6000 / value,
                        "retransmits": 0,
                        "stalls": 0,
                    },
                    "valid": True,
                    "why_invalid": None,
                    "intervals": [[0, 0.25, 1000], [0.25, 0.5, 2000]],
                }


def shaped(row):
    """The same as whoever measures hands it over."""
    return LINES["recording"].validate_python(row)


def measured_runs(**changes):
    return map(shaped, runs(**changes))


END = {
    "kind": "end", "schema": 1, "reason": "complete", "missing": [], "seconds": 200.0, "runs": 48, "invalid": 0,
    "blocks": 8, "usable": True, "why_unusable": None, "precise": True,
}  # fmt: skip


def write(path: Path, about=None, lines=None, end=END):
    rows = [about or session(), *(runs() if lines is None else lines), *([end] if end else [])]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path
