"""The command line as users run it: exit codes, messages, what goes to which stream, and what is never imported."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import symgen as package
from symgen import files, scaffold
from symgen.build import plan, read_manifest
from symgen.build_keys import Target
from symgen.certificate import Certificate, Row
from symgen.certify_survey import Effort
from symgen.cli import _COMMANDS, Exit, run
from symgen.config import Config, load

from .conftest import Symgen

HEAVY = ("sympy", "numba", "jinja2", "numpy", "flint")

USE = """
import numpy as np
from {package} import swoosh
x = np.array([-800.0, -1.0, 0.0, 1.0, 800.0])
value, slope = swoosh.value_and_grad(x)
assert np.allclose(value, [0, -1 / (1 + np.e), 0, np.e / (1 + np.e), 800]), value
assert slope[2] == 0.5 and slope[0] == 0 and slope[4] == 1, slope
"""

BLOCK = """
import sys
sys.modules.update(symgen=None, sympy=None)  # importing them fails
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project made by init and new, built once for all tests that only look at it."""
    root = tmp_path_factory.mktemp("cli") / "myproject"
    root.mkdir()
    for arguments in (["init"], ["new", "swoosh"], ["new", "swash"], ["build"]):
        done = subprocess.run([sys.executable, "-m", "symgen", *arguments], cwd=root, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    return root


def imported(*arguments: str, cwd: Path) -> set[str]:
    """The top-level modules that a command imports."""
    program = (
        "import sys\nfrom symgen.cli import run\ncode = run(sys.argv[1:])\n"
        "print('\\0' + ' '.join({name.partition('.')[0] for name in sys.modules}))\nsys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], cwd=cwd, capture_output=True, text=True, check=True
    )
    return set(done.stdout.rpartition("\0")[2].split())


def test_help_lists_every_command(symgen: Symgen, tmp_path: Path) -> None:
    """``symgen --help`` names each command, on stdout, with exit code 0."""
    done = symgen("--help", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    for group in _COMMANDS.values():
        for name, (_, summary) in group.items():
            assert name in done.stdout
            assert summary.split()[0] in done.stdout


@pytest.mark.parametrize("name", [name for group in _COMMANDS.values() for name in group])
def test_every_command_has_help(symgen: Symgen, tmp_path: Path, name: str) -> None:
    """Each command loads, and explains itself without doing anything."""
    done = symgen(name, "--help", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert f"symgen {name}" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_version(symgen: Symgen, tmp_path: Path) -> None:
    """``--version`` prints the version and nothing else."""
    assert symgen("--version", cwd=tmp_path).stdout.strip() == package.__version__


def test_help_imports_nothing_heavy(tmp_path: Path) -> None:
    """Asking for help waits for neither SymPy nor Numba nor NumPy."""
    assert imported("--help", cwd=tmp_path).isdisjoint(HEAVY)


def test_build_with_nothing_to_do_imports_nothing_heavy(built: Path) -> None:
    """A build that has nothing to do finds that out from hashes alone."""
    assert imported("build", cwd=built).isdisjoint(HEAVY)
    assert imported("check", "--fast", cwd=built).isdisjoint(HEAVY)
    assert imported("list", cwd=built).isdisjoint(HEAVY)


def test_build_with_nothing_to_do_writes_nothing(symgen: Symgen, built: Path) -> None:
    """It finds every function up to date, and leaves each file's time stamp as it was."""
    symgen("build", cwd=built)
    before = {name: (built / name).stat().st_mtime_ns for name in files.listing(built)}
    done = symgen("build", cwd=built)
    assert (done.returncode, done.stdout) == (0, "")
    assert "nothing to do: 2 functions up to date" in done.stderr
    assert before == {name: (built / name).stat().st_mtime_ns for name in files.listing(built)}


def test_built_package_needs_neither_symgen_nor_sympy(built: Path) -> None:
    """What a project builds is imported from its folder alone, with its copy of the runtime beside it."""
    program = BLOCK + USE.format(package="myproject.kernels")
    done = subprocess.run([sys.executable, "-c", program], cwd=built, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_certify_leaves_everything_up_to_date(
    symgen: Symgen, built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was measured stands on the card when certify ends; build, check and a second certify find no fault."""
    root = tmp_path / "myproject"
    shutil.copytree(built, root)
    configuration = root / "pyproject.toml"
    configuration.write_text(configuration.read_text().replace("[tool.symgen]", '[tool.symgen]\ndocs = "docs"'))
    assert symgen("build", cwd=root).returncode == 0
    monkeypatch.chdir(root)
    rows = (Row("value", "float32", error=0.4375), Row("value", "float64", error=1.25))

    efforts = []

    def measured(project: Config, target: Target, _: object, effort: Effort) -> Certificate:
        efforts.append(effort.points64)
        return Certificate(target.name, read_manifest(project.out)["functions"][target.name]["kernel"], rows)

    monkeypatch.setattr("symgen.measure.measure", measured)
    for more in ([], ["--points", "2000000"]):
        assert run(["certify", "swoosh", *more]) == Exit.OK
        assert plan(load()).nothing_to_do
    assert efforts == [100_000, 2_000_000]
    assert run(["certify", "swoosh", "--points", "10", "--exhaustive"]) == Exit.USAGE
    assert symgen("check", cwd=root).returncode == 0
    assert symgen("doctor", cwd=root).returncode == 0
    assert "1.25" in (root / "docs/cards/swoosh.tex").read_text(encoding="utf-8")
    listed = json.loads(symgen("list", "--accuracy", "--json", cwd=root).stdout)
    (row,) = [r for r in listed if r["name"] == "swoosh" and r["dtype"] == "float64"]
    assert (row["value"], row["grad"], row["grad2"], row["inputs"]) == (1.25, None, None, "a sample")
    lines = symgen("list", "--accuracy", cwd=root).stdout.splitlines()
    assert any("swoosh" in line and "float32" in line and "0.4375" in line for line in lines)
    assert sum("swash" in line and line.count("not measured") == 4 for line in lines) == 2
    assert imported("list", "--accuracy", cwd=root).isdisjoint(HEAVY)


def test_check_passes_after_build_and_fails_after_an_edit(symgen: Symgen, tmp_path: Path, built: Path) -> None:
    """A full check derives everything again: exit code 0 as built, 1 with a diff and a remedy once edited."""
    done = symgen("check", cwd=built)
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr
    path = built / "myproject/kernels/activations/swoosh.py"
    text = path.read_text()
    path.write_text(text + "EDITED = True\n")
    try:
        for arguments in (["check"], ["check", "--fast"]):
            done = symgen(*arguments, cwd=built)
            assert done.returncode == 1
            assert "mend with `symgen build`" in done.stderr
        assert "-EDITED = True" in symgen("check", cwd=built).stdout
        verdict = json.loads(symgen("check", "--json", cwd=built).stdout)
        assert [d["kind"] for d in verdict["differences"]] == ["differs"]
    finally:
        path.write_text(text)


def test_check_sees_what_hashes_do_not(symgen: Symgen, built: Path) -> None:
    """A kernel and its hash in the manifest edited together: only a full check notices, and it says --force."""
    manifest, path = built / "myproject/kernels/manifest.json", built / "myproject/kernels/activations/swash.py"
    before = manifest.read_text(), path.read_text()
    changed = before[1] + "EDITED = True\n"
    try:
        path.write_text(changed)
        manifest.write_text(before[0].replace(files.digest(before[1]), files.digest(changed)))
        assert symgen("check", "--fast", cwd=built).returncode == 0
        done = symgen("check", cwd=built)
        assert (done.returncode, "mend with `symgen build --force`" in done.stderr) == (1, True)
    finally:
        manifest.write_text(before[0])
        path.write_text(before[1])


def test_output_does_not_depend_on_the_hash_seed(symgen: Symgen, built: Path, tmp_path: Path) -> None:
    """Two builds under different PYTHONHASHSEEDs, one on one process and one on several, agree byte for byte."""
    texts = []
    for seed, jobs in (("1", "1"), ("4711", "2")):
        out = tmp_path / seed / "kernels"
        done = symgen("build", "--out", str(out), "--jobs", jobs, cwd=built, env={"PYTHONHASHSEED": seed})
        assert done.returncode == 0, done.stderr
        texts.append({name: (out / name).read_bytes() for name in files.listing(out)})
    assert texts[0] == texts[1]
    assert len(texts[0]) > 5


def test_a_formula_without_code_is_an_error_at_its_line(symgen: Symgen, built: Path) -> None:
    """The language offers lgamma, and no kernel can compute it yet: the build says so, where, and exits with 2."""
    path = built / "specs" / "loggamma.py"
    text = "from symgen.spec import Tensor, activation, lgamma\n\n\n@activation()\n"
    path.write_text(text + 'def stirling(x: Tensor > 0):\n    """Log gamma."""\n    return lgamma(x)\n')
    try:
        done = symgen("build", "stirling", cwd=built)
        assert done.returncode == 2
        assert "specs/loggamma.py:5: stirling: no code for loggamma" in done.stderr
        assert "bug" not in done.stderr
    finally:
        path.unlink()
        assert symgen("build", cwd=built).returncode == 0


def test_check_tells_of_foreign_files(symgen: Symgen, built: Path, tmp_path: Path) -> None:
    """Where a file of the user's stands in the way, check says what a build would: that it is not symgen's."""
    root = tmp_path / "myproject"
    shutil.copytree(built, root)
    (root / "myproject/kernels/activations/swoosh.py").write_text("mine\n")
    for arguments in (["check"], ["check", "--fast"]):
        done = symgen(*arguments, cwd=root)
        assert done.returncode == 1
        assert "symgen did not write myproject/kernels/activations/swoosh.py" in done.stderr
        assert "mend with" not in done.stderr


def test_dry_run_writes_nothing(symgen: Symgen, built: Path, tmp_path: Path) -> None:
    """``--dry-run`` says on stdout what would be built, and leaves the folder as it is."""
    out = tmp_path / "kernels"
    done = symgen("build", "--dry-run", "--out", str(out), cwd=built)
    assert (done.returncode, done.stdout.splitlines()) == (0, ["build swash", "build swoosh"])
    assert not out.exists()


def test_list(symgen: Symgen, built: Path) -> None:
    """``list`` gives one line for each function on stdout, ``--json`` what the manifest says."""
    lines = symgen("list", cwd=built).stdout.splitlines()
    assert [line.split("\t")[0] for line in lines] == ["swash", "swoosh"]
    assert lines[1].split("\t")[1:3] == ["activation", "(x)"]
    listed = json.loads(symgen("list", "--json", cwd=built).stdout)["swoosh"]
    assert (listed["module"], listed["kind"], listed["family"]) == ("activations.swoosh", "activation", "swoosh")


@pytest.mark.parametrize("stage", ["load", "lower", "recognize", "stabilize", "schedule", "code"])
def test_show_every_stage(symgen: Symgen, built: Path, stage: str) -> None:
    """Each stage of a derivation can be shown; the last is the file on disk."""
    done = symgen("show", "swoosh", "--stage", stage, cwd=built)
    assert done.returncode == 0, done.stderr
    assert "x" in done.stdout
    if stage == "code":
        assert done.stdout == (built / "myproject/kernels/activations/swoosh.py").read_text()


def test_show_latex(symgen: Symgen, built: Path) -> None:
    """The card of a function is shown as LaTeX."""
    assert r"\begin{functioncard}{swoosh}" in symgen("show", "swoosh", "--form", "latex", cwd=built).stdout


def test_explain_names_the_rules(symgen: Symgen, built: Path) -> None:
    """A derivation is told with the name of each rule, how it is proved, and the error before and after it."""
    text = symgen("explain", "swoosh", cwd=built).stdout
    assert "sigmoid-intro" in text
    assert "[symbolic]" in text
    assert "->" in text
    one = symgen("explain", "swoosh", "--output", "grad2", "--json", cwd=built).stdout
    (variant,) = json.loads(one)["variants"]
    assert [output["name"] for output in variant["outputs"]] == ["grad2"]


@pytest.mark.parametrize("command", ["explain", "show --stage stabilize"])
def test_a_formula_without_code_is_no_bug(symgen: Symgen, tmp_path: Path, command: str) -> None:
    """A function of the language that no kernel can compute yet: looked at or built, it is an error with its place."""
    scaffold.init(tmp_path)
    text = "from symgen.spec import activation, lgamma\n\n\n@activation()\ndef f(x):\n"
    (tmp_path / "specs/f.py").write_text(f'{text}    """One."""\n    return lgamma(1 + x**2)\n')
    name, *options = command.split()
    done = symgen(name, "f", *options, cwd=tmp_path)
    assert done.returncode == 2
    assert "specs/f.py:5: f: no code for" in done.stderr
    assert "bug" not in done.stderr


def test_explain_of_an_output_that_is_not_there(symgen: Symgen, built: Path) -> None:
    """A misspelt output is answered with the nearest one."""
    result = symgen("explain", "swoosh", "--output", "grad1", cwd=built)
    assert result.returncode == 2
    assert "did you mean 'grad'" in result.stderr


def test_rules_as_json(symgen: Symgen, tmp_path: Path) -> None:
    """Every rule is listed, with its domain and its proof."""
    listed = json.loads(symgen("rules", "--json", cwd=tmp_path).stdout)
    assert {"name", "left", "right", "domain", "proof", "gain"} <= set(listed[0])
    assert len({rule["name"] for rule in listed}) == len(listed)


def test_outside_a_project_the_catalogue_is_shown(symgen: Symgen, tmp_path: Path) -> None:
    """``list`` and ``show`` work anywhere, on the catalogue."""
    assert "sigmoid" in {line.split("\t")[0] for line in symgen("list", cwd=tmp_path).stdout.splitlines()}
    assert "relu" in symgen("show", "relu", "--stage", "load", cwd=tmp_path).stdout


def test_doctor(symgen: Symgen, built: Path) -> None:
    """The report names each part, as a table or as JSON, and finds a healthy project healthy."""
    done = symgen("doctor", "--json", cwd=built)
    findings = {finding["topic"]: finding for finding in json.loads(done.stdout)}
    assert findings["sympy"]["status"] == "ok"
    assert findings["kernels"]["detail"] == "2 functions, up to date"
    assert done.returncode == 0
    assert symgen("doctor", cwd=built).stdout.startswith("symgen\tok\t")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["buidl"], "build"),
        (["build", "--frce"], "--force"),
        (["show"], "NAME"),
        (["show", "swosh"], "did you mean 'swoosh'"),
        (["explain", "swosh"], "did you mean 'swoosh'"),
        (["build", "swosh"], "did you mean 'swoosh'"),
        (["certify", "swosh"], "did you mean 'swoosh'"),
        (["show", "swoosh", "--stage", "lowr"], "lower"),
        (["build", "--jobs", "0"], "1 or more"),
        (["build", "--jobs", "many"], "many"),
        (["build", "--specs", "nowhere"], "no such folder of specs"),
        (["build", "--package", "a-b"], "write 'a_b'"),
        (["new", "swoosh"], "swoosh exists"),
        (["new", "my-swoosh"], "symgen new my_swoosh"),
        (["new", "regret", "--kind", "los"], "loss"),
    ],
)
def test_usage_errors(symgen: Symgen, built: Path, arguments: list[str], message: str) -> None:
    """A mistake in a command: exit code 2, nothing on stdout, a message that says what was meant, no traceback."""
    done = symgen(*arguments, cwd=built)
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    assert message in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", ["build", "check", "clean", "sheet", "new swoosh"])
def test_outside_a_project(symgen: Symgen, tmp_path: Path, command: str) -> None:
    """Commands that write ask for a project, and say how to make one."""
    done = symgen(*command.split(), cwd=tmp_path)
    assert (done.returncode, "symgen init" in done.stderr) == (2, True)


def test_wrong_spec_is_reported_with_its_place(symgen: Symgen, tmp_path: Path) -> None:
    """A mistake in a spec: exit code 2, file, line and a hint on stderr, and the other functions are built."""
    scaffold.init(tmp_path)
    good = scaffold.SPECS["activation"]
    (tmp_path / "specs/good.py").write_text(good.format(name="good", title="Good"))
    (tmp_path / "specs/bad.py").write_text(good.format(name="bad", title="Bad").replace("(-x", "(-y"))
    done = symgen("build", cwd=tmp_path)
    assert done.returncode == 2
    assert "specs/bad.py:9: bad:" in done.stderr
    assert "unknown name 'y'" in done.stderr
    assert "Traceback" not in done.stderr
    names = files.listing(tmp_path)
    assert any(name.endswith("activations/good.py") for name in names)
    assert not any(name.endswith("activations/bad.py") for name in names)


def test_a_file_in_the_way_of_a_folder(symgen: Symgen, tmp_path: Path) -> None:
    """What the file system refuses is named, with its reason: exit code 2, and no talk of a bug."""
    scaffold.init(tmp_path)
    (tmp_path / "taken").write_text("mine\n")
    done = symgen("build", "--out", "taken", cwd=tmp_path)
    assert done.returncode == 2
    assert "taken: " in done.stderr
    assert "bug" not in done.stderr
    assert (tmp_path / "taken").read_text() == "mine\n"


def test_sheet_and_build_agree(symgen: Symgen, tmp_path: Path) -> None:
    """A project without a ``docs`` key is up to date after ``symgen sheet``; one without specs is told what to do."""
    scaffold.init(tmp_path)
    done = symgen("build", cwd=tmp_path)
    assert (done.returncode, "symgen new" in done.stderr) == (0, True)
    assert symgen("sheet", cwd=tmp_path).returncode == 0
    assert "nothing to do" in symgen("build", cwd=tmp_path).stderr
    assert symgen("check", cwd=tmp_path).returncode == 0


def test_bug_is_reported_as_a_bug(tmp_path: Path) -> None:
    """What nobody foresaw ends with exit code 3 and a request to report it; --debug shows where it was."""
    program = (
        "import sys, symgen.doctor\ndef broken(): raise ZeroDivisionError('oops')\n"
        "symgen.doctor.examine = broken\nfrom symgen.cli import run\nsys.exit(run(sys.argv[1:]))"
    )
    for arguments, traced in ((["doctor"], False), (["--debug", "doctor"], True)):
        done = subprocess.run([sys.executable, "-c", program, *arguments], cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 3
        assert "this is a bug in symgen" in done.stderr
        assert ("Traceback" in done.stderr) is traced


def test_interrupt(built: Path, tmp_path: Path) -> None:
    """Ctrl-C ends a watching build with exit code 130 and one word."""
    # a job in the background ignores the signal unless it asks for it
    heard = "import runpy, signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    command = [sys.executable, "-c", f"{heard}; runpy.run_module('symgen', run_name='__main__')", "build", "--watch"]
    process = subprocess.Popen(command, cwd=built, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        for line in process.stderr:
            if "watching" in line:
                break
        process.send_signal(signal.SIGINT)
        _, rest = process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode == 130
    assert rest.strip() == "interrupted"


def test_watch_builds_again(tmp_path: Path) -> None:
    """A watching build notices an edit and rebuilds the function, without being asked."""
    scaffold.init(tmp_path)
    spec = tmp_path / "specs/swoosh.py"
    spec.write_text(scaffold.SPECS["activation"].format(name="swoosh", title="Swoosh"))
    command = [sys.executable, "-m", "symgen", "build", "--watch"]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        for line in process.stderr:
            if "watching" in line:
                spec.write_text(spec.read_text().replace("x / (1", "2 * x / (1"))
            elif "built 1 function" in line and "2 * x" in spec.read_text():
                break
        package = next(path for path in tmp_path.iterdir() if (path / "kernels").is_dir())
        assert "2 * x" in (package / "kernels/activations/swoosh.py").read_text()
    finally:
        process.kill()
        process.communicate()


def test_reader_that_stops_reading(built: Path) -> None:
    """``symgen list | head -1`` is no error."""
    command = f"{sys.executable} -m symgen rules --json | head -1"
    done = subprocess.run(["sh", "-c", command], cwd=built, capture_output=True, text=True)
    assert done.stdout.strip() == "["
    assert "Traceback" not in done.stderr


def test_clean(symgen: Symgen, tmp_path: Path) -> None:
    """``clean`` deletes what symgen generated and nothing else; ``--dry-run`` names it."""
    scaffold.init(tmp_path)
    (tmp_path / "specs/swoosh.py").write_text(scaffold.SPECS["activation"].format(name="swoosh", title="S"))
    assert symgen("build", cwd=tmp_path).returncode == 0
    kernels = next(path for path in tmp_path.glob("*/kernels"))
    (kernels / "notes.txt").write_text("mine\n")
    listed = symgen("clean", "--dry-run", cwd=tmp_path).stdout.splitlines()
    assert str(kernels / "manifest.json") in listed
    assert (kernels / "manifest.json").exists()
    assert symgen("clean", cwd=tmp_path).returncode == 0
    assert files.listing(kernels) == ["notes.txt"]
    assert (tmp_path / "specs/swoosh.py").exists()


def test_generated_kernels_import_only_what_their_header_covers() -> None:
    """Numba's cache does not see an edit in an imported file: each such file counts in the kernels' headers."""
    from symgen import build_keys, resources

    imported_names = set()
    for path in sorted((resources.generated() / "activations").glob("*.py")):
        for line in path.read_text().splitlines():
            if line.startswith("from symgen.runtime."):
                imported_names.add(f"runtime/{line.split()[1].rpartition('.')[2]}.py")
    assert imported_names
    assert imported_names <= set(build_keys._WITH_INFLUENCE)
