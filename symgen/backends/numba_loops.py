"""What loops over arrays are made of: which core each calls for an element, what it reads, and where results go."""

from __future__ import annotations

from dataclasses import dataclass, replace

TENSOR, PARAM = "tensor", "param"
WALKED = frozenset({TENSOR, "weight", "prob"})  # operands with an element for each element of the result


@dataclass(frozen=True)
class Precision:
    """How the loops of one element type reach float64 and come back, and the cores that they call."""

    name: str
    core: str
    load: str
    store: str


NEAR, FAR = "_near", "_far"  # the twin of a core for near arguments, and what tells which those are
QUICK = "_quick"  # the twin of a core that computes without pairs, and tells where that is in doubt

PRECISIONS = (Precision("f64", "scalar", "{}", "{}"), Precision("f32", "scalar32", "np.float64({})", "np.float32({})"))


@dataclass(frozen=True)
class Loop:
    """A loop over arrays: the core that it calls, what it passes to it (name and role), and the arrays it fills."""

    name: str
    core: str
    precision: Precision
    cotangent: str
    reads: tuple[tuple[str, str], ...]
    writes: tuple[str, ...]
    twin: bool = False  # whether the core has a twin for near arguments, see `symgen.near`
    quick: bool = False  # whether it has one that tells where it is in doubt, see `symgen.stabilize.doubt`

    @property
    def arrays(self) -> tuple[str, ...]:
        """What is read or written element by element."""
        walked = (name for name, role in self.reads if role in {*WALKED, PARAM})
        return (*((self.cotangent,) if self.cotangent else ()), *walked, *self.writes)

    @property
    def block(self) -> Loop:
        """The loop over blocks of its arrays."""
        named = {name: f"{name}_row" for name in self.arrays}
        return replace(
            self,
            cotangent=named.get(self.cotangent, ""),
            reads=tuple((named.get(name, name), role) for name, role in self.reads),
            writes=tuple(named[name] for name in self.writes),
        )

    @property
    def near(self) -> Loop:
        """The loop with the twin in the core's place."""
        return replace(self, core=f"{self.core}{NEAR}")

    @property
    def quickly(self) -> Loop:
        """The loop with the quick twin in the core's place."""
        return replace(self, core=f"{self.core}{QUICK}")

    @property
    def far(self) -> str:
        """The call that is zero where element i is near."""
        return replace(self, core=f"{self.core}{FAR}").call

    @property
    def parameters(self) -> tuple[str, ...]:
        return (*self.inputs, *self.writes)

    @property
    def inputs(self) -> tuple[str, ...]:
        first = (self.cotangent,) if self.cotangent else ()
        return (*first, *(name for name, _ in self.reads))

    @property
    def call(self) -> str:
        """The core's call for element i: arrays are read and widened there, options pass as they are."""
        arrays = {*WALKED, PARAM}
        read = (self.precision.load.format(f"{name}[i]") if role in arrays else name for name, role in self.reads)
        return f"{self.core}({', '.join(read)})"

    @property
    def results(self) -> tuple[str, ...]:
        """What the results of element i are: the call itself, or a name for each where it gives several."""
        return (self.call,) if len(self.writes) == 1 else self.names

    @property
    def names(self) -> tuple[str, ...]:
        """A name for each result of element i."""
        return tuple(f"{name}_i" for name in self.writes)

    @property
    def contributions(self) -> tuple[str, ...]:
        """The results of element i in float64, times the cotangent where there is one."""
        return self._contributed(self.results)

    def _contributed(self, results: tuple[str, ...]) -> tuple[str, ...]:
        if not self.cotangent:
            return results
        return tuple(f"{self.precision.load.format(f'{self.cotangent}[i]')} * {result}" for result in results)

    @property
    def stores(self) -> tuple[tuple[str, str], ...]:
        """Each array that is written and what goes into element i, rounded once."""
        return self._stored(self.contributions)

    @property
    def named_stores(self) -> tuple[tuple[str, str], ...]:
        """The same where each result has a name."""
        return self._stored(self._contributed(self.names))

    def _stored(self, contributions: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
        return tuple(zip(self.writes, map(self.precision.store.format, contributions), strict=True))

    @property
    def tensors(self) -> tuple[str, ...]:
        """The arrays that a reduction walks: the cotangent and the tensor operands."""
        return (self.cotangent, *(name for name, role in self.reads if role in WALKED))

    def row(self, of_tensor: str) -> str:
        """The arguments of one row of a reduction: ``of_tensor`` is what is taken of the arrays that it walks."""
        forms = {**dict.fromkeys(WALKED, "{}" + of_tensor), PARAM: "{}_row"}
        reads = ((self.cotangent, TENSOR), *self.reads)
        return ", ".join(forms.get(role, "{}").format(name) for name, role in reads)


@dataclass(frozen=True)
class Total:
    """A loop that sums losses in running totals, and may write their gradients in some tensors, scaled.

    Attributes:
        loop: what it reads and writes, and the core of the value with all gradients, or of the value alone.
        given: what the core gives beside the value, of which the loop may write a part.
    """

    loop: Loop
    given: tuple[str, ...]

    @property
    def parameters(self) -> tuple[str, ...]:
        return (*self.loop.inputs, "size", "scale", *self.loop.writes)

    @property
    def views(self) -> tuple[tuple[str, str], ...]:
        """The part of each array that one turn of the lanes walks."""
        read = ((name, f"tile({name}, start, stop)") for name, role in self.loop.reads if role in WALKED)
        return (*read, *((name, f"{name}[start:stop]") for name in self.loop.writes))

    @property
    def quickly(self) -> Total:
        """The loop with the quick twin in the core's place."""
        return replace(self, loop=self.loop.quickly)

    @property
    def call(self) -> str:
        load = self.loop.precision.load
        read = (load.format(f"entry({name}_t, i)") if role in WALKED else name for name, role in self.loop.reads)
        return f"{self.loop.core}({', '.join(read)})"

    @property
    def sum(self) -> str:
        """A loss added to its lane: a float64 has 29 bits more than float32 wants, and a chunk is short."""
        if self.loop.precision.name == "f32":
            return "sums[i] += value_i"
        return "sums[i], lost[i] = added(sums[i], lost[i], value_i, 0.0)"

    @property
    def results(self) -> tuple[str, ...]:
        return tuple(f"{name}_i" for name in ("value", *self.given))

    @property
    def stores(self) -> tuple[tuple[str, str], ...]:
        return tuple((name, self.loop.precision.store.format(f"scale * {name}_i")) for name in self.loop.writes)
