"""Spec files find each other, the catalogue is importable, and nothing outlives a load."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import sympy as sp

from symgen import catalogue
from symgen.heads import first_max
from symgen.spec import LANGUAGE, SpecError, load
from symgen.spec.text import shown_path

HEADER = f"from symgen.spec import {', '.join(sorted(LANGUAGE))}\n"

x = sp.Symbol("x", real=True)
beta = sp.Symbol("beta", extended_real=True)


def spec(signature: str, body: str, decorator: str = "@activation()", name: str = "f") -> str:
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    return f'{decorator}\ndef {name}({signature}):\n    """Something."""\n{lines}\n'


IMPORTS = {
    "relative": ("from .shared import square", "specs/sub/f.py", "specs/sub/shared.py"),
    "parent": ("from ..shared import square", "specs/sub/f.py", "specs/shared.py"),
    "relative folder": ("from .more.shared import square", "specs/f.py", "specs/more/shared.py"),
    "beside": ("from shared import square", "specs/f.py", "specs/shared.py"),
    "from the root": ("from more.shared import square", "specs/sub/f.py", "specs/more/shared.py"),
    "renamed": ("from .shared import square as other\nsquare = 0", "specs/f.py", "specs/shared.py"),
}


@pytest.mark.parametrize("name", IMPORTS)
def test_import_between_files(tmp_path: Path, name: str) -> None:
    """Spec files import from each other by path, without touching Python's own modules."""
    line, home, other = IMPORTS[name]
    for file in (home, other):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
    called = "other" if name == "renamed" else "square"
    (tmp_path / home).write_text(f"{line}\n{HEADER}{spec('x', f'return {called}(x)')}", encoding="utf-8")
    (tmp_path / other).write_text(HEADER + spec("y", "return y**2", "@function", "square"), encoding="utf-8")
    modules = set(sys.modules)
    assert load(tmp_path / "specs")["f"].variants[0].value == x**2
    assert not {m for m in set(sys.modules) - modules if "shared" in m}


def test_import_from_the_catalogue(tmp_path: Path) -> None:
    """A user's spec builds on the catalogue, whose functions are not loaded as the user's own."""
    path = tmp_path / "mine.py"
    line = "from symgen.catalogue import softplus, sigmoid\nfrom symgen.spec import Real, activation\n"
    path.write_text(line + spec("x, beta: Real > 0 = 1", "return softplus(x, beta) * sigmoid(x)"), encoding="utf-8")
    (op,) = load(path).values()
    assert op.variants[0].value == sp.log(1 + sp.exp(beta * x)) / beta / (1 + sp.exp(-x))


def test_catalogue_in_python() -> None:
    """Definitions of the catalogue are importable and callable on SymPy expressions."""
    assert catalogue.relu(x) == first_max(0, x)
    assert "gelu" in dir(catalogue)
    with pytest.raises(AttributeError, match="the catalogue has no 'reluu'"):
        catalogue.reluu  # noqa: B018


def test_edited_file_is_read_anew(tmp_path: Path) -> None:
    """Loading twice in one process sees an edit, in the file itself and in one that it imports from."""
    (tmp_path / "f.py").write_text("from .g import g\n" + HEADER + spec("x", "return g(x)"), encoding="utf-8")
    for factor in (2, 3):
        (tmp_path / "g.py").write_text(HEADER + spec("x", f"return {factor} * x", name="g"), encoding="utf-8")
        assert load(tmp_path)["f"].variants[0].value == factor * x


def test_source_names_carry_no_absolute_path(tmp_path: Path) -> None:
    """A source is named relative to its project, or to the folder that holds the specs."""
    (tmp_path / "specs" / "deep").mkdir(parents=True)
    path = tmp_path / "specs" / "deep" / "f.py"
    path.write_text(HEADER + spec("x", "return x"), encoding="utf-8")
    assert load(tmp_path / "specs")["f"].source.file == "specs/deep/f.py"
    (tmp_path / "pyproject.toml").touch()
    assert load(path)["f"].source.file == "specs/deep/f.py"
    assert load(catalogue.folder() / "activations" / "elu.py")["elu"].source.file == "specs/activations/elu.py"


def test_elementary_hidden_and_private_files_are_left_out(tmp_path: Path) -> None:
    """Below a folder, files of another kind are not read."""
    for name in ("elementary/a.py", "_draft.py", ".hidden/b.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("not Python at all", encoding="utf-8")
    assert load(tmp_path) == {}


def test_errors_name_files_relative_to_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file below the working directory is shown as one would type it."""
    monkeypatch.chdir(tmp_path)
    assert shown_path(tmp_path / "specs" / "f.py") == "specs/f.py"
    assert shown_path(Path("/elsewhere/f.py")) == "/elsewhere/f.py"


@pytest.mark.parametrize(("body", "message"), [
    ("return log(x)", "bad: undefined at x = 0"),
    ("return xx + 1", "bad: unknown name 'xx'"),
    ("return x.T", "works on numbers"),
])
def test_a_mistake_in_one_formula_is_none_of_the_others(tmp_path: Path, body: str, message: str) -> None:
    """Asked for by name, a formula loads whatever is wrong with its neighbours; all together they do not."""
    path = tmp_path / "two.py"
    path.write_text(HEADER + spec("x", "return 2 * x", name="good") + spec("x", body, name="bad"), "utf-8")
    assert list(load(path, only="good")) == ["good"]
    for only in ("bad", None):
        with pytest.raises(SpecError, match=message):
            load(path, only=only)


def test_a_mistake_in_what_a_formula_uses_is_its_business(tmp_path: Path) -> None:
    path = tmp_path / "two.py"
    path.write_text(HEADER + spec("x", "return xx", name="part") + spec("x", "return part(x)", name="whole"), "utf-8")
    with pytest.raises(SpecError, match="part: unknown name 'xx'"):
        load(path, only="whole")
