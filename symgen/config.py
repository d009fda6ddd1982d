"""What ``[tool.symgen]`` in a pyproject.toml may say, and what holds where it says nothing."""

from __future__ import annotations

import difflib
import keyword
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from symgen import files, resources
from symgen.files import UserError

RUNTIMES = ("inline", "shared")
DOCS = "docs/reference"
SHEET = "sheet.tex"


@dataclass(frozen=True)
class Config:
    """Where a project's specs are, and where its kernels go.

    Attributes:
        root: The folder that holds the pyproject.toml; nothing generated names a path outside it.
        specs: Folders (or single files) of specs.
        out: The folder that the kernels are written to.
        package: The name under which that folder is imported, such as ``myproject.kernels``.
        runtime: "inline" copies what kernels need at run time beside them, so that they can be shipped without symgen;
            "shared" imports it from symgen.
        docs: The folder of the LaTeX reference, or None for none; without a key, where `symgen sheet` has written it.
        face: The Python file that offers the kernels, where that is not the package itself; its stub goes beside it.
        jobs: How many processes derive functions at once; None takes one for each core.
        cuda: Whether CUDA kernels are derived and written too.
    """

    root: Path
    specs: tuple[Path, ...]
    out: Path
    package: str
    runtime: str = "inline"
    docs: Path | None = None
    face: Path | None = None
    jobs: int | None = None
    cuda: bool = False

    def with_options(
        self,
        specs: Iterable[Path] = (),
        out: Path | None = None,
        package: str | None = None,
        jobs: int | None = None,
    ) -> Config:
        """The same project with what the command line says instead; kernels written elsewhere get no docs."""
        changed = replace(self, specs=tuple(path.resolve() for path in specs) or self.specs)
        if out is not None:
            folder = out.resolve()
            changed = replace(changed, out=folder, package=_as_package(folder.name), docs=None, face=None)
        if package is not None:
            changed = replace(changed, package=_package(package, "--package"))
        _refuse_overlap(changed, "this build")
        return changed if jobs is None else replace(changed, jobs=_jobs(jobs, "--jobs"))

    def with_docs(self, docs: Path) -> Config:
        """The same project with a LaTeX reference."""
        return replace(self, docs=docs)


def identifier(name: str) -> str:
    """A Python identifier as close to ``name`` as can be: ``my-project 2`` becomes ``my_project_2``."""
    text = re.sub(r"\W+", "_", name, flags=re.ASCII).strip("_").lower() or "project"
    text = f"_{text}" if text[0].isdigit() else text
    return f"{text}_" if keyword.iskeyword(text) else text


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A sentence that suggests the nearest known word, or lists them all."""
    names = sorted(known)
    close = difflib.get_close_matches(word, names, n=1)
    return f"did you mean {close[0]!r}?" if close else f"known: {', '.join(names)}"


def find(start: Path | None = None) -> Path | None:
    """The nearest pyproject.toml with a ``[tool.symgen]`` table, in ``start`` (default: here) or a folder above."""
    here = (start or Path.cwd()).resolve()
    for folder in (here, *here.parents):
        path = folder / "pyproject.toml"
        text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
        if "symgen" in text and "symgen" in _table(path):
            return path
    return None


def load(start: Path | None = None) -> Config | None:
    """The configuration of the project that ``start`` (default: the current folder) lies in, or None outside one.

    Raises:
        UserError: if the table has an unknown key or a value of the wrong kind.
    """
    path = find(start)
    return None if path is None else parse(path.parent, _table(path)["symgen"], str(path))


def catalogue() -> Config:
    """The catalogue's own configuration: what commands show outside a project."""
    root = resources.checkout()
    found = None if root is None else load(root)
    if found is not None:
        return found
    package = resources.PACKAGE
    face = package / "functional.py"
    return Config(package.parent, (resources.specs(),), resources.generated(), "symgen.generated", "shared", face=face)


def parse(root: Path, table: object, where: str) -> Config:
    """Check a ``[tool.symgen]`` table and fill in its defaults."""
    if not isinstance(table, Mapping):
        raise UserError(f"{where}: tool.symgen: expected a table\n  hint: write [tool.symgen] on a line of its own")
    values: dict[str, Any] = {}
    for key, value in table.items():
        if key not in _KEYS:
            raise UserError(f"{where}: [tool.symgen]: unknown key {key!r}\n  hint: {did_you_mean(key, _KEYS)}")
        values[key] = _KEYS[key](value, f"{where}: [tool.symgen]: {key}")
    specs = values.get("specs", ("specs",))
    out, package = _out_and_package(root, values.get("out"), values.get("package"))
    docs, face = values.get("docs"), values.get("face")
    found = Config(
        root=root,
        specs=tuple((root / spec).resolve() for spec in specs),
        out=(root / out).resolve(),
        package=package,
        runtime=values.get("runtime", "inline"),
        docs=_written_sheet(root) if docs is None else (root / docs).resolve(),
        face=None if face is None else _face(root, face, f"{where}: [tool.symgen]: face"),
        jobs=values.get("jobs"),
        cuda=values.get("cuda", False),
    )
    _refuse_overlap(found, f"{where}: [tool.symgen]")
    return found


def _face(root: Path, face: str, where: str) -> Path:
    """The module that offers the kernels: symgen writes a stub beside it, and never the module."""
    path = (root / face).resolve()
    if path.suffix != ".py" or not path.is_relative_to(root.resolve()) or not path.is_file():
        raise UserError(
            f"{where}: {face!r} is no Python file of this project\n"
            "  hint: name the module that offers the kernels, write it first, or leave `face` out: the package "
            "offers them itself"
        )
    return path


def _written_sheet(root: Path) -> Path | None:
    """Where `symgen sheet` writes if nothing is said, once it has: from then on builds keep it up to date."""
    sheet = root / DOCS / SHEET
    return sheet.parent.resolve() if sheet.is_file() and files.is_ours(sheet) else None


def _refuse_overlap(found: Config, where: str) -> None:
    """Kernels below a folder of specs would be read as specs by the next build."""
    for spec in found.specs:
        if found.out == spec or spec in found.out.parents:
            raise UserError(
                f"{where}: the kernels would go to {found.out}, which is in the folder of specs {spec}\n"
                "  hint: say another folder with `out` (--out on the command line)"
            )


def project_name(root: Path) -> str:
    """The import name of the project in ``root``: what its pyproject.toml says, or the folder's name."""
    path = root / "pyproject.toml"
    project = _document(path).get("project", {}) if path.is_file() else {}
    name = project.get("name") if isinstance(project, Mapping) else None
    return identifier(name if isinstance(name, str) else root.name)


def _out_and_package(root: Path, out: str | None, package: str | None) -> tuple[str, str]:
    """Either follows from the other: ``src/pkg/kernels`` is imported as ``pkg.kernels``."""
    if out is None:
        package = package or f"{project_name(root)}.kernels"
        folder = package.replace(".", "/")
        src = (root / "src" / package.split(".", maxsplit=1)[0]).is_dir()
        return (f"src/{folder}" if src else folder), package
    return out, package or _as_package(out)


def _as_package(out: str) -> str:
    parts = [part for part in PurePosixPath(out.replace("\\", "/")).parts if part not in {"/", ".", "..", "src"}]
    return ".".join(part if part.isidentifier() else identifier(part) for part in parts) or "kernels"


def _text(value: object, where: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise UserError(f'{where}: expected a text such as "kernels", got {value!r}')
    return value


def _texts(value: object, where: str) -> tuple[str, ...]:
    values = value if isinstance(value, list) else [value]
    if not values:
        raise UserError(f"{where}: expected a folder or a list of folders, got an empty list")
    return tuple(_text(item, where) for item in values)


def _package(value: object, where: str) -> str:
    name = _text(value, where)
    wrong = [part for part in name.split(".") if not part.isidentifier() or keyword.iskeyword(part)]
    if wrong:
        hint = ".".join(identifier(part) for part in name.split("."))
        raise UserError(f"{where}: {name!r} cannot be imported\n  hint: write {hint!r}")
    return name


def _runtime(value: object, where: str) -> str:
    if value not in RUNTIMES:
        raise UserError(f"{where}: expected one of {', '.join(map(repr, RUNTIMES))}, got {value!r}")
    return str(value)


def _jobs(value: object, where: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise UserError(f"{where}: expected a number of processes, 1 or more, got {value!r}")
    return value


def _flag(value: object, where: str) -> bool:
    if not isinstance(value, bool):
        raise UserError(f"{where}: expected true or false, got {value!r}")
    return value


_KEYS: dict[str, Callable[[object, str], object]] = {
    "specs": _texts,
    "out": _text,
    "package": _package,
    "runtime": _runtime,
    "docs": _text,
    "face": _text,
    "jobs": _jobs,
    "cuda": _flag,
}


def _document(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not valid TOML: {error}") from None


def _table(path: Path) -> Mapping[str, Any]:
    tool = _document(path).get("tool", {})
    return tool if isinstance(tool, Mapping) else {}
