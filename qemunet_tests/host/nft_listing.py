"""What nft(8) lists of a network namespace's packet filter, in words for people and in JSON for us: the one reader."""

from dataclasses import dataclass

from qemunet_tests.host import nft_queues
from qemunet_tests.host.asking import Ask


@dataclass(frozen=True)
class NftListing:
    """`words` are those of `nft -a list ruleset`; `in_json` is empty where this nft has no JSON.

    `queues` are those that programs take packets from.
    """

    words: str
    in_json: str
    queues: frozenset[int] = frozenset()


def read(ask: Ask) -> NftListing | None:
    """None where nft is missing or is not permitted to us: only who has CAP_NET_ADMIN there is told."""
    words, in_json = ask(["nft", "-a", "list", "ruleset"]), ask(["nft", "-j", "list", "ruleset"])
    if not words.succeeded:
        return None
    return NftListing(words.text, in_json.text if in_json.succeeded else "", nft_queues.opened(ask))
