"""What `symgen init` and `symgen new` write: a project of the user's own, and a spec to start from."""

from __future__ import annotations

import keyword
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

from symgen import build_keys, config, files
from symgen.config import Config
from symgen.files import UserError

PROJECT = """\
[project]
name = "{name}"
version = "0.1.0"
requires-python = ">=3.11"
dependencies = ["numpy", "numba"]  # all that the kernels need; symgen itself is needed to build them only

"""

TABLE = """\
[tool.symgen]
specs = "specs"  # where the formulas are
out = "{out}"  # where `symgen build` writes the kernels
package = "{package}"  # how they are imported
"""

PACKAGE = '"""The package of {name}."""\n'

SPECS = {
    "activation": '''\
"""{title}: replace the formula, then run `symgen build {name}`."""

from symgen.spec import activation, exp


@activation()
def {name}(x):  # an option is declared with its domain and default: (x, beta: Real > 0 = 1)
    """The input, weighted by its logistic function."""
    return x / (1 + exp(-x))
''',
    "loss": '''\
"""{title}: replace the formula, then run `symgen build {name}`."""

from symgen.spec import Real, abs, loss


@loss()
def {name}(input, target, *, delta: Real > 0 = 1):
    """Squared near zero, absolute beyond delta."""
    r = abs(input - target)
    return r**2 / 2 if r < delta else delta * (r - delta / 2)
''',
}

FOLDERS = {"activation": "activations", "loss": "losses"}


@dataclass(frozen=True)
class Written:
    """What a command has made: files in the order in which to look at them, and what was there already."""

    new: tuple[Path, ...]
    kept: tuple[Path, ...] = ()


def init(root: Path) -> Written:
    """Make ``root`` a symgen project, keeping everything that is there.

    Raises:
        UserError: if a file stands where a folder has to be, or pyproject.toml is not TOML.
    """
    found = config.find(root)
    if found is not None and found.parent == root:
        project = config.load(root)
        assert project is not None
        return _folders(project, (found,))
    path = root / "pyproject.toml"
    name = config.project_name(root)
    text = files.read(path)
    if text is None:
        text = PROJECT.format(name=_distribution(root.name))
    package = f"{name}.kernels"
    base = f"src/{name}" if (root / "src" / name).is_dir() else name
    table = TABLE.format(out=f"{base}/kernels", package=package)
    separator = "" if not text or text.endswith("\n\n") else "\n" if text.endswith("\n") else "\n\n"
    complete = text + separator + table
    settings = tomllib.loads(complete)["tool"]["symgen"]
    written = _folders(config.parse(root, settings, str(path)), ())
    files.write(path, complete)
    return Written((path, *written.new), written.kept)


def _folders(project: Config, kept: tuple[Path, ...]) -> Written:
    """The folders of specs, and an ``__init__.py`` for each package above the kernels."""
    new: list[Path] = []
    for folder in project.specs:
        if folder.exists() and not folder.is_dir() and folder.suffix != ".py":
            raise UserError(f"{folder} is a file\n  hint: specs go into a folder; name another one in [tool.symgen]")
        if not folder.exists():
            folder.mkdir(parents=True)
            new.append(folder)
    for folder in _packages(project):
        path = folder / "__init__.py"
        if not path.exists():
            files.write(path, PACKAGE.format(name=folder.name))
            new.append(path)
    return Written(tuple(new), kept)


def _packages(project: Config) -> list[Path]:
    """The folders of the packages that the kernels' package lies in, outermost first."""
    depth = project.package.count(".")
    above = list(project.out.parents)[:depth]
    return [folder for folder in reversed(above) if folder != project.root and project.root in folder.parents]


def new(project: Config, name: str, kind: str = "activation") -> Path:
    """Write a spec to start from.

    Args:
        project: Where it goes: the first folder of specs, or the subfolder for its kind if there is one.
        name: The function's name.
        kind: "activation" or "loss".

    Raises:
        UserError: if the name cannot be a function's, or is taken.
    """
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name) or keyword.iskeyword(name):
        raise UserError(f"{name!r} cannot be the name of a function\n  hint: try `symgen new {_proposed(name)}`")
    if name in re.findall(r"\w+", SPECS[kind].partition("import")[2].partition("\n")[0]):
        raise UserError(f"{name!r} is a word that the formula is written with\n  hint: choose another name")
    taken = build_keys.targets(project).get(name) if any(folder.exists() for folder in project.specs) else None
    folder = project.specs[0]
    inner = folder / FOLDERS[kind]
    path = (inner if inner.is_dir() else folder) / f"{name}.py"
    if taken is not None or path.exists():
        raise UserError(f"{taken.file if taken else path}: {name} exists\n  hint: edit it, or choose another name")
    files.write(path, SPECS[kind].format(name=name, title=name.replace("_", " ").capitalize()))
    return path


def _proposed(name: str) -> str:
    """A name near ``name`` that a function can have."""
    near = re.sub(r"\W+", "_", name, flags=re.ASCII).strip("_")
    if not near:
        return "swoosh"
    return f"{near}_" if keyword.iskeyword(near) else f"f_{near}" if near[0].isdigit() else near


def _distribution(name: str) -> str:
    """A name that packaging tools accept."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-._") or "project"
