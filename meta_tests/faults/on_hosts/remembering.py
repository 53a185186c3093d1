"""Rules that decide by what they remember: bytes that have passed, addresses that were seen, what is not tracked.

Each stands beside a distribution's firewall and libvirt's network, which are innocent.
"""

from meta_tests.faults.on_hosts.troubles import BESIDE, DNS, TCP_TO_THE_LAN
from meta_tests.faults.on_hosts.typed import PEER, on_a_host

UNTRACKED = "chain raw {{ type filter hook output priority raw; {} notrack; }};"
AT_OUTPUT = "chain output { type filter hook output priority 0; "


def _remembering(table: str, rules: str, before: str = "", beside: str = "") -> str:
    """Both rulesets, the second with what `before` declares in its table, and a chain `beside`."""
    return f"{BESIDE}nft 'table inet {table} {{ {before} {AT_OUTPUT}{rules}; }}; {beside} }}'"


#: Sets of addresses that rules put there, each for an hour.
BLOCKED, CALLERS = (
    f"set {name} {{ type ipv4_addr; flags dynamic,timeout; timeout 1h; }};" for name in ("blocked", "callers")
)
BANNED = BLOCKED.replace("1h;", "1h; elements = { 192.168.77.1 };")
ONCE_AN_HOUR = "tcp dport 7007 update @callers { ip daddr limit rate over 1/hour burst 1 packets }"
FAULTS = (
    on_a_host("quota-used-up", TCP_TO_THE_LAN, "table inet fee, chain output: .*quota over 25 mbytes .*drop$",
              "^sudo nft insert rule inet fee output", words=PEER, as_root=True,
              typed=_remembering("fee", "ip daddr 192.168.77.1 quota over 25 mbytes used 25 mbytes drop")),
    on_a_host("quota-of-a-name-used-up", TCP_TO_THE_LAN, "table inet fee, chain output: .*quota name .monthly. drop",
              "^sudo nft reset quota inet fee monthly; it stops the like again after 26214400 bytes more", words=PEER,
              as_root=True, typed=_remembering("fee", 'ip daddr 192.168.77.1 quota name "monthly" drop',
                                               "quota monthly { over 25 mbytes used 25 mbytes; };")),
    on_a_host("blocked-whoever-is-called", TCP_TO_THE_LAN, "table inet ban, chain output: ip daddr @blocked drop",
              "^sudo nft insert rule inet ban output", words=PEER, as_root=True,
              typed=_remembering("ban", "ip daddr @blocked drop; tcp dport 7007 add @blocked { ip daddr }", BLOCKED)),
    on_a_host("banned-for-another-port", TCP_TO_THE_LAN, "table inet ban, chain output: ip daddr @blocked drop",
              r"^sudo nft delete element inet ban blocked \{ 192\.168\.77\.1 \}; .* meets tcp dport 22 add @blocked",
              words=PEER, as_root=True,
              typed=_remembering("ban", "ip daddr @blocked drop; tcp dport 22 add @blocked { ip daddr }", BANNED)),
    on_a_host("rate-of-a-set", TCP_TO_THE_LAN, "table inet calm, chain output: .*update @callers .*drop",
              "insert rule inet calm output", words=PEER, as_root=True,
              typed=_remembering("calm", f"{ONCE_AN_HOUR} counter drop", CALLERS)),
    # Who has had his rate is listed nowhere: that a rule may have stopped it is no evidence.
    on_a_host("rate-not-counted", TCP_TO_THE_LAN, "is dropped by this host itself: nothing left by br0",
              "see which rule", words=PEER, as_root=True, typed=_remembering("calm", f"{ONCE_AN_HOUR} drop", CALLERS),
              mended="nft delete table inet calm"),
    on_a_host("counted-before-a-rate", TCP_TO_THE_LAN, "where this stands: table inet calm, chain output: tcp dport "
              "7007 meta mark 0x0+ counter [^;]* drop$", "insert rule inet calm output", words=PEER, as_root=True,
              typed=_remembering("calm", "tcp dport 7007 counter limit rate over 100/second drop; "
                                 "tcp dport 7007 meta mark 0 counter drop")),
    on_a_host("untracked-is-dropped", TCP_TO_THE_LAN, "table inet odd, chain output: ct state invalid,untracked drop, "
              "as its conversation is left untracked by table inet odd, chain raw: tcp dport 7007 notrack",
              "^sudo nft insert rule inet odd raw position", words=PEER, as_root=True,
              typed=_remembering("odd", "ct state invalid,untracked drop", beside=UNTRACKED.format("tcp dport 7007"))),
    on_a_host("answers-of-what-is-not-tracked", DNS, "DNS answer was seen at br0 and not at the guest's NIC: .*table "
              "inet filter, chain input: .*policy drop;, as its conversation is left untracked by table inet odd, "
              "chain raw: udp dport 53 notrack", "^sudo nft insert rule inet odd raw position", as_root=True,
              typed=_remembering("odd", "accept", beside=UNTRACKED.format("udp dport 53"))),
)  # fmt: skip
