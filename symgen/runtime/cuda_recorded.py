"""Calls of CUDA kernels, recorded: a call like one before allocates its results and launches, and does nothing else.

What a call launches follows from the types, shapes, strides and alignments of its arrays and from its other arguments,
never from what the arrays hold. So the first call of a kind is checked and runs as always, while what it allocates and
launches is written down; later ones do that again with other addresses.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np

from .cuda_arrays import VECTOR, Library, View, library_of
from .cuda_driver import Driver, Run

KINDS: Final = 256  # of calls that a function remembers before it starts afresh
PLAIN: Final = frozenset({int, float, bool, str, type(None), np.float32, np.float64})

Make = Callable[[Sequence[Any]], Any]  # an array, from those before it


@dataclass(frozen=True)
class Arguments:
    """What a call was given: arrays in their order, their addresses, and what decides how the call runs."""

    key: Hashable
    arrays: list[Any]
    addresses: list[int]


def read(method: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Arguments | None:
    """The arguments of a call; None where some of them are of kinds that no recording knows."""
    arrays: list[Any] = []
    addresses: list[int] = []
    key = [method, *kwargs, *(_fact(v, arrays, addresses) for v in (*args, *kwargs.values()))]
    return None if None in key or not arrays else Arguments(tuple(key), arrays, addresses)


def _fact(value: Any, arrays: list[Any], addresses: list[int]) -> Hashable:
    """What of one argument decides; None where it is not known."""
    kind = type(value)
    if kind in PLAIN:
        return kind, value
    if kind is tuple or kind is list:
        each = tuple(_fact(v, arrays, addresses) for v in value)
        return None if None in each else (kind, each)
    library = library_of(value)
    if library is None:
        return None
    try:
        facts, address = library.facts(value)
    except (AttributeError, RuntimeError, TypeError):  # of an array that is not on a device, or is sparse
        return None
    # which of several arrays are one and the same decides how many there are to allocate for
    same = next((i for i, a in enumerate(arrays) if a is value), len(arrays))
    arrays.append(value)
    addresses.append(address)
    return kind, facts, address % VECTOR, same


@dataclass(frozen=True)
class Recording:
    """What a call does: it makes arrays beside those that it was given, runs kernels, and returns some of them.

    Attributes:
        library: of the arrays.
        model: the place of the one whose stream is used.
        makes: what makes each array.
        runs: what is launched.
        result: the places of the arrays that are returned, in the structure in which they are.
    """

    library: Library
    model: int
    makes: tuple[Make, ...]
    runs: tuple[Run, ...]
    result: Any

    def replay(self, given: Arguments) -> Any:
        """The same for other arrays."""
        arrays, addresses = given.arrays, given.addresses
        for make in self.makes:
            arrays.append(make(arrays))
            addresses.append(self.library.address(arrays[-1]))
        stream = self.library.stream(arrays[self.model])
        for run in self.runs:
            run(stream, arrays, addresses)
        return _picked(self.result, arrays)


def _picked(places: Any, arrays: Sequence[Any]) -> Any:
    return tuple(_picked(p, arrays) for p in places) if isinstance(places, tuple) else arrays[places]


@dataclass
class Recorder(Driver):
    """A driver that hands on what it is told to do, and writes it down.

    Attributes:
        driver: which does it.
        arrays: those that the call was given, then those that it made.
        makes: what makes each of the latter again; one that is kept for all calls makes nothing.
        launches: what was launched.
    """

    driver: Driver
    arrays: list[Any]
    makes: list[Make] = field(default_factory=list)
    launches: list[tuple[Any, int, Sequence[Any]]] = field(default_factory=list)
    found: Library | None = None
    streams: set[int] = field(default_factory=set)

    def check(self) -> None:
        self.driver.check()

    def library(self, model: Any) -> Library | None:
        self.found = found = self.driver.library(model)
        if found is None:
            return None

        def like(array: Any) -> Any:
            at = self.place(array)
            return self._made(found.like(array), lambda arrays: found.like(arrays[at]))

        def new(array: Any, shape: tuple[int, ...], dtype: str | None) -> Any:
            at = self.place(array)
            return self._made(found.new(array, shape, dtype), lambda arrays: found.new(arrays[at], shape, dtype))

        return replace(found, like=like, new=new)

    def launch(self, kernel: Any, blocks: int, stream: int, arguments: Sequence[Any]) -> None:
        self.driver.launch(kernel, blocks, stream, arguments)
        self.launches.append((kernel, blocks, arguments))

    def launch_once(self, kernel: Any, blocks: int, stream: int, arguments: Sequence[Any]) -> None:
        """Run a kernel whose results are the same for all calls of a kind: they are kept, and it never runs again."""
        self.driver.launch(kernel, blocks, stream, arguments)
        self.streams.add(stream)
        given = len(self.arrays) - len(self.makes)
        for view in (a for a in arguments if isinstance(a, View)):
            kept = view.owner
            self.makes[self.place(kept) - given] = functools.partial(_kept, kept)

    def place(self, array: Any) -> int:
        return next(i for i, a in enumerate(self.arrays) if a is array)

    def _made(self, array: Any, make: Make) -> Any:
        self.arrays.append(array)
        self.makes.append(make)
        return array

    def recording(self, result: Any) -> Recording | None:
        """What a call that has returned has done; None where it has done something that is not written down."""
        if self.found is None:
            return None
        try:
            places = self._places(result)
            runs = [self.driver.prepared(kernel, blocks, arguments, self._sources(arguments))
                    for kernel, blocks, arguments in self.launches]  # fmt: skip
        except StopIteration:  # of an array that it got elsewhere
            return None
        for stream in self.streams:  # what is kept may be used on others
            self.driver.wait(stream)
        return Recording(self.found, 0, tuple(self.makes), tuple(runs), places)

    def _places(self, result: Any) -> Any:
        return tuple(map(self._places, result)) if isinstance(result, tuple) else self.place(result)

    def _sources(self, arguments: Sequence[Any]) -> list[tuple[int, int]]:
        """Of each view among some arguments the place of its array, and how far it begins behind that array's start."""
        assert self.found is not None
        found = []
        for view in (a for a in arguments if isinstance(a, View)):
            at = self.place(view.owner)
            found.append((at, view.address - self.found.address(self.arrays[at])))
        return found


def _kept(array: Any, arrays: Sequence[Any]) -> Any:  # noqa: ARG001 - as every `Make`
    return array


class Remembered:
    """The recordings of one function's calls.

    Args:
        run: makes a call through a driver: it takes that, the method's name, and the arguments and keywords.
        driver: which runs what is launched.
    """

    def __init__(self, run: Callable[[Driver, str, Sequence[Any], Mapping[str, Any]], Any], driver: Driver) -> None:
        self._run, self._driver = run, driver
        self._known: dict[Hashable, Recording | None] = {}

    def __call__(self, method: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """The result of a call, which is recorded if it is the first of its kind."""
        given = read(method, args, kwargs)
        if given is None:
            return self._run(self._driver, method, args, kwargs)
        known = self._known.get(given.key)
        if known is not None:
            return known.replay(given)
        recorder = Recorder(self._driver, list(given.arrays))
        result = self._run(recorder, method, args, kwargs)
        if len(self._known) >= KINDS:
            self._known.clear()
        self._known[given.key] = recorder.recording(result)
        return result
