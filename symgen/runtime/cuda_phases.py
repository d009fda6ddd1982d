"""Kernels of a GPU that are launched several times, each time for the stages that may run at once.

Generated modules say so in their table ``PHASES``, by products of a factor and of the lengths of axes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from .cuda_launch import THREADS

BLOCKS: Final = 4096  # of a launch at most: threads go on to further entries

Term = tuple[Any, ...]  # a factor and the axes of a product


def product(term: Term, lengths: Mapping[str, int]) -> int:
    """A factor times the lengths of axes.

    Example:
        >>> product((2, "N", "N"), {"N": 5})
        50
    """
    factor, *axes = term
    return int(factor) * math.prod(lengths[a] for a in axes)


class Phases(NamedTuple):
    """What the launches of a kernel need.

    Attributes:
        kept: the numbers of a row that are kept from one launch to the next.
        launches: for each the threads that a row has work for, a term for each stage.
    """

    kept: tuple[Term, ...]
    launches: tuple[tuple[Term, ...], ...]

    def room(self, lengths: Mapping[str, int]) -> int:
        """The numbers of a row that are kept."""
        return sum(product(t, lengths) for t in self.kept)

    def blocks(self, rows: int, lengths: Mapping[str, int]) -> Iterator[int]:
        """Of each launch.

        Example:
            >>> [*Phases((), (((32, "C"),), ((1,),))).blocks(64, {"C": 10})]
            [80, 1]
        """
        for terms in self.launches:
            threads = rows * max(product(t, lengths) for t in terms)
            yield max(min(-(-threads // THREADS), BLOCKS), 1)
