"""Loading spec files from a path: imports between them, definitions, and the ops they make."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from symgen import resources
from symgen.spec.definition import Definition
from symgen.spec.domain import breach_of, difference_of
from symgen.spec.evaluate import Frame, assigned
from symgen.spec.language import BUILTINS, KEYWORDS, LANGUAGE, REDUCTIONS
from symgen.spec.model import Op, SpecError
from symgen.spec.text import SpecText, check_text, decorator_name, import_hint, needed_for, read_text, suggestion
from symgen.spec.trace import Trace

CATALOGUE = "symgen.catalogue"
ELEMENTARY = "elementary"
TYPES: dict[str, tuple[type, ...]] = {
    "torch": (str,), "cite": (str,), "reduction": (str,), "aliases": (tuple, list), "symbols": (dict,), "also": (dict,),
}  # fmt: skip


@dataclass
class Module:
    """A loaded spec file: its names, and the definitions that it holds itself."""

    text: SpecText
    scope: dict[str, Any] = field(default_factory=dict)
    definitions: dict[str, Definition] = field(default_factory=dict)


@dataclass
class Session:
    """One load: every file is read once, and nothing outlives it, so that an edited file is read anew."""

    root: Path
    only: str | None = None  # in the first file that is read
    modules: dict[Path, Module] = field(default_factory=dict)
    loading: list[Path] = field(default_factory=list)

    def module(self, path: Path) -> Module:
        """The module of a file.

        Raises:
            SpecError: anything wrong in it, or files that import each other in a circle.
        """
        path = path.resolve()
        if path not in self.modules:
            self.loading.append(path)
            text = read_text(path, self.generated_name(path))
            if self.only is not None and len(self.loading) == 1:
                text = needed_for(text, self.only)
            self.modules[path] = self.execute(text)
            self.loading.pop()
        return self.modules[path]

    def generated_name(self, path: Path) -> str:
        """The name that may appear in generated text: relative to the project, or to what holds the specs."""
        projects = [p for p in path.parents if (p / "pyproject.toml").is_file()]
        for base in (resources.specs().resolve().parent, *projects, self.root.resolve().parent):
            if path.is_relative_to(base):
                return path.relative_to(base).as_posix()
        return path.name

    def execute(self, text: SpecText) -> Module:
        check_text(text, LANGUAGE, BUILTINS, catalogue_index)
        module = Module(text, dict(BUILTINS))
        for statement in text.tree.body:
            if isinstance(statement, (ast.Import, ast.ImportFrom)):
                module.scope |= self.imported(statement, text)
            elif isinstance(statement, ast.Assign):
                module.scope = assigned(statement, Frame(text, "", module.scope, Trace(), {})).names
            elif isinstance(statement, ast.FunctionDef):
                definition = define(statement, text, module.scope)
                module.scope[statement.name] = module.definitions[statement.name] = definition
        for definition in module.definitions.values():
            definition.scope = module.scope
        return module

    def imported(self, statement: ast.Import | ast.ImportFrom, text: SpecText) -> dict[str, Any]:
        """The names that an import statement brings in."""
        if isinstance(statement, ast.Import):
            what = f"a spec does not import the module '{statement.names[0].name}'"
            raise text.error(statement.lineno, "", what, "import names: from symgen.spec import exp")
        if statement.module == "__future__":
            return {}
        names: dict[str, Any] = {}
        for alias in statement.names:
            names[alias.asname or alias.name] = self.imported_name(statement, alias.name, text)
        return names

    def imported_name(self, statement: ast.ImportFrom, name: str, text: SpecText) -> Any:
        module = "." * statement.level + (statement.module or "")
        if module in ("symgen.spec", "typing"):
            available = LANGUAGE if module == "symgen.spec" else {"Literal": LANGUAGE["Literal"]}
        elif module == CATALOGUE:
            available = {**self.module(catalogue_file(name)).scope} if name in catalogue_index() else catalogue_index()
        else:
            available = self.module(self.module_path(statement, module, text)).scope
        if name not in available or (module == CATALOGUE and name not in catalogue_index()):
            offered = catalogue_index() if module == "symgen.spec" else ()
            hint = f"from symgen.spec import {name}" if name in LANGUAGE else suggestion(name, available, offered)
            raise text.error(statement.lineno, "", f"'{name}' is not in {module}", hint)
        return available[name]

    def module_path(self, statement: ast.ImportFrom, module: str, text: SpecText) -> Path:
        """The spec file that an import names: relative, beside this one, or from the specs' root."""
        parts = (statement.module or "").split(".")
        folder = text.path.parent
        for _ in range(statement.level - 1):
            folder = folder.parent
        folders = [folder] if statement.level else [folder, self.root]
        for base in folders:
            path = base.joinpath(*parts).with_suffix(".py")
            if statement.module and path.is_file():
                if path.resolve() in self.loading:
                    circle = " -> ".join(p.name for p in [*self.loading, path])
                    what = f"specs import each other in a circle: {circle}"
                    raise text.error(statement.lineno, "", what, "put what both need into a third file")
                return path
        known = {p.stem for p in folder.glob("*.py")} | {"symgen.spec", CATALOGUE}
        if statement.module in LANGUAGE or statement.module in ("math", "numpy", "sympy", "torch", "cmath"):
            wanted = [alias.name for alias in statement.names if alias.name != "*"]
            unknown = [name for name in wanted if name not in LANGUAGE]
            meant = f"from symgen.spec import {', '.join(wanted) or '...'}"
            hint = f"'{module}' works on numbers, a spec on symbols: "
            hint += import_hint(unknown[0], LANGUAGE, (), catalogue_index()) if unknown else meant
        else:
            hint = suggestion(statement.module or "", known)
        raise text.error(statement.lineno, "", f"there is no spec file '{module}' to import from", hint)


def define(node: ast.FunctionDef, text: SpecText, scope: dict[str, Any]) -> Definition:
    """A definition from a decorated function, its decorator's keywords checked."""
    decorator = node.decorator_list[0]
    kind = decorator_name(decorator)
    meta: dict[str, Any] = {}

    def wrong(what: str, hint: str) -> SpecError:
        return text.error(decorator.lineno, node.name, what, hint)

    if isinstance(decorator, ast.Call):
        if decorator.args:
            raise wrong(f"@{kind} takes keywords only", f"@{kind}({', '.join(k + '=' for k in KEYWORDS[kind])})")
        for keyword in decorator.keywords:
            if keyword.arg not in KEYWORDS[kind]:
                raise wrong(f"@{kind} has no keyword '{keyword.arg}'", suggestion(str(keyword.arg), KEYWORDS[kind]))
            try:
                meta[keyword.arg] = ast.literal_eval(keyword.value)
            except ValueError:
                raise wrong(f"'{keyword.arg}' is not a constant", "write the text itself") from None
    elif kind != "function":
        raise wrong(f"@{kind} needs brackets", f"@{kind}()")
    check_meta(meta, [a.arg for a in [*node.args.args, *node.args.kwonlyargs]], wrong)
    return Definition(kind, node, text, scope, meta)


def check_meta(meta: dict[str, Any], arguments: list[str], wrong: Any) -> None:
    """The types of a decorator's keywords, and the names that they mention."""
    for keyword, value in meta.items():
        if value is not None and not isinstance(value, TYPES[keyword]):
            raise wrong(f"'{keyword}' is {value!r}", f"it is a {TYPES[keyword][0].__name__}")
    texts = list(meta.get("aliases") or ())
    texts += [t for k in ("symbols", "also") for pair in (meta.get(k) or {}).items() for t in pair]
    for text in texts:
        if not isinstance(text, str):
            raise wrong(f"{text!r} is not text", "write it in quotes")
    if meta.get("reduction", "mean") not in REDUCTIONS:
        raise wrong(f"reduction is {meta['reduction']!r}", f"it is one of {', '.join(REDUCTIONS)}")
    for name in meta.get("symbols") or {}:
        if name not in arguments:
            raise wrong(f"'symbols' names '{name}', which is no argument", suggestion(name, arguments))
    for name in meta.get("aliases") or ():
        if not name.isidentifier():
            raise wrong(f"alias {name!r} is not a name", "letters, digits and underscores")


def spec_files(folder: Path) -> list[Path]:
    """The spec files below a folder, in the order of their names.

    Hidden and private files are left out, and so is ``elementary/``, whose specs state approximations, not formulas.
    """
    return sorted(
        p
        for p in folder.rglob("*.py")
        if not any(part.startswith((".", "_")) or part == ELEMENTARY for part in p.relative_to(folder).parts)
    )


def catalogue_index() -> dict[str, Path]:
    """Which file of the catalogue defines which name, read off the text without running it."""
    index: dict[str, Path] = {}
    for path in spec_files(resources.specs()):
        for line in path.read_text(encoding="utf-8").splitlines():
            if line.startswith("def "):
                index[line[4:].split("(")[0].strip()] = path
    return index


def catalogue_file(name: str) -> Path:
    return catalogue_index()[name]


def load(
    path: str | Path, *, functions: bool = False, root: str | Path | None = None, only: str | None = None
) -> dict[str, Op]:
    """Load the specs in a file or below a folder.

    Args:
        path: a ``.py`` file, or a folder that is searched to the bottom.
        functions: include ``@function`` definitions, which have no kernel of their own.
        root: for a single file, the folder of specs that it belongs to; its own folder if not said.
        only: the name of one function, where a mistake in another is none of the caller's business.

    Returns:
        The ops by name, in the order of their names.

    Raises:
        SpecError: anything wrong in a spec, with file, line, text and a hint.

    Example:
        >>> from symgen.spec import load
        >>> from symgen.catalogue import folder
        >>> str(load(folder() / "activations" / "relu.py")["relu"].variants[0].value)
        'first_max(0, x)'
    """
    path = Path(path)
    if not path.exists():
        raise SpecError(f"{path}: there is no such file or folder\n  hint: symgen init makes one", str(path))
    session = Session(path if path.is_dir() else Path(root or path.parent), only)
    files = spec_files(path) if path.is_dir() else [path]
    try:
        definitions = [d for f in files for d in session.module(f).definitions.values()]
        check_unique(definitions)
        chosen = {d.name: checked_op(d) for d in definitions if only in (None, d.name)}
    except RecursionError:
        what = "a formula is nested too deeply"
        raise SpecError(f"{path}: {what}\n  hint: give parts of it names: y = ...", str(path)) from None
    return {n: op for n, op in sorted(chosen.items()) if functions or op.kind != "function"}


def checked_op(definition: Definition) -> Op:
    """The op, with its stated domain and its other written forms checked; shared parts are checked where they are used.

    Raises:
        SpecError: undefined or complex inside the domain, or another form that is another function.
    """
    op = definition.op
    if op.kind == "function":
        return op
    breach = breach_of(op)
    if breach is not None:
        named = {str(symbol) for symbol, _ in breach.point}
        lines = [p.line for p in definition.parameters if named == {p.name}]
        raise definition.error(breach.what, breach.hint, lines[0] if lines else 0)
    for alternative in op.alternatives:
        found = difference_of(op, alternative.value, op.variants[0])
        if found is not None:
            symbol, value, here, there = found
            where = f"{symbol} = {float(value):g}"
            what = f"the other form '{alternative.text}' is {there:.6g} at {where}, the definition {here:.6g}"
            raise definition.error(what, "both forms have to agree where the options have their defaults")
    return op


def check_unique(definitions: list[Definition]) -> None:
    """No two files may define the same name, or an alias that is taken."""
    taken: dict[str, Definition] = {}
    for definition in definitions:
        for name in (definition.name, *definition.meta.get("aliases", ())):
            if name in taken:
                other = taken[name]
                where = f"{other.text.shown}:{other.node.lineno}"
                raise definition.error(f"'{name}' is defined twice, first at {where}", "give one of them another name")
            taken[name] = definition
