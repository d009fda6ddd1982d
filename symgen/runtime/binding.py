"""Binding a call's arguments to a spec's names, faster than inspect and with errors that say what would be right."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from .errors import did_you_mean, listing
from .manifest import Function

INSTEAD: Final = {
    "inplace": "pass out=x to write over x",
    "dtype": "cast the operands, whose dtype decides",
    "size_average": "use reduction=",
    "reduce": "use reduction=",
    "casting": "cast the operands, whose dtype decides",
}


class _Missing:
    """An argument that was not passed."""


MISSING: Final = _Missing()


class Binder:
    """The names of one function, ready to bind calls to.

    Values come back in two lists, operands and options, in signature order; ``MISSING`` stands for what was left out.
    """

    __slots__ = ("aliases", "count", "function", "index", "names", "operand_at", "option_at", "positional", "required")

    def __init__(self, function: Function, leading: tuple[str, ...] = ()) -> None:
        arguments = function.arguments
        self.function = function.name
        self.names = leading + tuple(a.name for a in arguments)
        self.positional = len(leading) + sum(not a.keyword_only for a in arguments)
        self.index = {name: i for i, name in enumerate(self.names)}
        self.aliases = {"input": "x"} if "x" in self.index and "input" not in self.index else {}
        self.required = [i for i, name in enumerate(leading)]
        self.required += [len(leading) + i for i, a in enumerate(arguments) if a.required]
        operands, options = set(function.operands), set(function.options)
        self.operand_at = [len(leading) + i for i, a in enumerate(arguments) if a in operands]
        self.option_at = [len(leading) + i for i, a in enumerate(arguments) if a in options]
        self.count = len(self.names)

    def bind(self, method: str, args: tuple[Any, ...], kwargs: Mapping[str, Any], extras: dict[str, Any]) -> list[Any]:
        """The values in the order of ``names``; keywords of ``extras`` replace its defaults in place.

        Raises:
            TypeError: too many, unknown, doubled or missing arguments.
        """
        if len(args) > self.positional:
            shown = ", ".join([*self.names[: self.positional], "*", *self.names[self.positional:], *extras])
            raise TypeError(
                f"{method}() takes {self.positional} positional argument{'s' * (self.positional != 1)} "
                f"but {len(args)} were given; its signature is {method}({shown})"
            )
        values = [*args, *[MISSING] * (self.count - len(args))]
        for name, value in kwargs.items():
            at = self.index.get(self.aliases.get(name, name))
            if at is not None:
                if values[at] is not MISSING:
                    also = f", which {name!r} is another name of" if name in self.aliases else ""
                    raise TypeError(f"{method}() got multiple values for argument {self.names[at]!r}{also}")
                values[at] = value
            elif name in extras:
                extras[name] = value
            else:
                raise TypeError(f"{method}() got an unexpected keyword argument {name!r}{self._hint(name, extras)}")
        missing = [repr(self.names[i]) for i in self.required if values[i] is MISSING]
        if missing:
            raise TypeError(f"{method}() is missing {listing(missing, 'and')}")
        return values

    def _hint(self, name: str, extras: Mapping[str, Any]) -> str:
        instead = INSTEAD.get(name)
        if instead and ("reduction" in self.index or "reduction" not in instead):
            return f"; {instead}"
        known = [*self.names, *self.aliases, *extras]
        return did_you_mean(name, known) or f"; it takes {listing(known, 'and')}"
