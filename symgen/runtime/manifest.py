"""The manifest as values: what each generated function is called, takes and offers."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from .conditions import Condition
from .errors import GeneratedPackageError

FORMAT: Final = 1
WALKED_ROLES: Final = frozenset({"tensor", "weight", "prob"})  # with an element for each element of the result
ROW_ROLES: Final = frozenset({"index", "labels", "mask", "either"})  # operands of row functions alone
OPERAND_ROLES: Final = WALKED_ROLES | {"param"} | ROW_ROLES
NUMERIC_ROLES: Final = frozenset({"real", "int"})
OPTION_ROLES: Final = NUMERIC_ROLES | {"choice"}


class _Required:
    """The default of an argument that has none."""

    def __repr__(self) -> str:
        return "<required>"


REQUIRED: Final = _Required()


@dataclass(frozen=True, slots=True)
class Axis:
    """A named axis and where it stands in an array: a position, or None for one that may be moved (last by default).

    ``parts`` is how many equal parts it is unpacked into; one without a name has just that length. ``rank`` is how many
    axes an array may have at most, 0 for any number.
    """

    name: str
    at: int | str | None
    optional: bool
    parts: int = 1
    rank: int = 0


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument of a function, as its spec declares it."""

    name: str
    role: str
    axes: tuple[Axis, ...]
    default: Any
    keyword_only: bool
    optional: bool
    choices: tuple[Any, ...]
    limits: tuple[tuple[str, Any], ...]
    kinds: tuple[Argument, ...] = ()  # of an operand that may be one of several, told apart by its dtype
    of: str = ""  # of an index, the axis that it picks from
    beside: tuple[str, ...] = ()  # of an index, the options whose values it may have without being a position

    @property
    def required(self) -> bool:
        return self.default is REQUIRED


@dataclass(frozen=True, slots=True)
class Variant:
    """One compiled program of a function, and the option values that choose it."""

    suffix: str
    settings: Mapping[str, Any]
    conditions: tuple[tuple[Condition, bool], ...]
    outputs: frozenset[str]
    limits: Mapping[str, Mapping[str, str]]
    axes: tuple[str, ...] = ()  # of a row function, along which axes the value of a sample varies
    walks: Mapping[str, Sequence[Sequence[str]]] = field(default_factory=dict)  # by output, the axes of each pass

    def work(self, output: str, lengths: Mapping[str, int]) -> int:
        """How many entries the kernel of an output walks over in a row: one that gathers walks over none.

        Example:
            >>> Variant("", {}, (), frozenset(), {}, walks={"vjp": [["K"], ["K"]]}).work("vjp", {"K": 10})
            21
        """
        return 1 + sum(math.prod(lengths[axis] for axis in axes) for axes in self.walks.get(output, ()))


@dataclass(frozen=True, slots=True)
class Product:
    """The matrix product of a layer.

    Attributes:
        name: what the epilogue calls it.
        tensor: the operand whose last axis is summed over.
        matrix: the parameter that it is multiplied with.
        first: whether the axis that is summed over is the first of the matrix; else it is the last.
    """

    name: str
    tensor: str
    matrix: str
    first: bool


@dataclass(frozen=True)
class Function:
    """One generated function; of a layer, `epilogue` is the function of its product."""

    name: str
    module: str
    kind: str
    archetype: str
    summary: str
    doc: str
    definition: str
    torch: str | None
    cite: str | None
    aliases: tuple[str, ...]
    arguments: tuple[Argument, ...]
    assertions: tuple[Condition, ...]
    variants: tuple[Variant, ...]
    source: str
    cuda: str = ""
    reduction: str | None = None
    product: Product | None = None
    epilogue: Function | None = None

    @cached_property
    def operands(self) -> tuple[Argument, ...]:
        """The arguments that take arrays, in signature order."""
        return tuple(a for a in self.arguments if a.role in OPERAND_ROLES)

    @cached_property
    def tensors(self) -> tuple[Argument, ...]:
        """The operands with an element for each element of the result."""
        return tuple(a for a in self.arguments if a.role == "tensor")

    @cached_property
    def logits(self) -> frozenset[str]:
        """The tensors that hold scores: beside classes all, beside probabilities those that may be any number."""
        if any(a.role in ("index", "labels") or a.kinds for a in self.operands):
            return frozenset(a.name for a in self.tensors)
        beside = self.is_loss and any(a.role == "prob" for a in self.operands)
        return frozenset(a.name for a in self.tensors if beside and not a.limits)

    @property
    def is_loss(self) -> bool:
        """Whether it gives the loss of a sample, to be reduced."""
        return self.kind == "loss"

    @property
    def is_rows(self) -> bool:
        """Whether elements of its result need whole rows."""
        return self.archetype == "rows"

    @property
    def is_layer(self) -> bool:
        """Whether it is a product of matrices and an epilogue."""
        return self.epilogue is not None

    @property
    def is_movable(self) -> bool:
        """Whether the caller says along which axis it works."""
        return self.is_rows and any(a.at is None for o in self.operands for a in o.axes)

    @property
    def joins_axes(self) -> bool:
        """Whether its rows may run along several axes: an axis of parts is one."""
        return self.is_movable and not self.is_loss and all(a.parts == 1 for o in self.operands for a in o.axes)

    @property
    def gives_number(self) -> bool:
        """Whether its value is one number for each row, as that of a loss is."""
        return self.is_rows and not any(v.axes for v in self.variants)

    @property
    def drops_axis(self) -> bool:
        """Whether its value lacks the axis that it works along."""
        return self.is_movable and not self.is_loss and self.gives_number

    @cached_property
    def options(self) -> tuple[Argument, ...]:
        """The arguments that take one setting for the whole call, in signature order."""
        return tuple(a for a in self.arguments if a.role in OPTION_ROLES)

    @cached_property
    def numeric_options(self) -> tuple[Argument, ...]:
        """The options that loops receive as float64 arguments."""
        return tuple(a for a in self.arguments if a.role in NUMERIC_ROLES)

    def output(self, argument: Argument, order: int = 1) -> str:
        """The name of the derivative in one argument: ``grad``, ``grad2_a``, ``grad_beta``."""
        prefix = "grad" if order == 1 else f"grad{order}"
        lone = argument.role == "tensor" and len(self.tensors) == 1
        return prefix if lone else f"{prefix}_{argument.name}"


def _argument(data: Mapping[str, Any]) -> Argument:
    default = data["default"]
    return Argument(
        name=data["name"],
        role=data["role"],
        axes=tuple(
            Axis(a["name"], a.get("at"), bool(a.get("optional")), a.get("parts", 1), a.get("rank", 0))
            for a in data.get("axes", ())
        ),
        default=REQUIRED if isinstance(default, dict) else default,
        keyword_only=bool(data.get("keyword_only")),
        optional=bool(data.get("optional")),
        choices=tuple(data.get("choices", ())),
        limits=tuple((symbol, value) for symbol, value in data.get("limits", ())),
        kinds=tuple(map(_argument, data.get("kinds", ()))),
        of=data.get("of", ""),
        beside=tuple(data.get("beside", ())),
    )


def _variant(data: Mapping[str, Any]) -> Variant:
    return Variant(
        suffix=data["suffix"],
        settings=data["settings"],
        conditions=tuple((condition, expected) for condition, expected in data["conditions"]),
        outputs=frozenset(data["outputs"]),
        limits=data.get("limits", {}),
        axes=tuple(data.get("axes", ())),
        walks=data.get("walks", {}),
    )


def parse_function(name: str, data: Mapping[str, Any]) -> Function:
    """One entry of the manifest's ``functions``."""
    source = data.get("source") or {}
    inner = data.get("epilogue")
    own = inner and {**data, **inner, "epilogue": None, "doc": "", "torch": None, "aliases": [],
                     "summary": f"What {name} computes of its matrix product."}  # fmt: skip
    return Function(
        name=name,
        module=data["module"],
        kind=data["kind"],
        archetype=data["archetype"],
        summary=data["summary"],
        doc=data.get("doc") or "",
        definition=data.get("definition") or "",
        torch=data.get("torch"),
        cite=data.get("cite"),
        aliases=tuple(data.get("aliases") or ()),
        arguments=tuple(_argument(a) for a in data["arguments"]),
        assertions=tuple(data.get("assertions") or ()),
        variants=tuple(_variant(v) for v in data["variants"]),
        source=f"{source['file']}:{source['line']}" if source else "",
        cuda="" if inner else (data.get("cuda") or {}).get("module", ""),
        reduction=data.get("reduction"),
        product=Product(inner["product"], inner["tensor"], inner["matrix"], inner["first"]) if inner else None,
        epilogue=parse_function(f"{name}.epilogue", own) if own else None,
    )


def read_manifest(path: Path) -> dict[str, Any]:
    """The ``functions`` of a manifest, unparsed, after checks that it is one.

    Raises:
        GeneratedPackageError: the file is missing, is not JSON, or has another format.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        reason = error.strerror or "cannot be read"
        raise GeneratedPackageError(f"no generated kernels: {path}: {reason}; run `symgen build`") from error
    except ValueError as error:
        raise GeneratedPackageError(f"{path} is damaged ({error}); run `symgen build --force`") from error
    found = data.get("format") if isinstance(data, dict) else None
    if found != FORMAT or not isinstance(data.get("functions"), dict):
        raise GeneratedPackageError(
            f"{path} has format {found!r}, this runtime reads {FORMAT}; run `symgen build --force`"
        )
    functions: dict[str, Any] = data["functions"]
    return functions
