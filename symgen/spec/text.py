"""Reading a spec file's text: parsing it, and finding the mistakes that show without running anything."""

from __future__ import annotations

import ast
import difflib
import textwrap
import warnings
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from symgen.spec.model import SpecError

DECORATORS = ("activation", "loss", "function")
STATEMENTS = (ast.Return, ast.Assign, ast.If, ast.Assert, ast.Expr)
MODULE_STATEMENTS = (ast.Expr, ast.Import, ast.ImportFrom, ast.Assign, ast.FunctionDef)
COMPREHENSIONS = (ast.GeneratorExp, ast.ListComp)
EXPRESSIONS = (
    ast.Constant, ast.Name, ast.BinOp, ast.UnaryOp, ast.BoolOp, ast.Compare, ast.IfExp, ast.Call, ast.Subscript,
    ast.Tuple, ast.List, *COMPREHENSIONS, ast.keyword, ast.comprehension, ast.expr_context, ast.operator,
    ast.unaryop, ast.boolop, ast.cmpop,
)  # fmt: skip
STATEMENT_HINTS = {
    ast.For: "sums are written sum(... for k in C)",
    ast.While: "a formula has no loops; sums are written sum(... for k in C)",
    ast.Import: "imports stand at the top of the file: from symgen.spec import ...",
    ast.ImportFrom: "imports stand at the top of the file: from symgen.spec import ...",
    ast.FunctionDef: "a shared part is a @function of its own, beside this one",
    ast.AugAssign: "write y = y + ...",
    ast.AnnAssign: "write y = ... without an annotation",
    ast.Pass: "return the formula",
}
EXPRESSION_HINTS = {
    ast.Lambda: "write the formula out, or make it a @function of its own, beside this one",
    ast.NamedExpr: "give it its name on a line of its own: y = ...",
    ast.JoinedStr: "write the text itself",
}
RESERVED = ("self", "g", "out", "wrt", "order", "check", "where")
"""What the public face calls its own arguments; a Mask may be called ``where``, because that is what it is there."""

Catalogue = Callable[[], Collection[str]]
ELSEWHERE = {
    "float": "Real", "int": "Int", "str": "Literal", "ln": "log", "arctan": "atan", "power": "a ** b",
    "pow": "a ** b", "len": "size(C)", "range": "for k in C", "clip": "min(high, max(low, x))",
    "clamp": "min(high, max(low, x))", "expm1": "exp(x) - 1", "log1p": "log(1 + x)", "where": "a if condition else b",
    "relu": "max(0, x)", "arcsinh": "asinh", "arcsin": "asin", "arccos": "acos", "arctanh": "atanh", "arccosh": "acosh",
    "Array": "Tensor", "absolute": "abs", "exp2": "2 ** x",
}  # fmt: skip


@dataclass(frozen=True)
class SpecText:
    """A spec file as text: ``shown`` is its name in errors, ``name`` the one that generated files may carry."""

    path: Path
    shown: str
    name: str
    text: str
    tree: ast.Module

    def error(self, line: int, owner: str, what: str, hint: str = "") -> SpecError:
        """A SpecError at a line of this file."""
        lines = self.text.splitlines()
        quoted = lines[line - 1].strip() if 0 < line <= len(lines) else ""
        return located(self.shown, line, owner, what, quoted, hint)

    def source(self, node: ast.FunctionDef) -> str:
        """The definition as written, decorators left out."""
        return textwrap.dedent("\n".join(self.text.splitlines()[node.lineno - 1 : node.end_lineno]))


def located(shown: str, line: int, owner: str, what: str, quoted: str, hint: str) -> SpecError:
    """The error text of every mistake in a spec: place, what is wrong, the text, what to do."""
    message = f"{shown}:{line}: {owner + ': ' if owner else ''}{what}"
    message += f"\n    {quoted}" if quoted else ""
    message += f"\n  hint: {hint}" if hint else ""
    return SpecError(message, shown, line)


def shown_path(path: Path) -> str:
    """How errors call a file: relative to the working directory where it lies inside it."""
    try:
        return path.resolve().relative_to(Path.cwd()).as_posix()
    except ValueError:
        return path.as_posix()


def read_text(path: Path, name: str) -> SpecText:
    """Read and parse one file.

    Raises:
        SpecError: it cannot be read, is not UTF-8, or is not Python.
    """
    shown = shown_path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise SpecError(f"{shown}: cannot be read: {error.strerror or error}", shown) from None
    except UnicodeDecodeError:
        raise SpecError(f"{shown}: is not UTF-8 text\n  hint: save the file as UTF-8", shown) from None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)  # what Python merely doubts is judged by the checks below
            tree = ast.parse(text, filename=shown)
    except SyntaxError as error:
        line = error.lineno or 1
        quoted = (error.text or "").strip()
        raise located(shown, line, "", f"not Python: {error.msg}", quoted, "") from None
    except ValueError as error:
        raise SpecError(f"{shown}: not Python: {error}", shown) from None
    return SpecText(path, shown, name, text, tree)


def needed_for(text: SpecText, name: str) -> SpecText:
    """The file without the functions that one of its own does not use, whatever is wrong with them."""
    own = {f.name: f for f in functions(text.tree)}
    wanted: set[str] = set()
    pending = [name] if name in own else list(own)
    while pending:
        found = pending.pop()
        wanted.add(found)
        used = {n.id for f in functions(text.tree) if f.name == found for n in ast.walk(f) if isinstance(n, ast.Name)}
        pending += (used & own.keys()) - wanted
    kept = [s for s in text.tree.body if not isinstance(s, ast.FunctionDef) or s.name in wanted]
    return replace(text, tree=ast.Module(kept, text.tree.type_ignores))


def check_text(
    text: SpecText, language: Collection[str], builtin: Collection[str], catalogue: Catalogue = tuple
) -> None:
    """Find the mistakes that the text alone shows.

    Args:
        text: the file.
        language: the names that ``symgen.spec`` offers, for suggestions.
        builtin: the names that need no import.
        catalogue: gives the functions of the catalogue, for suggestions; it is called where there is a mistake only.

    Raises:
        SpecError: the first mistake, in the order of the file.
    """
    for node in ast.walk(text.tree):
        if isinstance(node, ast.Attribute):
            raise attribute_error(text, node, language, catalogue)
    for statement in text.tree.body:
        if not isinstance(statement, MODULE_STATEMENTS) or is_stray(statement):
            word = statement_word(statement)
            what = f"a spec file has no {word} at its top level"
            raise text.error(statement.lineno, "", what, "it holds imports, axes, numbers and functions")
        if isinstance(statement, ast.ImportFrom) and any(a.name == "*" for a in statement.names):
            raise text.error(statement.lineno, "", "an import of everything", "name what is used")
    defined = module_names(text.tree)
    check_duplicates(text)
    for function in functions(text.tree):
        check_function(text, function, defined | set(builtin), set(language), catalogue)


def is_stray(statement: ast.stmt) -> bool:
    """An expression at the top level that is not a docstring."""
    return isinstance(statement, ast.Expr) and not (
        isinstance(statement.value, ast.Constant) and isinstance(statement.value.value, str)
    )


def functions(tree: ast.Module) -> Iterator[ast.FunctionDef]:
    return (s for s in tree.body if isinstance(s, ast.FunctionDef))


def module_names(tree: ast.Module) -> set[str]:
    names: set[str] = set()
    for statement in tree.body:
        if isinstance(statement, (ast.Import, ast.ImportFrom)):
            names |= {(a.asname or a.name).split(".")[0] for a in statement.names}
        elif isinstance(statement, ast.FunctionDef):
            names.add(statement.name)
        elif isinstance(statement, ast.Assign):
            names |= stored(statement)
    return names


def stored(node: ast.AST) -> set[str]:
    return {n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}


def check_duplicates(text: SpecText) -> None:
    """One name, one definition: a second one in the same file would silently win."""
    lines: dict[str, int] = {}
    for function in functions(text.tree):
        if function.name in lines:
            what = f"'{function.name}' is defined twice, first at {text.shown}:{lines[function.name]}"
            raise text.error(function.lineno, "", what, "give one of them another name")
        lines[function.name] = function.lineno


def attribute_error(text: SpecText, node: ast.Attribute, language: Collection[str], catalogue: Catalogue) -> SpecError:
    written = ast.unparse(node)
    hint = import_hint(node.attr, language, (), catalogue())
    return text.error(node.lineno, owner_of(text, node), f"'{written}' works on numbers, a spec on symbols", hint)


def owner_of(text: SpecText, node: ast.AST) -> str:
    line = getattr(node, "lineno", 0)
    return next((f.name for f in functions(text.tree) if f.lineno <= line <= (f.end_lineno or 0)), "")


def suggestion(name: str, known: Collection[str], catalogue: Collection[str] = ()) -> str:
    """What was probably meant by an unknown name: one of those known, or a function that the catalogue has."""
    if name in ELSEWHERE:
        return f"write {ELSEWHERE[name]}"
    if name in catalogue:
        return f"from symgen.catalogue import {name}"
    near = difflib.get_close_matches(name, sorted({*known, *catalogue}), 1, 0.6)
    if not near:
        return "names come from the signature, symgen.spec, symgen.catalogue and other specs"
    (meant,) = near
    return f"did you mean '{meant}'?" + ("" if meant in known else f" from symgen.catalogue import {meant}")


def statement_word(statement: ast.stmt) -> str:
    words: dict[type[ast.stmt], str] = {ast.FunctionDef: "nested function", ast.Expr: "bare expression"}
    name = type(statement).__name__.removesuffix("Def").removeprefix("Async").lower()
    return words.get(type(statement), f"'{name.replace('importfrom', 'import')}' statement")


def check_function(
    text: SpecText, function: ast.FunctionDef, known: set[str], language: set[str], catalogue: Catalogue
) -> None:
    """One function: decorator, signature, docstring, statements, names, and that it returns something."""
    check_head(text, function)
    check_reserved(text, function)
    if not (ast.get_docstring(function) or "").strip():
        raise text.error(function.lineno, function.name, "no docstring", "one sentence that says what the function is")
    for statement in function.body[1:]:
        check_statement(text, function, statement)
    arguments = {a.arg for a in all_arguments(function)}
    local = arguments | {n for s in function.body for n in stored(s)} - bound_names(function)
    check_names(text, function, known | local, language, catalogue)
    if not any(isinstance(n, ast.Return) for n in ast.walk(function)):
        raise text.error(function.lineno, function.name, "nothing is returned", "end with 'return' and the formula")
    check_read(text, function)


def check_head(text: SpecText, function: ast.FunctionDef) -> None:
    names = [decorator_name(d) for d in function.decorator_list]
    if len(names) != 1 or names[0] not in DECORATORS:
        wrong = next((n for n in names if n not in DECORATORS), "")
        what = f"unknown decorator '@{wrong}'" if wrong else "a spec needs one decorator"
        near = difflib.get_close_matches(wrong, DECORATORS, 1)
        hint = f"did you mean '@{near[0]}'?" if near else "@activation(...), @loss(...), or @function for a shared part"
        raise text.error(function.lineno, function.name, what, hint)
    a = function.args
    if a.vararg or a.kwarg:
        raise text.error(function.lineno, function.name, "'*' takes any number of arguments", "name each argument")


def check_reserved(text: SpecText, function: ast.FunctionDef) -> None:
    """No argument of a kernel is called as one that its methods have besides."""
    if decorator_name(function.decorator_list[0]) == "function":  # has no public face
        return
    for argument in all_arguments(function):
        mask = argument.annotation is not None and ast.unparse(argument.annotation).startswith("Mask")
        if argument.arg in RESERVED and not (argument.arg == "where" and mask):
            what = f"no argument can be called '{argument.arg}': the generated functions have one of that name"
            hint = f"rename it, for instance '{argument.arg}_'"
            hint += "; only a Mask may be called 'where'" if argument.arg == "where" else ""
            raise text.error(argument.lineno, function.name, what, hint)


def decorator_name(node: ast.expr) -> str:
    target = node.func if isinstance(node, ast.Call) else node
    return ast.unparse(target)


def all_arguments(function: ast.FunctionDef) -> list[ast.arg]:
    return [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]


def bound_names(node: ast.AST) -> set[str]:
    return {n for c in ast.walk(node) if isinstance(c, COMPREHENSIONS) for g in c.generators for n in stored(g.target)}


def check_statement(text: SpecText, function: ast.FunctionDef, statement: ast.stmt) -> None:
    if not isinstance(statement, STATEMENTS) or isinstance(statement, ast.Expr):
        hint = STATEMENT_HINTS.get(type(statement), "a spec assigns, returns, and distinguishes cases with 'if'")
        what = f"a spec has no {statement_word(statement)}"
        raise text.error(statement.lineno, function.name, what, hint)
    if isinstance(statement, ast.If):
        for inner in [*statement.body, *statement.orelse]:
            check_statement(text, function, inner)
        expressions: list[ast.AST] = [statement.test]
    else:
        expressions = list(ast.iter_child_nodes(statement))
    for expression in expressions:
        for node in ast.walk(expression):
            if not isinstance(node, EXPRESSIONS):
                line = getattr(node, "lineno", statement.lineno)
                what = f"a formula has no {type(node).__name__.lower()}"
                raise text.error(line, function.name, what, EXPRESSION_HINTS.get(type(node), ""))


def check_names(
    text: SpecText, function: ast.FunctionDef, known: set[str], language: set[str], catalogue: Catalogue
) -> None:
    """Unknown names, and indices used outside the sum that binds them."""
    bound = bound_names(function)

    def visit(node: ast.AST, inside: frozenset[str]) -> None:
        if isinstance(node, COMPREHENSIONS):
            inside = inside | {n for g in node.generators for n in stored(g.target)}
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id not in known | inside:
            if node.id in bound:
                what = f"index '{node.id}' is bound by its sum alone"
                hint = "outside a sum the axis itself is the index: x[C], or just x"
            else:
                what = f"unknown name '{node.id}'"
                hint = import_hint(node.id, language, known, catalogue())
            raise text.error(node.lineno, function.name, what, hint)
        for child in ast.iter_child_nodes(node):
            visit(child, inside)

    for part in [function.args, *function.decorator_list, *function.body]:
        visit(part, frozenset())


def import_hint(name: str, language: Collection[str], known: Collection[str], catalogue: Collection[str]) -> str:
    """How to get a name that is not there, or the name that was probably meant."""
    return f"from symgen.spec import {name}" if name in language else suggestion(name, {*language, *known}, catalogue)


def check_read(text: SpecText, function: ast.FunctionDef) -> None:
    """Every argument occurs in the body; one that does not is a slip or should go."""
    read: set[Any] = {n.id for s in function.body for n in ast.walk(s) if isinstance(n, ast.Name)}
    for argument in all_arguments(function):
        if argument.arg not in read and not is_shape(argument):
            hint = f"use it or remove it: '{argument.arg}'"
            raise text.error(argument.lineno, function.name, f"argument '{argument.arg}' is never used", hint)


def is_shape(argument: ast.arg) -> bool:
    """``Shape[D]`` is there to say which axes D spans, and need not occur in the formula."""
    return argument.annotation is not None and ast.unparse(argument.annotation).startswith("Shape[")
