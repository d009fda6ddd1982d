"""What runs CUDA kernels: the driver, through Numba's compiler; tests put an interpreter in its place."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from . import cuda_launch
from .cuda_arrays import Library, View, library_of
from .errors import CudaMissingError

Run = Callable[[int, Sequence[Any], Sequence[int]], None]  # on a stream, for arrays and their addresses


class Driver:
    """Launches kernels on the device."""

    def check(self) -> None:
        """See that kernels can run.

        Raises:
            CudaMissingError: the compiler, the driver or a device is missing; the message says which.
        """
        try:
            cuda = importlib.import_module("numba.cuda")
            importlib.import_module("numba_cuda")
        except ImportError as error:
            raise CudaMissingError(
                "CUDA kernels need the package numba-cuda; install it with `pip install 'symgen[cuda]'`"
            ) from error
        if not cuda.is_available():
            reason = getattr(getattr(cuda, "cuda_error", lambda: None)(), "args", ("no device was found",))[0]
            raise CudaMissingError(
                f"CUDA kernels need an NVIDIA GPU and its driver, and there is none here ({reason}); "
                "on arrays in main memory call the function itself"
            )

    def library(self, model: Any) -> Library | None:
        """What can be asked of arrays like this one."""
        return library_of(model)

    def launch(self, kernel: Any, blocks: int, stream: int, arguments: Sequence[Any], room: int = 0) -> None:
        """Run a kernel on a stream, given by its address; 0 is the default stream."""
        cuda_launch.launch(kernel, blocks, stream, arguments, room)

    def launch_once(self, kernel: Any, blocks: int, stream: int, arguments: Sequence[Any]) -> None:
        """The same for one whose results depend on nothing but its numbers."""
        self.launch(kernel, blocks, stream, arguments)

    def wait(self, stream: int) -> None:
        """Wait for all that a stream was told to do."""
        cuda = importlib.import_module("numba.cuda")
        (cuda.external_stream(stream) if stream else cuda.default_stream()).synchronize()

    def prepared(self, kernel: Any, blocks: int, arguments: Sequence[Any], sources: Sequence[tuple[int, int]],
                 room: int = 0) -> Run:
        """A launch that can be made again for other arrays.

        Args:
            kernel: as Numba has it.
            blocks: of the grid.
            arguments: views of arrays, and numbers.
            sources: of each view the place of its array, and how many bytes it begins behind that array's start.
            room: as in `cuda_launch.Compiled.launch`.
        """
        found = cuda_launch.compiled(kernel, tuple(map(cuda_launch.argument_type, arguments)))
        own = [w for a in arguments for w in cuda_launch.words(a)]
        moved = [(at, *source) for (at, _), source in zip(cuda_launch.places(arguments), sources, strict=True)]
        idle: list[cuda_launch.Parameters] = []  # a thread takes one out while it launches

        def run(stream: int, arrays: Sequence[Any], addresses: Sequence[int]) -> None:  # noqa: ARG001 - as every `Run`
            try:
                parameters = idle.pop()
            except IndexError:
                parameters = cuda_launch.Parameters(own)
            for at, place, offset in moved:
                parameters.words[at] = addresses[place] + offset
            found.launch(blocks, cuda_launch.stream_of(stream), parameters, room)
            idle.append(parameters)

        return run


class Emulated(Driver):
    """A driver without a device, which takes views of arrays instead of addresses; subclasses launch."""

    def check(self) -> None:
        """Nothing is missing."""

    def wait(self, stream: int) -> None:
        """Whatever was launched is done."""

    def prepared(self, kernel: Any, blocks: int, arguments: Sequence[Any], sources: Sequence[tuple[int, int]],
                 room: int = 0) -> Run:
        def run(stream: int, arrays: Sequence[Any], addresses: Sequence[int]) -> None:
            at = iter(sources)
            moved = [_moved(a, *next(at), arrays, addresses) if isinstance(a, View) else a for a in arguments]
            self.launch(kernel, blocks, stream, moved, room)

        return run


def _moved(view: View, place: int, offset: int, arrays: Sequence[Any], addresses: Sequence[int]) -> View:
    return replace(view, owner=arrays[place], address=addresses[place] + offset)
