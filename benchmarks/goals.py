"""What a row has to reach, and whether it does."""

from __future__ import annotations

from typing import Protocol

from attrs import field, frozen

from benchmarks.measuring import Figure


@frozen
class Measured:
    """What a row's run gave.

    `conditions` are further things that have to hold, `notes` what a reader should know.
    """

    ours: Figure
    peer: Figure | None = None
    conditions: dict[str, bool] = field(factory=dict)
    notes: list[str] = field(factory=list)


@frozen
class Verdict:
    """How ours compares: `reached` is `None` where there is no peer to compare with."""

    ratio: str
    reached: bool | None


class Goal(Protocol):
    """What to reach."""

    @property
    def text(self) -> str:
        """The goal in words."""

    def judge(self, measured: Measured) -> Verdict:
        """Return how what was measured compares, conditions aside."""


@frozen
class Faster:
    """So many times faster than the peer; `instead` says it in other words."""

    times: float
    instead: str = ""

    @property
    def text(self) -> str:
        """The goal in words."""
        return self.instead or f"{self.times:g} times faster"

    def judge(self, measured: Measured) -> Verdict:
        """Return the peer's cost divided by ours."""
        if measured.peer is None:
            return Verdict("", None)
        ratio = measured.peer.value / measured.ours.value
        return Verdict(f"{ratio:.3g} times faster", ratio >= self.times)


@frozen
class Within:
    """At most so many times the peer's cost."""

    times: float

    @property
    def text(self) -> str:
        """The goal in words."""
        return f"at most {self.times:g} times"

    def judge(self, measured: Measured) -> Verdict:
        """Return our cost divided by the peer's."""
        if measured.peer is None:
            return Verdict("", None)
        ratio = measured.ours.value / measured.peer.value
        return Verdict(f"{ratio:.3g} times", ratio <= self.times)


@frozen
class Limit:
    """At most so much, whatever the peer takes; `text` says so in words."""

    most: float
    text: str

    def judge(self, measured: Measured) -> Verdict:
        """Return our figure divided by the peer's, which doesn't decide."""
        peer, ours = measured.peer, measured.ours.value
        ratio = f"{ours / peer.value:.2g} times" if peer is not None else ""
        return Verdict(ratio, ours <= self.most)


@frozen
class Conditions:
    """That the conditions hold; figures are for information."""

    text: str

    def judge(self, measured: Measured) -> Verdict:
        """Return our figure divided by the peer's, which doesn't decide."""
        peer, ours = measured.peer, measured.ours.value
        return Verdict(f"{ours / peer.value:.2g} times" if peer is not None else "", reached=True)
