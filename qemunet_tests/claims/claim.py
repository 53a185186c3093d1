"""What a claim is, as its table says it."""

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from qemunet_tests.claims.bounds import Bounds, between, parse
from qemunet_tests.claims.cause_words import cause_words

Sentence = Annotated[str, Field(min_length=1)]


class Table(BaseModel):
    """A table of a claims file. A key that it does not know is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Source(Table):
    """Where a promise is made. `url` is the document's address, where it is public."""

    document: Sentence
    section: Sentence
    url: str | None = Field(default=None, pattern=r"^https?://[^\s/]+\.[^\s/]+(/\S*)?$")


class Bounded(Table):
    """`since` (inclusive) and `until` (exclusive) are versions: `QEMU 9.1`, `slirp 4.7 and QEMU 10.2`. With `option`,
    `netdev user ipv6-prefix`, QEMU is asked for that and not for its version."""

    since: str | None = None
    until: str | None = None
    option: str | None = None

    @field_validator("since", "until")
    @classmethod
    def _names_versions(cls, text: str | None) -> str | None:
        parse(text)
        return text

    @model_validator(mode="after")
    def _leaves_a_version(self) -> "Bounded":
        between(self.since, self.until, self.option)
        return self

    @property
    def bounds(self) -> Bounds:
        return between(self.since, self.until, self.option)


class Deviation(Bounded):
    """How QEMU is known not to keep a promise, and the versions in which it does not.

    `seldom` says how often, of what cannot be shown whenever somebody wants to see it.
    """

    says: Sentence
    seldom: Sentence | None = None


def _as_words(value: object) -> object:
    return (value,) if isinstance(value, str) else value


class Claim(Bounded):
    """One documented statement.

    `mode` is a mode's word, or that of a subject that is no mode: `nic`, `net`, `filter`.
    `topic` is the file's within the mode's folder, None for what stands in the mode's own file.
    `says` is our own sentence. `untested` is the reason why no test cites the claim. `diagnosis` names what is
    looked at for a cause when the claim breaks. `deviations` have names, by which a test says which one it saw.
    """

    id: str = Field(pattern=r"^[a-z0-9-]+/[a-z0-9-]+$")
    mode: str
    topic: str | None = None
    says: Sentence
    source: Source
    expected: Sentence
    untested: Sentence | None = None
    diagnosis: Annotated[tuple[str, ...], BeforeValidator(_as_words)] = ()
    deviations: dict[str, Deviation] = {}

    @field_validator("diagnosis")
    @classmethod
    def _known_words(cls, words: tuple[str, ...]) -> tuple[str, ...]:
        for word in words:
            if word not in cause_words():
                known = ", ".join(sorted(cause_words()))
                raise ValueError(f"{word!r} is no cause that is looked for; there are {known}")
        return words
