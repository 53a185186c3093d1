"""The shapes of a recording's lines and of what `compare --json` prints. The JSON schemas are made from them.

A line is one JSON object; `kind` says which of these it is. Fields may be added, never renamed.
"""

import json
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Field, TypeAdapter

from qemunet_tests.shape import Accelerator, BootedImage, Shape

ThroughputVerdict = Literal["faster", "slower", "no difference", "inconclusive"]
Number = float | int | None
#: As the kernel shows them of a tap.
Flags = Annotated[str, Field(pattern="^(0x)?[0-9a-fA-F]{1,8}$")]
#: What is nearer to zero was never measured, and of two such rates not even the ratio is a number.
SMALLEST_RATE = 1e-100


def _of_a_size(rate: float) -> float:
    if 0 < rate < SMALLEST_RATE:
        raise ValueError("Input should be zero, or large enough to be divided by")
    return rate


#: Rates and costs: beyond these limits something else than a network was measured.
Measured = Annotated[int, Field(ge=0, le=10**15)] | Annotated[float, Field(ge=0, le=1e15), AfterValidator(_of_a_size)]
#: Of two rates.
Quotient = Annotated[float, Field(gt=0, le=1e15)]


class Line(Shape):
    """Every line says of itself what it is."""

    model_config = ConfigDict(allow_inf_nan=False)

    version: Literal[1] = Field(alias="schema")


class MeasuredMachine(Shape):
    """Where it was measured. More keys may follow."""

    model_config = ConfigDict(extra="allow")

    id: str
    processor: str | None
    cpus: int
    architecture: str
    kernel: str


class MeasuredQemu(Shape):
    """What was measured. More keys may follow."""

    model_config = ConfigDict(extra="allow")

    path: str
    version: str
    slirp: str | None
    version_line: str
    binary: str


class Placed(Shape):
    """The CPUs that what is measured was pinned to; those of its guests' virtual CPUs."""

    kind: Literal["one", "split", "free"]
    main_cpus: list[int]
    guest_cpus: list[int]


class MeasuredArm(Shape):
    """A configuration. `again` is the A/A arm."""

    name: str
    nic: str
    way: str
    again: bool
    far_end: str

    def __str__(self) -> str:
        return f"{self.name} {self.nic}"


class MeasuredPair(Shape):
    """Two arms whose ratio is wanted, the first over the second. `twin`: they are the same configuration."""

    nic: str
    arms: Annotated[list[str], Field(min_length=2, max_length=2)]
    twin: bool


class UplinkSpeed(Shape):
    """The interface of the default route, and what it says of its speed."""

    name: str | None
    mbit_per_second: int | None


class Session(Line):
    """The first line: where and how it was measured."""

    model_config = ConfigDict(extra="allow", allow_inf_nan=False)

    kind: Literal["session"]
    at: str
    machine: MeasuredMachine
    qemu: MeasuredQemu
    baseline_qemu: MeasuredQemu | None
    accel: Accelerator
    image: BootedImage
    placement: Placed
    placed: str
    arms: list[MeasuredArm]
    pairs: list[MeasuredPair]
    path: str
    seed: int
    seconds: int
    guest_time: bool
    uplink: UplinkSpeed


class MeasuredGuest(Shape):
    """How a row's guest was started, and what it said of itself. More keys may follow."""

    model_config = ConfigDict(extra="allow")

    arm: str
    nic: str
    argv: list[str]
    far_argv: list[str] | None = None
    mtu: str
    features: str | None = None
    tun_flags: Flags | None = None
    driver: str
    kernel: str
    congestion: str
    iperf3: str
    network: str


class OnPath(Shape):
    """What lies in its guest's path on the host. More keys may follow."""

    model_config = ConfigDict(extra="allow")

    tap_mtu: str | None = None
    bridge_mtu: str | None = None
    qdisc: str | None = None
    tun_flags: Flags | None = None
    mss: Annotated[str, Field(pattern="^[0-9]{0,9}$")] | None = None


class Proof(Shape):
    """What the monitor shows, and what the backend itself counted; both for TCP transfers."""

    model_config = ConfigDict(extra="allow")

    expected: str
    found: str


class Meanwhile(Shape):
    """Ticks of all CPUs by use, PSI, how many CPUs others used, the load, and how long fixed work took just before."""

    model_config = ConfigDict(extra="allow")

    user: Number
    nice: Number = None
    system: Number
    idle: Number
    iowait: Number = None
    irq: Number = None
    softirq: Number = None
    steal: Number
    others_cpus: float
    load: float
    probe_us: float


class Iperf3(Shape):
    """What both ends reported, as they did."""

    client: dict[str, Any]
    server: dict[str, Any]


class UdpTrial(Shape):
    """A second of datagrams at one rate."""

    mbit_per_second: int
    sent_mbit_per_second: float
    lost_percent: float
    packets: int | None
    jitter_ms: float
    iperf3: Iperf3


class Measurement(Shape):
    """What one measurement found. An invalid one says why."""

    model_config = ConfigDict(extra="allow", allow_inf_nan=False)

    values: dict[str, Measured | None]
    valid: bool
    why_invalid: str | None
    seconds: float
    proof: Proof | None = None
    on_path: OnPath | None = None
    intervals: list[Annotated[list[float | int], Field(min_length=3, max_length=3)]] | None = None
    ticks: list[Annotated[list[float | int], Field(min_length=4, max_length=4)]] | None = None
    machine: Meanwhile | None = None
    iperf3: Iperf3 | None = None
    congestion: str | None = None
    host_time: dict[str, Measured | None] | None = None
    initiator: str | None = None
    exchanges: int | None = None
    us: list[float] | None = None
    trials: list[UdpTrial] | None = None

    @property
    def said(self) -> dict[str, Any]:
        """All that it says, and nothing that it leaves out."""
        return {name: getattr(self, name) for name in self.model_fields_set}


class Run(Measurement, Line):
    """A measurement in its place. Without arm it is the ceiling, which has no guest."""

    kind: Literal["run"]
    run: Annotated[int, Field(ge=1)]
    measures: str
    boot: int
    block: int
    position: int
    arm: str | None
    nic: str | None
    guest: MeasuredGuest | None = None

    def of(self, arm: MeasuredArm) -> bool:
        return (self.arm, self.nic) == (arm.name, arm.nic)


class Summary(Line):
    """Two arms in one metric: the first over the second, with the 95 % interval."""

    kind: Literal["summary"]
    metric: str
    nic: str
    arms: Annotated[list[str], Field(min_length=2, max_length=2)]
    ratio: float
    low: float | None
    high: float | None
    p: float | None
    verdict: ThroughputVerdict
    reason: str
    blocks: list[Quotient]
    agreement: float
    again: bool


class End(Line):
    """The last line, which a recording that was cut off has not."""

    kind: Literal["end"]
    reason: str
    missing: list[str]
    seconds: float
    runs: int
    invalid: int
    blocks: int
    usable: bool
    why_unusable: str | None
    precise: bool


class ComparedLine(Line):
    """One metric of two recordings. `ratio` is after over before; `subject` is the arm that changed."""

    kind: Literal["summary"]
    metric: str
    nic: str
    arms: Annotated[list[str], Field(min_length=2, max_length=2)]
    before: float
    after: float
    ratio: float
    low: float | None
    high: float | None
    p: float | None
    agreement: float
    verdict: ThroughputVerdict
    reason: str
    subject: str | None


class ComparedEnd(Line):
    """The answer as a whole."""

    kind: Literal["end"]
    verdict: ThroughputVerdict | Literal["invalid comparison"]
    reason: str
    exit: Literal[0, 1, 3]
    undeclared: list[str]
    declared: list[str]
    warnings: list[str]


#: What a line of each kind of file may be.
LINES: dict[str, TypeAdapter[Any]] = {
    "recording": TypeAdapter(Annotated[Session | Run | Summary | End, Field(discriminator="kind")]),
    "comparison": TypeAdapter(Annotated[ComparedLine | ComparedEnd, Field(discriminator="kind")]),
}


def schema_text(lines: str) -> str:
    """What the file in `schemas` has to contain. It is the schema of one line."""
    # `validation`: what is null by default may be left out of a line.
    made = LINES[lines].json_schema(by_alias=True, mode="validation")
    made = {"$schema": "https://json-schema.org/draft/2020-12/schema", **made}
    return json.dumps(made, indent=2) + "\n"
