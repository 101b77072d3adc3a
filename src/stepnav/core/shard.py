"""One of several parts of the same work, which processes or machines do without each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from stepnav.core.errors import ConfigError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Shard:
    """The `index`-th of `count` parts, from 1.

    Raises:
      ConfigError: there is no such part.
    """

    index: int
    count: int

    def __post_init__(self) -> None:
        if not 1 <= self.index <= self.count:
            raise ConfigError(f"a shard i/n needs 1 <= i <= n (got {self})")

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"

    @classmethod
    def parse(cls, text: str) -> Shard:
        """Return the shard that a text like "2/8" names.

        Raises:
          ConfigError: it names none.
        Example:
          >>> Shard.parse("2/3").part("abcdefg")
          'be'
        """
        index, slash, count = text.partition("/")
        if not (slash and index.isdecimal() and count.isdecimal()):
            raise ConfigError(f"--shard must read i/n, for instance 2/8 (got {text!r})")
        return cls(int(index), int(count))

    def part(self, items: Sequence[T]) -> Sequence[T]:
        """Return the items of this shard: one of `count` in turn, so that all are about as long."""
        return items[self.index - 1 :: self.count]


def what_lacks(shards: Sequence[Shard]) -> str | None:
    """Return in words why shards are not one whole, each part once; None if they are.

    Example:
      >>> what_lacks([Shard(1, 3), Shard(3, 3)])
      'of 3 shards each is needed once; missing: 2/3, given: 1/3, 3/3'
    """
    count = shards[0].count
    missing = [str(part) for n in range(count) if (part := Shard(n + 1, count)) not in shards]
    if not missing and len(shards) == count:
        return None
    return (
        f"of {count} shards each is needed once; missing: {', '.join(missing) or 'none'}, given: "
        f"{', '.join(map(str, shards))}"
    )
