"""What `help()` and `inspect.signature` show of a kernel, from what its spec declares."""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Sequence
from inspect import Parameter, Signature

from .conditions import SYMBOLS, holds, number, text
from .dtypes import ACCEPTED
from .errors import listing
from .manifest import OPERAND_ROLES, ROW_ROLES, WALKED_ROLES, Argument, Function
from .options import default_value, expectation

EXTRAS = {
    "order": "1 or 2: the first or second derivative",
    "wrt": "the name of an argument, or a tuple of names, to differentiate in",
    "out": "array to write to, of the result's shape; may be an operand itself",
    "where": "boolean array; where it is False, elements stay as they are (undefined without out)",
    "reduction": "'none' for the loss of each sample, 'mean', 'sum', or 'batchmean': divided by the first axis",
    "axis": "the axis that it works along; also answers to dim",
    "keepdims": "whether that axis stays in the result, with length one; also answers to keepdim",
    "axes": "the axis that it works along, or several that make one row, None for all; also answers to dim",
    "g": "cotangent; broadcasts to the shape of the value",
    "check": "whether to check the values of the operands against the domain, not only options",
}
EXTRA_DEFAULTS: dict[str, object] = {"order": 1, "wrt": None, "out": None, "where": True, "check": False,
                                    "axis": -1, "keepdims": False, "g": 1.0}  # fmt: skip
METHOD_EXTRAS = {
    "": ("out", "where"),
    "grad": ("order", "wrt", "out", "where"),
    "vjp": ("wrt", "out"),
    "value_and_grad": ("wrt", "out"),
}
LOSS_EXTRAS = {
    "": ("reduction", "out"),
    "grad": ("order", "wrt", "reduction", "out"),
    "vjp": ("wrt", "reduction", "out"),
    "value_and_grad": ("wrt", "reduction", "out"),
    "hvp": ("wrt", "reduction", "out"),
}
ROW_EXTRAS = {
    "": ("axis", "keepdims", "out"),
    "grad": ("axis", "keepdims", "wrt", "out"),
    "value_and_grad": ("axis", "keepdims", "wrt", "out"),
    "vjp": ("axis", "keepdims", "wrt", "out"),
    "hvp": ("axis", "keepdims", "wrt", "g", "out"),
}
ROW_LOSS_EXTRAS = {
    "": ("axis", "reduction", "out"),
    "grad": ("axis", "wrt", "reduction", "out"),
    "vjp": ("axis", "wrt", "reduction", "out"),
    "value_and_grad": ("axis", "wrt", "reduction", "out"),
    "hvp": ("axis", "wrt", "reduction", "out"),
}
LAYER_EXTRAS = {"": ("out",), "vjp": ("wrt", "out"), "hvp": ("wrt", "g", "out")}
LEADING = {"vjp": ("g",), "hvp": ("v",)}
LEADING_NOTES = {
    "vjp": "g: cotangent; broadcasts to the shape of the value.\n",
    "hvp": "v: vector, of the shape of the operand that wrt names (the first if none).\n",
}
METHOD_SUMMARIES = {
    "grad": "Elementwise derivative of {name}, of the shape of its value.",
    "vjp": "Gradients of sum(g * {name}(...)), each of the shape of the operand it belongs to, in one pass.",
    "value_and_grad": "Value and elementwise derivative of {name}, in one pass over memory.",
}
ROW_SUMMARIES = {
    "vjp": METHOD_SUMMARIES["vjp"],
    "hvp": "Second derivative of sum(g * {name}(...)) in one operand, times a vector.",
}
ROW_NUMBER_SUMMARIES = {
    "grad": "Gradient of each row's number, of the shape of the operand.",
    "vjp": METHOD_SUMMARIES["vjp"],
    "value_and_grad": "{name} and the gradient of each row's number, in one pass over the rows.",
    "hvp": ROW_SUMMARIES["hvp"],
}
LAYER_SUMMARIES = {
    "vjp": "Gradients of sum(g * {name}(...)), each of the shape of the operand it belongs to.",
    "hvp": ROW_SUMMARIES["hvp"],
}
LOSS_SUMMARIES = {
    "grad": "Gradient of {name}, of the shape of the operand; elementwise derivatives with reduction='none'.",
    "vjp": "Gradients of sum(g * {name}(...)), each of the shape of the operand it belongs to, in one pass.",
    "value_and_grad": "{name} and its gradient, in one pass over memory.",
    "hvp": "Second derivative of {name} in one operand, times a vector.",
}
LOSS_RETURNS = {
    "": "A scalar of the operands' common dtype; with reduction='none' an array of their common shape.",
    "grad": "The gradient in each Tensor operand passed as an array, or in what wrt names: bare where there is one.",
    "value_and_grad": "The loss, and the gradient as `grad` returns it.",
    "hvp": "An array like the operand.",
}
METHOD_RETURNS = {
    "": "An array of the operands' common shape, a NumPy scalar where that is (); or out.",
    "grad": "The derivative, an array like the value; a tuple where there are several.",
    "vjp": (
        "The gradient of each differentiable operand passed as an array, in signature order, or in what wrt\n"
        "    names: bare where there is one, else a tuple. An option's gradient is a scalar."
    ),
    "value_and_grad": "The value, and the derivative as `grad` returns it.",
    "hvp": "An array like the operand.",
}


RAISES = """\
Raises:
    TypeError: a dtype or type is not accepted.
    ValueError: shapes do not fit, or an option is outside its domain."""


def extras(function: Function, method: str) -> tuple[str, ...]:
    """The keywords that a method has beyond the spec's arguments."""
    checked = ("check",) if any(a.limits for a in function.operands) else ()
    if function.is_layer:
        return LAYER_EXTRAS[method]
    if function.is_rows:
        absent = {"axis"} if not function.is_movable else set()
        absent |= {"keepdims"} if not function.drops_axis else set()
        of_rows = ROW_LOSS_EXTRAS if function.is_loss else ROW_EXTRAS
        return tuple(e for e in of_rows[method] if e not in absent) + checked
    return (LOSS_EXTRAS if function.is_loss else METHOD_EXTRAS)[method] + checked


def extra_default(function: Function, name: str) -> object:
    """The default of a keyword that every function has; a loss states how it is reduced."""
    return function.reduction if name == "reduction" else EXTRA_DEFAULTS[name]


def summaries(function: Function) -> dict[str, str]:
    """What each method of a function does, in a sentence."""
    if function.is_layer:
        return LAYER_SUMMARIES
    if function.is_rows and not function.is_loss:
        return ROW_NUMBER_SUMMARIES if function.gives_number else ROW_SUMMARIES
    return LOSS_SUMMARIES if function.is_loss else METHOD_SUMMARIES


LAYER_RETURNS = "An array of the shape of {tensor}, the other axis of {matrix} in place of its last; or out."
PRODUCT = """\
Along the last axis only. The product of {tensor} and {matrix} is that of BLAS, in the dtype of the operands (half
precision in float64): its error is at most n u sum(|{matrix}| |{tensor}|) for n terms and the unit roundoff u, and what
follows multiplies it by its slope. What follows is certified: `.epilogue`, a kernel of the product, also on a GPU.
Gradients in {tensor} and {matrix} are products by BLAS of what that kernel gives."""


def _product(function: Function) -> str:
    """What a layer says of its matrix product."""
    found = function.product
    return "" if found is None else PRODUCT.format(tensor=found.tensor, matrix=found.matrix)


def _returns(function: Function, method: str) -> str:
    if function.product is not None and not method:
        return LAYER_RETURNS.format(tensor=function.product.tensor, matrix=function.product.matrix)
    gradient = function.is_loss or (function.gives_number and method == "grad")
    return (LOSS_RETURNS.get(method) if gradient else None) or METHOD_RETURNS[method]


def public_default(argument: Argument) -> object:
    """The default that a signature shows; an operand's neutral default shows as None."""
    if argument.required:
        return Parameter.empty
    if argument.role == "mask":
        return True
    return None if argument.role in OPERAND_ROLES else default_value(argument)


def signature(function: Function, method: str = "") -> Signature:
    """The signature of a function or of one of its methods."""
    taken = {a.name for a in function.arguments}
    parameters = [Parameter(name, Parameter.POSITIONAL_OR_KEYWORD) for name in LEADING.get(method, ())]
    parameters += [
        Parameter(
            a.name,
            Parameter.KEYWORD_ONLY if a.keyword_only else Parameter.POSITIONAL_OR_KEYWORD,
            default=public_default(a),
        )
        for a in sorted(function.arguments, key=lambda a: a.keyword_only)
    ]
    parameters += [
        Parameter(name, Parameter.KEYWORD_ONLY, default=extra_default(function, name))
        for name in extras(function, method)
        if name not in taken
    ]
    return Signature(parameters)


def documentation(function: Function, public: str) -> str:
    """The whole text of ``help``."""
    sections = [
        f"{function.name}{signature(function)}",
        function.doc.strip() or function.summary,
        _indented(function.definition),
        "Args:\n" + _indented(_arguments(function, "")),
        f"Returns:\n    {_returns(function, '')}",
        _product(function),
        RAISES,
        "Derivatives:\n" + _indented("\n".join(f".{m}{signature(function, m)}" for m in summaries(function))),
        "Example:\n" + _indented(example(function, public)),
        "\n".join(_origin(function)),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def method_documentation(function: Function, method: str, public: str) -> str:
    """The ``help`` of ``grad``, ``vjp``, ``value_and_grad`` or ``hvp``."""
    leading = LEADING_NOTES.get(method, "")
    sections = [
        f"{function.name}.{method}{signature(function, method)}",
        summaries(function)[method].format(name=function.name),
        "Args:\n" + _indented(leading + _arguments(function, method)),
        f"Returns:\n    {_returns(function, method)}",
        "Example:\n" + _indented(example(function, public, method)),
    ]
    return "\n\n".join(sections) + "\n"


def _indented(block: str) -> str:
    return "\n".join(f"    {line}" if line else "" for line in block.splitlines())


def _arguments(function: Function, method: str) -> str:
    lines = [f"{a.name}: {_argument(function, a)}" for a in function.arguments]
    named = {"axis": "axes"} if function.joins_axes else {}
    lines += [f"{name}: {EXTRAS[named.get(name, name)]}." for name in extras(function, method)]
    return "\n".join(lines)


def _argument(function: Function, argument: Argument) -> str:
    if argument.role not in OPERAND_ROLES:
        default = "" if argument.required else f"; default {default_value(argument)!r}"
        return f"{expectation(argument)}{default}."
    if function.is_rows or function.is_layer:
        return _row_operand(argument)
    shape = "array of any shape" if argument.role in WALKED_ROLES else _parameter_shape(argument)
    notes = [shape, ACCEPTED]
    limits = " and ".join(f"{symbol} {number(value):g}" for symbol, value in argument.limits)
    notes += [limits] if limits else []
    notes += ["also answers to input"] if argument.name == "x" and not _has_input(function) else []
    notes += [] if argument.required else [f"None stands for {number(argument.default):g}"]
    return "; ".join(notes) + "."


def _row_operand(argument: Argument) -> str:
    """What a row function takes: one role, or several that the dtype tells apart."""
    if argument.kinds:
        return " Or ".join(_row_operand(kind) for kind in argument.kinds)
    what = {
        "index": f"integers, positions along {argument.of}, one for each sample",
        "labels": f"integers, positions along {argument.of}, ended by -1",
        "mask": "boolean array; entries where it is False count as absent",
    }.get(argument.role, ACCEPTED)
    axes = ", ".join(f"{a.parts} * {a.name}" if a.name and a.parts > 1 else a.name or str(a.parts)
                     for a in argument.axes)
    shape = f"array with axis {axes}" if len(argument.axes) == 1 else f"array with axes {axes}" if axes else "array"
    if argument.role in ("param", "weight") and axes:
        shape = f"array of shape ({axes}{',' * (len(argument.axes) == 1)}), the same for all samples"
    limits = " and ".join(f"{symbol} {number(value):g}" for symbol, value in argument.limits)
    notes = [shape, what, *([limits] if limits else [])]
    if not argument.required and argument.role != "mask":
        notes.append(f"None stands for {number(argument.default):g}")
    return "; ".join(notes) + "."


def _has_input(function: Function) -> bool:
    return any(a.name == "input" for a in function.arguments)


def _parameter_shape(argument: Argument) -> str:
    if not argument.axes:
        return "number, or array of shape () or (1,)"
    axis = argument.axes[0]
    return f"number, or array of shape (), (1,) or ({axis.name},) along axis {-1 if axis.at is None else axis.at}"


def _origin(function: Function) -> list[str]:
    facts = [
        ("PyTorch", function.torch),
        ("Aliases", listing(function.aliases, "and")),
        ("Reference", function.cite),
        ("Source", function.source),
    ]
    return [f"{label}: {fact}" for label, fact in facts if fact]


def example(function: Function, public: str, method: str = "") -> str:
    """Lines that run: a call on three numbers inside the domain."""
    parent, _, module = public.rpartition(".")
    call, alias = (".".join(filter(None, parts)) for parts in (("F", function.name, method), ("F",)))
    load = f"from {parent} import {module} as {alias}" if parent and not public.endswith("functional") else (
        f"import {public} as {alias}")
    reduced = function.is_loss or function.drops_axis or function.is_layer
    first = function.tensors[0]
    moving = str(_shape(first) if len(first.axes) > 1 else _length(first))
    leading = {"vjp": ["1.0" if reduced else "np.ones(3)"], "hvp": [f"np.ones({moving})"]}
    shown = WALKED_ROLES | ROW_ROLES
    operands = [_example_operand(a) for a in function.arguments if a.role in shown and a.required]
    rest = [_number_text(v, a) for a, v in _example_options(function)]
    summed = {x.name for a in function.tensors for x in a.axes}
    parameters = [f"{a.name}={_example_parameter(a, summed)}" for a in function.arguments
                  if a.role == "param" and a.required]
    arguments = ", ".join([*leading.get(method, []), *operands, *parameters, *rest])
    result = "y, dy" if method == "value_and_grad" else "y"
    return f">>> import numpy as np\n>>> {load}\n>>> {result} = {call}({arguments})"


def _inside(limits: Sequence[tuple[str, object]], value: float) -> bool:
    return all(SYMBOLS[symbol](value, number(bound)) for symbol, bound in limits)


def _shape(argument: Argument) -> tuple[int, ...]:
    """The shape of an example's operand of several axes."""
    return (*(2 for _ in argument.axes[1:]), 3)


def _length(argument: Argument) -> int:
    """How many entries the operand of an example has."""
    parts = [a for a in argument.axes if a.parts > 1]
    return parts[0].parts * (3 if parts[0].name else 1) if parts else 3


def _example_parameter(argument: Argument, summed: Collection[str]) -> str:
    """A number for a parameter along one axis; a matrix whose lengths fit the operand of three."""
    lengths = tuple(3 if a.name in summed else 2 for a in argument.axes)
    return "0.5" if len(lengths) < 2 else f"np.full({lengths}, 0.5)"


def _example_operand(argument: Argument) -> str:
    if argument.role in ("index", "either"):
        return "0"
    if argument.role == "labels":
        return "np.array([0, -1, -1])"
    if any(a.parts > 1 for a in argument.axes):
        return f"np.linspace(0.25, 0.75, {_length(argument)})"
    if len(argument.axes) > 1 and argument.role == "tensor":
        shape = _shape(argument)
        return f"np.linspace(0.25, 0.75, {math.prod(shape)}).reshape{shape}"
    inside = [v for v in (-1.0, 0.25, 0.5, 2.0) if _inside(argument.limits, v)][:3]
    return f"np.array({(inside * 3)[:3]})" if inside else "np.ones(3)"


def _example_options(function: Function) -> list[tuple[Argument, object]]:
    """A value for each required option, together fulfilling what the spec asserts."""
    required = [a for a in function.options if a.required]
    choices = [
        list(a.choices) if a.role == "choice" else [v for v in (1.0, 2.0, 0.5, -1.0) if _inside(a.limits, v)] or [1.0]
        for a in required
    ]
    fixed = {a.name: default_value(a) for a in function.options if not a.required}
    for values in itertools.product(*choices):
        candidate = fixed | {a.name: v for a, v in zip(required, values, strict=True)}
        if None in candidate.values() or all(holds(c, candidate) for c in function.assertions):
            return list(zip(required, values, strict=True))
    return [(a, c[0]) for a, c in zip(required, choices, strict=True)]


def _number_text(value: object, argument: Argument) -> str:
    shown = int(value) if argument.role == "int" and isinstance(value, float) else value
    return f"{argument.name}={shown!r}"


def domain(function: Function) -> str:
    """What the spec asserts between options, as one phrase."""
    return listing((text(c) for c in function.assertions), "and")
