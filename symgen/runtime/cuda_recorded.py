"""Calls of CUDA kernels, recorded: a call like one before allocates its results and launches, and does nothing else.

What a call launches follows from the types, shapes, strides and alignments of its arrays and from its other arguments,
never from what the arrays hold. So the first call of a kind is checked and runs as always, while what it allocates and
launches is written down; later ones do that again with other addresses.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np

from .cuda_arrays import VECTOR, Library, View, library_of
from .cuda_driver import Driver, Run

KINDS: Final = 256  # of calls that a function remembers before it starts afresh
PLAIN: Final = frozenset({int, float, bool, str, type(None), np.float32, np.float64})

ALIGNED: Final = 256  # bytes; a multiple of every vector

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
    key: list[Hashable] = [method, *[_fact(value, arrays, addresses) for value in args]]
    for name, value in kwargs.items():
        key += name, _fact(value, arrays, addresses)
    if None in key or not arrays:
        return None
    if len(arrays) > 1:  # which of them are one and the same decides how many there are to make
        names = [id(a) for a in arrays]
        if len(set(names)) < len(names):
            key.append(tuple(map(names.index, names)))
    return Arguments(tuple(key), arrays, addresses)


def _fact(value: Any, arrays: list[Any], addresses: list[int]) -> Hashable:
    """What of one argument decides; None where it is not known."""
    kind = type(value)
    if kind in PLAIN:
        return kind, value, value == 0 and str(value)  # minus zero is equal to zero, and another number
    if kind is tuple or kind is list:
        each = tuple([_fact(v, arrays, addresses) for v in value])
        return None if None in each else (kind, each)
    library = library_of(value)
    if library is None:
        return None
    try:
        facts, address = library.facts(value)
    except (AttributeError, RuntimeError, TypeError):  # of an array that is not on a device, or is sparse
        return None
    arrays.append(value)
    addresses.append(address)
    return kind, facts, address % VECTOR


@dataclass(frozen=True)
class Recording:
    """What a call does: it makes arrays beside those that it was given, runs kernels, and returns some of them.

    Attributes:
        library: of the arrays.
        makes: what makes each array.
        runs: what is launched.
        result: the places of the arrays that are returned, in the structure in which they are.
    """

    library: Library
    makes: tuple[Make, ...]
    runs: tuple[Run, ...]
    result: Any

    def replay(self, given: Arguments) -> Any:
        """The same for other arrays, on the stream of the first."""
        arrays, addresses = given.arrays, given.addresses
        for make in self.makes:
            array = make(arrays)
            arrays.append(array)
            addresses.append(self.library.address(array))
        stream = self.library.stream(arrays[0])
        for run in self.runs:
            run(stream, arrays, addresses)
        return _picked(self.result, arrays)


def _picked(places: Any, arrays: Sequence[Any]) -> Any:
    return tuple(_picked(p, arrays) for p in places) if isinstance(places, tuple) else arrays[places]


@dataclass(frozen=True)
class Made:
    """An array that a call makes: like another, or of a shape and type where another lies; or the same for all calls.

    Attributes:
        array: that of the first call.
        model: the place of the other one.
        shape: unless it is like that one.
        dtype: as `Library.new` takes it.
    """

    array: Any
    model: int
    shape: tuple[int, ...] | None = None
    dtype: str | None = None
    kept: bool = False

    @property
    def bytes(self) -> int:
        """Of memory that is used for nothing else: its size rounded up to what devices align to."""
        size = math.prod(self.shape or ()) * np.dtype(self.dtype).itemsize
        return -(-size // ALIGNED) * ALIGNED

    def again(self, library: Library) -> Make:
        """What makes it in later calls."""
        model, shape, dtype = self.model, self.shape, self.dtype
        if self.kept:
            return functools.partial(_kept, self.array)
        if shape is None:
            return lambda arrays: library.like(arrays[model])
        return lambda arrays: library.new(arrays[model], shape, dtype)


def _kept(array: Any, arrays: Sequence[Any]) -> Any:  # noqa: ARG001 - as every `Make`
    return array


@dataclass
class Recorder(Driver):
    """A driver that hands on what it is told to do, and writes it down.

    Attributes:
        driver: which does it.
        given: the arrays of the call.
        made: those that it made.
        launches: what was launched.
        found: the library of the arrays.
        streams: those on which something was made that is kept.
    """

    driver: Driver
    given: Sequence[Any]
    made: list[Made] = field(default_factory=list)
    launches: list[tuple[Any, int, Sequence[Any], int]] = field(default_factory=list)
    found: Library | None = None
    streams: set[int] = field(default_factory=set)

    def check(self) -> None:
        self.driver.check()

    def library(self, model: Any) -> Library | None:
        self.found = found = self.driver.library(model)
        if found is None:
            return None

        def like(array: Any) -> Any:
            return self._note(Made(found.like(array), self._place(array)))

        def new(array: Any, shape: tuple[int, ...], dtype: str | None) -> Any:
            return self._note(Made(found.new(array, shape, dtype), self._place(array), shape, dtype))

        return replace(found, like=like, new=new)

    def launch(self, kernel: Any, blocks: int, stream: int, arguments: Sequence[Any], room: int = 0) -> None:
        self.driver.launch(kernel, blocks, stream, arguments, room)
        self.launches.append((kernel, blocks, arguments, room))

    def launch_once(self, kernel: Any, blocks: int, stream: int, arguments: Sequence[Any]) -> None:
        """Run a kernel whose results are the same for all calls of a kind: they are kept, and it never runs again."""
        self.driver.launch(kernel, blocks, stream, arguments)
        self.streams.add(stream)
        used = {id(a.owner) for a in arguments if isinstance(a, View)}
        self.made = [replace(m, kept=True) if id(m.array) in used else m for m in self.made]

    def _note(self, made: Made) -> Any:
        self.made.append(made)
        return made.array

    def _place(self, array: Any) -> int:
        """Of an array among all.

        Raises:
            StopIteration: it is none of them.
        """
        return next(i for i, a in enumerate((*self.given, *(m.array for m in self.made))) if a is array)

    def recording(self, result: Any) -> Recording | None:
        """What a call that has returned has done; None where it has used something that is not written down."""
        library = self.found
        if library is None:
            return None
        try:
            places = self._places(result)
            sources = [self._sources(library, arguments) for _, _, arguments, _ in self.launches]
        except StopIteration:
            return None
        for stream in self.streams:  # what is kept may be used on others
            self.driver.wait(stream)
        moves, makes = self._arranged(library, set(_flat(places)))
        runs = [self.driver.prepared(kernel, blocks, arguments, [_moved(moves, s) for s in found], room)
                for (kernel, blocks, arguments, room), found in zip(self.launches, sources, strict=True)]  # fmt: skip
        return Recording(library, makes, tuple(runs), _placed(moves, places))

    def _places(self, result: Any) -> Any:
        return tuple(map(self._places, result)) if isinstance(result, tuple) else self._place(result)

    def _sources(self, library: Library, arguments: Sequence[Any]) -> list[tuple[int, int]]:
        """Of each view among some arguments the place of its array, and how far it begins behind that array's start."""
        views = [a for a in arguments if isinstance(a, View)]
        return [(self._place(v.owner), v.address - library.address(v.owner)) for v in views]

    def _arranged(self, library: Library, returned: set[int]) -> tuple[Mapping[int, tuple[int, int]], tuple[Make, ...]]:
        """Where arrays of the first call are in later ones, in which all scratch memory is one array; what makes those.

        Returns:
            By place, the new place and how many bytes an array begins behind the start of that one; and the makes.
        """
        first = len(self.given)
        moves = {i: (i, 0) for i in range(first)}
        makes: list[Make] = []
        scratch: list[tuple[int, Made]] = []
        for i, made in enumerate(self.made, first):
            if made.kept or made.dtype is None or i in returned:
                moves[i] = first + len(makes), 0
                makes.append(made.again(library))
            else:
                scratch.append((i, made))
        size = 0
        for i, made in scratch:
            moves[i], size = (first + len(makes), size), size + made.bytes
        if scratch:
            makes.append(Made(None, 0, (size // 4,), "float32").again(library))
        return moves, tuple(makes)


def _flat(places: Any) -> Iterator[int]:
    if isinstance(places, tuple):
        for p in places:
            yield from _flat(p)
    else:
        yield places


def _moved(moves: Mapping[int, tuple[int, int]], source: tuple[int, int]) -> tuple[int, int]:
    place, start = moves[source[0]]
    return place, start + source[1]


def _placed(moves: Mapping[int, tuple[int, int]], places: Any) -> Any:
    return tuple(_placed(moves, p) for p in places) if isinstance(places, tuple) else moves[places][0]


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
        recorder = Recorder(self._driver, tuple(given.arrays))
        result = self._run(recorder, method, args, kwargs)
        if len(self._known) >= KINDS:
            self._known.clear()
        self._known[given.key] = recorder.recording(result)
        return result
