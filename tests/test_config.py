"""What [tool.symgen] may say, what holds where it is silent, and what a mistake in it is answered with."""

from __future__ import annotations

from pathlib import Path

import pytest

from symgen import config
from symgen.config import Config
from symgen.files import UserError


def written(root: Path, table: str, head: str = '[project]\nname = "my-project"\n') -> Config:
    (root / "pyproject.toml").write_text(f"{head}\n[tool.symgen]\n{table}\n", encoding="utf-8")
    found = config.load(root)
    assert found is not None
    return found


def test_empty_table_gets_the_defaults(tmp_path: Path) -> None:
    """An empty table means: specs in specs/, kernels in a package named after the project, runtime copied beside."""
    found = written(tmp_path, "")
    assert found.specs == (tmp_path / "specs",)
    assert found.out == tmp_path / "my_project/kernels"
    assert (found.package, found.runtime, found.docs, found.jobs) == ("my_project.kernels", "inline", None, None)


def test_src_layout_is_recognised(tmp_path: Path) -> None:
    """Where the package lies under src/, so do its kernels."""
    (tmp_path / "src/my_project").mkdir(parents=True)
    assert written(tmp_path, "").out == tmp_path / "src/my_project/kernels"


def test_package_follows_from_out(tmp_path: Path) -> None:
    """The import name is read off the folder if only the folder is said."""
    assert written(tmp_path, 'out = "src/pkg/_kernels"').package == "pkg._kernels"


def test_out_follows_from_package(tmp_path: Path) -> None:
    """The folder is read off the import name if only that is said."""
    assert written(tmp_path, 'package = "pkg.fast"').out == tmp_path / "pkg/fast"


def test_every_key_is_read(tmp_path: Path) -> None:
    """Each key that may be written has an effect."""
    found = written(
        tmp_path,
        'specs = ["a", "b.py"]\nout = "o"\npackage = "p.q"\nruntime = "shared"\ndocs = "d"\nface = "f.py"\njobs = 3',
    )
    specs = (tmp_path / "a", tmp_path / "b.py")
    assert found == Config(tmp_path, specs, tmp_path / "o", "p.q", "shared", tmp_path / "d", tmp_path / "f.py", 3)


def test_unknown_key_gets_a_suggestion(tmp_path: Path) -> None:
    """A misspelt key is an error that names the nearest one, and the file."""
    message = r"pyproject\.toml: \[tool\.symgen\]: unknown key 'spec'\n.*did you mean 'specs'"
    with pytest.raises(UserError, match=message):
        written(tmp_path, 'spec = "specs"')


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("jobs = 0", "1 or more"),
        ("jobs = true", "number of processes"),
        ('jobs = "2"', "number of processes"),
        ('runtime = "copied"', "'inline', 'shared'"),
        ("specs = []", "empty list"),
        ("specs = 3", "expected a text"),
        ('out = ""', "expected a text"),
        ('package = "my-kernels"', "write 'my_kernels'"),
        ('package = "a.class"', "cannot be imported"),
    ],
)
def test_wrong_value_says_what_was_expected(tmp_path: Path, line: str, expected: str) -> None:
    """A value of the wrong kind is an error that says what belongs there."""
    with pytest.raises(UserError, match=expected):
        written(tmp_path, line)


def test_broken_toml_is_a_user_error(tmp_path: Path) -> None:
    """A pyproject.toml that is not TOML is named, with the place that TOML's reader gives."""
    (tmp_path / "pyproject.toml").write_text("[tool.symgen\n")
    with pytest.raises(UserError, match=r"pyproject\.toml: not valid TOML"):
        config.load(tmp_path)


def test_tool_symgen_must_be_a_table(tmp_path: Path) -> None:
    """``symgen = 3`` under [tool] is answered with how to write it."""
    (tmp_path / "pyproject.toml").write_text("[tool]\nsymgen = 3\n")
    with pytest.raises(UserError, match="expected a table"):
        config.load(tmp_path)


def test_found_from_a_folder_below(tmp_path: Path) -> None:
    """Commands work in every folder of the project, as git does; tables of other tools do not count."""
    written(tmp_path, "")
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    (below / "pyproject.toml").write_text("[tool.other]\n")
    assert config.find(below) == tmp_path / "pyproject.toml"


def test_nothing_found_outside_a_project(tmp_path: Path) -> None:
    """Outside a project there is no configuration, rather than a guess."""
    assert config.load(tmp_path) is None


def test_command_line_wins(tmp_path: Path) -> None:
    """Options say more than the file; kernels written elsewhere are imported by the name of their folder."""
    found = written(tmp_path, 'docs = "docs"').with_options([tmp_path / "s"], tmp_path / "my-out", None, 2)
    assert (found.specs, found.out, found.package) == ((tmp_path / "s",), tmp_path / "my-out", "my_out")
    assert (found.docs, found.jobs) == (None, 2)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("my-project 2", "my_project_2"),
        ("3d", "_3d"),
        ("class", "class_"),
        ("...", "project"),
        ("Ünï", "n"),
    ],
)
def test_identifier(text: str, name: str) -> None:
    """Any name becomes one that can be imported."""
    assert config.identifier(text) == name
    assert name.isidentifier()


def test_the_catalogue_is_a_project(tmp_path: Path) -> None:
    """Outside any project, commands that look at functions look at the catalogue's."""
    assert config.catalogue().package == "symgen.generated"
