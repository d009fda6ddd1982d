"""Tells from hashes alone what has to be built: which functions the spec files define, and the key of each.

A key is the SHA-256 of everything that a function's files depend on: the text of its spec and of the spec files that
this one takes names from, the part of symgen that turns a formula into text, the templates, the series of SymPy, and
the settings of the project that show in the text. Nothing here imports SymPy, and nothing runs a spec.
"""

from __future__ import annotations

import ast
import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from symgen import files, resources
from symgen.config import Config
from symgen.files import UserError, digest

CERTIFICATES = "certificates"
DEVICE = "cuda"  # the folder in it of what was measured of CUDA kernels
KERNEL_DECORATORS = frozenset({"activation", "loss"})
LANGUAGE = frozenset({"symgen.spec", "typing", "__future__"})
DECORATORS = KERNEL_DECORATORS | {"function"}

_WITHOUT_INFLUENCE = (
    "__main__.py",
    "build_check.py",
    "build_pool.py",
    "certif",
    "cli",
    "config.py",
    "console.py",
    "cuda_",
    "doctor.py",
    "enclosure.py",
    "exhaustive.py",
    "explain/conditioning.py",
    "explain/document.py",
    "explain/report.py",
    "explain/text.py",
    "explain/words.py",
    "files.py",
    "functional.py",
    "generated/",
    "measure",
    "proofs.py",
    "prove",
    "ptx/",
    "reference.py",
    "resources.py",
    "runtime/",
    "scaffold.py",
    "sweep.py",
    "taylor.py",
    "views.py",
)
"""What no generated text depends on, as prefixes; all else in the package counts, so that a new module does too."""

_INLINED = ("again", "extremes", "intrinsics", "lists", "reductions", "stretches", "trig")
_WITH_INFLUENCE = tuple(f"runtime/{name}.py" for name in _INLINED)
"""Kernels inline these, and Numba's cache does not see an edit in an imported file."""


@dataclass(frozen=True)
class SpecFile:
    """What one spec file defines and where it takes names from, as its syntax tells.

    Attributes:
        path: The file.
        text_digest: The SHA-256 of its text.
        kernels: Names of its activations and losses, in the order of the file.
        defined: Names of all its specs, shared functions without a kernel among them.
        aliases: Other names of its specs, each with the spec's own.
        imported: Names that it imports from elsewhere than the language, and parts of module names.
    """

    path: Path
    text_digest: str
    kernels: tuple[str, ...]
    defined: frozenset[str]
    aliases: Mapping[str, str]
    imported: frozenset[str]


@dataclass(frozen=True)
class Target:
    """One function to build.

    Attributes:
        name: The function.
        file: The file of its spec.
        key: The hash of everything that its kernels depend on.
        aliases: Its other names.
        certificate: What was measured of it, if its card is to show that.
        measured: The hash of that file, which the card depends on and the kernels do not; empty without one.
    """

    name: str
    file: Path
    key: str
    aliases: tuple[str, ...] = ()
    certificate: Path | None = None
    measured: str = ""


def targets(config: Config) -> dict[str, Target]:
    """Every function that the project's specs define, by name.

    Raises:
        UserError: if a folder of specs is missing, a file is not Python, or two files define one name.
    """
    own = [scan(path) for path in spec_files(config.specs)]
    catalogue = [] if resources.specs() in config.specs else [scan(path) for path in spec_files((resources.specs(),))]
    _refuse_duplicates(own)
    providers = _providers([*catalogue, *own])
    base = _base(config)
    found: dict[str, Target] = {}
    for file in own:
        closure = [f"{part.path.name}:{part.text_digest}" for part in _closure(file, providers)]
        for name in file.kernels:
            certificate = config.out / CERTIFICATES / f"{name}.json"
            text = files.read(certificate) if config.docs is not None else None
            device = files.read(device_certificate(certificate)) or ""
            shown, measured = (None, "") if text is None else (certificate, digest(text + device))
            aliases = tuple(alias for alias, of in file.aliases.items() if of == name)
            found[name] = Target(name, file.path, combine([base, *closure]), aliases, shown, measured)
    return dict(sorted(found.items()))


def device_certificate(certificate: Path) -> Path:
    """Where what was measured of a function's CUDA kernels is, beside its certificate."""
    return certificate.parent / DEVICE / certificate.name


def spec_files(roots: Iterable[Path]) -> list[Path]:
    """The Python files in folders of specs, sorted; names that start with ``_`` or ``.`` are left out."""
    found: list[Path] = []
    for root in roots:
        if root.is_file():
            found.append(root)
        elif root.is_dir():
            inside = (path for path in sorted(root.rglob("*.py")) if _visible(path.relative_to(root)))
            found.extend(inside)
        else:
            raise UserError(
                f"{root}: no such folder of specs\n  hint: make it with `symgen init`, or say --specs FOLDER"
            )
    return list(dict.fromkeys(found))


def _visible(path: Path) -> bool:
    return not any(part.startswith(("_", ".")) for part in path.parts)


def scan(path: Path) -> SpecFile:
    """Read what a spec file defines from its syntax tree, without running it."""
    text = path.read_text(encoding="utf-8", errors="replace")
    try:
        tree = ast.parse(text, filename=str(path))
    except SyntaxError as error:
        line = (error.text or "").rstrip()
        raise UserError(f"{path}:{error.lineno}: not valid Python: {error.msg}\n    {line.strip()}") from None
    renamed = {
        alias.asname: alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if alias.asname
    }
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    kinds = {node.name: _kind(node, renamed) for node in functions}
    return SpecFile(
        path=path,
        text_digest=digest(text),
        kernels=tuple(name for name, kind in kinds.items() if kind in KERNEL_DECORATORS),
        defined=frozenset(name for name, kind in kinds.items() if kind in DECORATORS),
        aliases={alias: node.name for node in functions for alias in _aliases(node)},
        imported=frozenset(_imported(tree)),
    )


def _kind(function: ast.FunctionDef, renamed: Mapping[str, str]) -> str:
    for decorator in function.decorator_list:
        node = decorator.func if isinstance(decorator, ast.Call) else decorator
        name = node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
        kind = renamed.get(name, name)
        if kind in DECORATORS:
            return kind
    return ""


def _aliases(function: ast.FunctionDef) -> Iterator[str]:
    """The texts that a decorator's ``aliases=`` holds; what else it might hold, loading will complain of."""
    calls = (node for node in function.decorator_list if isinstance(node, ast.Call))
    values = (keyword.value for call in calls for keyword in call.keywords if keyword.arg == "aliases")
    for value in values:
        for item in value.elts if isinstance(value, ast.Tuple | ast.List) else []:
            if isinstance(item, ast.Constant) and isinstance(item.value, str):
                yield item.value


def _imported(tree: ast.Module) -> Iterable[str]:
    """The names that a spec file takes from other spec files; the words of the language are none of them."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module not in LANGUAGE:
            yield from (node.module or "").split(".")
            yield from (alias.name for alias in node.names)
            if any(alias.name == "*" for alias in node.names):
                yield from (name.id for name in ast.walk(tree) if isinstance(name, ast.Name))
        elif isinstance(node, ast.Import):
            yield from (part for alias in node.names for part in alias.name.split("."))


def _refuse_duplicates(specs: Iterable[SpecFile]) -> None:
    where: dict[str, Path] = {}
    for file in specs:
        for name in sorted({*file.defined, *file.aliases}):
            if name in where:
                also = f"{name} is defined in {where[name]} as well"
                raise UserError(f"{file.path}: {also}\n  hint: rename one of the two")
            where[name] = file.path


def _providers(specs: Iterable[SpecFile]) -> dict[str, list[SpecFile]]:
    """The files that an imported name may come from: those that define it, and those that are called so."""
    found: dict[str, list[SpecFile]] = {}
    for file in specs:
        for name in {*file.defined, file.path.stem}:
            found.setdefault(name, []).append(file)
    return found


def _closure(start: SpecFile, providers: Mapping[str, list[SpecFile]]) -> list[SpecFile]:
    """The file and all files whose specs it imports, directly or through others.

    An import that merely looks like a spec's counts too: rebuilding once too often is cheap, once too seldom is wrong.
    """
    found = {start.path: start}
    waiting = [start]
    while waiting:
        for name in sorted(waiting.pop().imported):
            new = [file for file in providers.get(name, []) if file.path not in found]
            found |= {file.path: file for file in new}
            waiting += new
    return [found[path] for path in sorted(found)]


def _base(config: Config) -> str:
    return combine([engine(), sympy_series(), config.runtime, config.package, str(config.cuda)])


@cache
def engine() -> str:
    """The hash of the sources and templates that turn a formula into text."""
    package, templates = resources.PACKAGE, resources.templates()
    sources = {path.relative_to(package).as_posix(): path for path in package.rglob("*.py")}
    chosen = {name: path for name, path in sources.items() if _counts(name)}
    chosen |= {f"templates/{path.relative_to(templates).as_posix()}": path for path in _files(templates)}
    elementary = resources.specs() / "elementary"  # every kernel may use these
    chosen |= {f"elementary/{path.relative_to(elementary).as_posix()}": path for path in _files(elementary)}
    return combine(f"{name}:{digest(chosen[name].read_text(encoding='utf-8'))}" for name in sorted(chosen))


@cache
def helpers() -> str:
    """The hash of what kernels inline from the runtime; it stands in their headers, so that Numba's cache sees it."""
    return combine(map(digest, _runtime().values()))


@cache
def _runtime() -> dict[str, str]:
    """The modules of the runtime that kernels may inline."""
    return {name: (resources.PACKAGE / name).read_text(encoding="utf-8") for name in _WITH_INFLUENCE}


def inlined(texts: Iterable[str]) -> dict[str, str]:
    """The modules of the runtime that kernels inline, as far as these texts import them, directly or through others."""
    known = _runtime()
    found: dict[str, str] = {}
    waiting = list(texts)
    while waiting:
        text = waiting.pop()
        for name, source in known.items():
            if name not in found and re.search(rf"^from [\w.]*\.{Path(name).stem} import", text, re.MULTILINE):
                found[name] = source
                waiting.append(source)
    return found


def combine(parts: Iterable[str]) -> str:
    """One hash of many texts."""
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and _visible(path.relative_to(folder))]


def _counts(name: str) -> bool:
    if name.startswith(("_data/", "generated/")):
        return False
    return name in _WITH_INFLUENCE or not name.startswith(_WITHOUT_INFLUENCE)


def sympy_series() -> str:
    """SymPy's series, such as "1.14": its canonical order shows in the text, its patch releases do not."""
    try:
        return ".".join(version("sympy").split(".")[:2])
    except PackageNotFoundError:
        return "none"
