"""What `symgen init` and `symgen new` write, and that nothing of the user's is lost by them."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from symgen import build_keys, config, scaffold
from symgen.files import UserError


def test_init_in_an_empty_folder(tmp_path: Path) -> None:
    """An empty folder becomes a project with a table, a folder of specs and a package."""
    root = tmp_path / "My Project"
    root.mkdir()
    written = scaffold.init(root)
    assert {path.relative_to(root).as_posix() for path in written.new} == {
        "pyproject.toml",
        "specs",
        "my_project/__init__.py",
    }
    document = tomllib.loads((root / "pyproject.toml").read_text())
    assert document["project"]["name"] == "My-Project"
    assert document["tool"]["symgen"]["package"] == "my_project.kernels"
    found = config.load(root)
    assert found is not None
    assert found.out == root / "my_project/kernels"


def test_init_keeps_what_pyproject_says(tmp_path: Path) -> None:
    """A pyproject.toml that is there keeps every byte, and gets the table at its end."""
    before = '[project]\nname = "thing" # mine\n\n[tool.ruff]\nline-length = 99'
    (tmp_path / "pyproject.toml").write_text(before)
    scaffold.init(tmp_path)
    after = (tmp_path / "pyproject.toml").read_text()
    assert after.startswith(before)
    assert tomllib.loads(after)["tool"]["symgen"]["out"] == "thing/kernels"


def test_init_follows_a_src_layout(tmp_path: Path) -> None:
    """A package under src/ gets its kernels there, and its ``__init__.py`` is left alone."""
    (tmp_path / "src/thing").mkdir(parents=True)
    (tmp_path / "src/thing/__init__.py").write_text("mine = 1\n")
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "thing"\n')
    scaffold.init(tmp_path)
    assert (tmp_path / "src/thing/__init__.py").read_text() == "mine = 1\n"
    assert not (tmp_path / "src/__init__.py").exists()
    found = config.load(tmp_path)
    assert found is not None
    assert (found.out, found.package) == (tmp_path / "src/thing/kernels", "thing.kernels")


def test_init_twice_changes_nothing(tmp_path: Path) -> None:
    """A second init makes what is missing and leaves the rest."""
    scaffold.init(tmp_path)
    text = (tmp_path / "pyproject.toml").read_text()
    again = scaffold.init(tmp_path)
    assert (again.new, again.kept) == ((), (tmp_path / "pyproject.toml",))
    assert (tmp_path / "pyproject.toml").read_text() == text


def test_init_with_a_broken_pyproject_writes_nothing(tmp_path: Path) -> None:
    """A pyproject.toml that is not TOML is an error, and no folder appears."""
    (tmp_path / "pyproject.toml").write_text("[project\n")
    with pytest.raises(UserError, match="not valid TOML"):
        scaffold.init(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["pyproject.toml"]


@pytest.mark.parametrize("kind", sorted(scaffold.SPECS))
def test_new_writes_a_spec_that_defines_the_name(tmp_path: Path, kind: str) -> None:
    """The new spec defines a kernel of the name asked for."""
    scaffold.init(tmp_path)
    project = config.load(tmp_path)
    assert project is not None
    path = scaffold.new(project, "swoosh", kind)
    assert path == tmp_path / "specs/swoosh.py"
    assert list(build_keys.targets(project)) == ["swoosh"]


def test_new_uses_the_folder_of_its_kind(tmp_path: Path) -> None:
    """Where specs are sorted by kind, a new one goes where it belongs."""
    scaffold.init(tmp_path)
    (tmp_path / "specs/losses").mkdir()
    project = config.load(tmp_path)
    assert project is not None
    assert scaffold.new(project, "regret", "loss") == tmp_path / "specs/losses/regret.py"


def test_new_never_overwrites(tmp_path: Path) -> None:
    """A name that is taken is an error, wherever it is defined."""
    scaffold.init(tmp_path)
    project = config.load(tmp_path)
    assert project is not None
    path = scaffold.new(project, "swoosh")
    path.rename(path.with_name("other.py"))
    with pytest.raises(UserError, match=r"other\.py: swoosh exists"):
        scaffold.new(project, "swoosh")


@pytest.mark.parametrize("name", ["my-swoosh", "class", "2x", "", "é", "a/b", "../x", "_private"])
def test_new_refuses_a_name_that_cannot_be_a_function(tmp_path: Path, name: str) -> None:
    """A name that Python, or a folder of specs, has no place for is an error with a proposal that works."""
    scaffold.init(tmp_path)
    project = config.load(tmp_path)
    assert project is not None
    with pytest.raises(UserError, match="try `symgen new") as caught:
        scaffold.new(project, name)
    scaffold.new(project, str(caught.value).rpartition("symgen new ")[2].rstrip("`"))


@pytest.mark.parametrize("name", ["exp", "activation"])
def test_new_refuses_a_word_of_the_language(tmp_path: Path, name: str) -> None:
    """A spec cannot define a name that its own formula is written with."""
    scaffold.init(tmp_path)
    project = config.load(tmp_path)
    assert project is not None
    with pytest.raises(UserError, match="a word that the formula is written with"):
        scaffold.new(project, name)
