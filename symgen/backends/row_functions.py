"""What is printed of a function of rows, for any backend: its kernels, their arrays, their stages in order."""

from __future__ import annotations

from dataclasses import dataclass

from symgen.rows.schedule import Schedule


@dataclass(frozen=True)
class Array:
    """An operand or a result of a kernel.

    Attributes:
        name: as the spec calls it.
        axes: along which a sample of it varies, by the names of the axes.
        shared: whether all samples share it; a result of this kind is summed over the rows.
        number: whether it is a number, the same for all.
        optional: whether it is a mask along one axis, for which None may stand: then nothing is left out.
    """

    name: str
    axes: tuple[str, ...] = ()
    shared: bool = False
    number: bool = False
    optional: bool = False


@dataclass(frozen=True)
class RowFunction:
    """One kernel: its name without a variant's, its schedule, what it takes in order, and what its results go to.

    Attributes:
        name: without a variant's.
        schedule: of its stages.
        takes: what it takes, in order.
        gives: what its results go to.
        again: the kernel that computes a row again of which this one is in doubt, empty where it never is.
    """

    name: str
    schedule: Schedule
    takes: tuple[Array, ...]
    gives: tuple[Array, ...]
    again: str = ""


@dataclass(frozen=True)
class RowVariant:
    """The kernels of one variant."""

    suffix: str
    functions: tuple[RowFunction, ...]
    title: str = ""
