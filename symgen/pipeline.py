"""The pipeline from a definition to scalar kernels, one readable line, with every intermediate kept for inspection.

Op --lower--> Program --recognize--> vocabulary --derivative--> --rewrite--> stable form
   --choose--> Form, segments of the line --finish--> scalar function
"""

from __future__ import annotations

from symgen.calculus import DerivativeError
from symgen.derivation import Derivation, DerivedVariant
from symgen.device_budget import affordable
from symgen.lowering import LoweringError
from symgen.oracle import OracleError
from symgen.program import ProgramError, lower
from symgen.spec import Op, Variant
from symgen.stabilize.candidates import hoist
from symgen.stabilize.recognize import recognize
from symgen.wanted import Wanted
from symgen.workshop import Workshop


def derive(op: Op, *, pieces: bool = True, only: str | None = None, device: bool = False) -> Derivation:
    """Derive, stabilise and schedule every variant of a definition.

    Args:
        op: the definition.
        pieces: whether polynomials may be fitted to the exact function where no algebra is good enough; without them
            such stretches are unresolved, which shows what the rules are worth.
        only: the name of one output, if the others are not wanted.
        device: whether graphs for float32 arithmetic on a GPU are derived too.

    Raises:
        ProgramError: the definition needs calculus, ball arithmetic or code that this version does not have; the
            message names file, line and expression.

    Example:
        >>> from symgen.catalogue import folder
        >>> from symgen.spec import load
        >>> [o.name for o in derive(load(folder())["silu"]).variants[0].outputs]
        ['value', 'grad', 'grad2']
    """
    try:
        variants = (derive_variant(op, v, pieces=pieces, only=only, device=device) for v in op.variants)
        return Derivation(op, affordable(tuple(variants)))
    except (DerivativeError, LoweringError, OracleError) as missing:
        raise ProgramError(f"{op.source.file}:{op.source.line}: {op.name}: {missing}") from missing


def derive_variant(
    op: Op, variant: Variant, *, pieces: bool = True, only: str | None = None, device: bool = False
) -> DerivedVariant:
    """The outputs of one variant: its value, first and second derivatives, and gradients in all that is free."""
    program = lower(op, variant)
    shop = Workshop.of(op, variant, pieces, device)
    naive = hoist(shop.parts.core)
    known, steps = recognize(naive)
    wanted = tuple(Wanted.all_of(shop.sampler.x, *shop.variables, naive, hoist(known), steps))
    named = [(w, [n for n, _ in shop.named(w)]) for w in wanted]
    inner = [shop.output(w) for w, names in named if only is None or only in names]
    outputs = (*(o for i in inner for o in shop.public(i)), *shop.shares(variant))
    names = (*(n for _, names in named for n in names), *(o.name for o in outputs if o.name.startswith("share")))
    return DerivedVariant(variant, program, tuple(o for o in outputs if only in (None, o.name)), names)
