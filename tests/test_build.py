"""The driver: what is built, what is left alone, and what can never be lost. Deriving is faked here."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from symgen import build_check, build_keys, build_pool, files
from symgen.build import MANIFEST, Outcome, build, compile_all, plan, read_manifest, stale_kernels
from symgen.build_compile import Compiled, Failure, Job
from symgen.config import Config
from symgen.files import UserError

from .conftest import fake_compile, write_spec


def run(config: Config, *names: str, force: bool = False) -> Outcome:
    return build(config, names, force=force, compiler=fake_compile)


def snapshot(root: Path) -> dict[str, str]:
    return {name: (root / name).read_text(encoding="utf-8") for name in files.listing(root)}


def test_first_build_writes_everything(project: Config) -> None:
    """A first build writes each function's files, the package's own files and the manifest."""
    outcome = run(project)
    assert sorted(outcome.built) == ["first", "second", "third"]
    written = set(files.listing(project.out))
    assert {MANIFEST, "__init__.py", "activations/__init__.py", "activations/first.py"} <= written
    assert {"_runtime/__init__.py", "_runtime/intrinsics.py"} <= written
    assert set(read_manifest(project.out)["functions"]) == {"first", "second", "third"}


def test_second_build_touches_nothing(project: Config) -> None:
    """A second build finds nothing to do and leaves the time stamp of every file."""
    run(project)
    before = {name: (project.out / name).stat().st_mtime_ns for name in files.listing(project.out)}
    assert plan(project).nothing_to_do
    outcome = run(project)
    assert (outcome.built, outcome.written, outcome.unchanged) == ((), (), 3)
    assert before == {name: (project.out / name).stat().st_mtime_ns for name in files.listing(project.out)}


def test_editing_one_spec_rebuilds_it_alone(project: Config) -> None:
    """An edit rebuilds the function whose spec it is, and no other."""
    run(project)
    write_spec(project.specs[0], "first", "2 / (2 + exp(-x))")
    outcome = run(project)
    assert outcome.built == ("first",)
    assert set(outcome.written) <= {"activations/first.py", MANIFEST, "__init__.pyi"}


def test_the_largest_is_derived_first(project: Config) -> None:
    """What is large takes long, and whoever begins with it last leaves the other processes idle."""
    run(project)
    large = project.out / "activations/second.py"
    large.write_text(large.read_text() + "# much more\n")
    begun: list[str] = []

    def compiler(job: Job) -> Compiled | Failure:
        begun.append(job.name)
        return fake_compile(job)

    build(replace(project, jobs=1), force=True, compiler=compiler)
    assert begun[0] == "second"
    assert sorted(begun) == ["first", "second", "third"]


def test_editing_a_spec_rebuilds_those_that_import_it(project: Config) -> None:
    """A spec that imports another is rebuilt with it."""
    run(project)
    write_spec(project.specs[0], "second", "3 / (1 + exp(-x))")
    assert sorted(run(project).built) == ["second", "third"]


def test_editing_the_runtime_rebuilds_no_kernel(project: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """A change of the runtime copies it anew; kernels do not contain it."""
    run(project)
    monkeypatch.setattr("symgen.build_shared._runtime_hashes", lambda: ["changed"])
    found = plan(project)
    assert (found.stale, found.shared) == ((), True)


def test_changing_the_engine_rebuilds_all(project: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """A change of the part of symgen that writes kernels makes all of them stale."""
    run(project)
    monkeypatch.setattr("symgen.build_keys.engine", lambda: "changed")
    assert plan(project).stale == ("first", "second", "third")


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("stabilize/regimes.py", True),
        ("rules/logistic.py", True),
        ("a_module_of_tomorrow.py", True),
        ("runtime/intrinsics.py", True),
        ("runtime/kernel.py", False),
        ("cli_show.py", False),
        ("explain/text.py", False),
        ("explain/stages.py", True),
        ("generated/x.py", False),
    ],
)
def test_engine_covers_what_shows_in_the_text(name: str, counts: bool) -> None:
    """Every module counts in a key, unless it is known to have no part in the text."""
    assert build_keys._counts(name) is counts


def test_edited_output_is_restored(project: Config) -> None:
    """A generated file that was edited by hand is built again."""
    run(project)
    path = project.out / "activations/first.py"
    text = path.read_text()
    path.write_text(text + "# edited\n")
    assert run(project).built == ("first",)
    assert path.read_text() == text


def test_missing_output_is_restored(project: Config) -> None:
    """A generated file that was deleted is built again."""
    run(project)
    (project.out / "activations/second.py").unlink()
    assert run(project).built == ("second",)


def test_removed_spec_removes_its_files(project: Config) -> None:
    """Without its spec, a function's files and its place in the manifest go, and the others stay."""
    run(project)
    (project.specs[0] / "first.py").unlink()
    outcome = run(project)
    assert outcome.removed == ("activations/first.py",)
    assert "first" not in read_manifest(project.out)["functions"]
    assert (project.out / "activations/second.py").is_file()
    assert plan(project).nothing_to_do


def test_orphans_leave_no_empty_folder(project: Config) -> None:
    """A folder that only an orphan was in goes with it, its caches too."""
    run(project)
    stray = project.out / "losses" / "old.py"
    stray.parent.mkdir()
    stray.write_text("# Generated by symgen from old.py\n")
    (stray.parent / "__pycache__").mkdir()
    (stray.parent / "__pycache__" / "old.pyc").write_bytes(b"")
    assert run(project).removed == ("losses/old.py",)
    assert not stray.parent.exists()


def test_foreign_file_is_not_overwritten(project: Config) -> None:
    """A file that symgen did not write stops its function, is named, and stays; the others are built."""
    path = project.out / "activations/first.py"
    path.parent.mkdir(parents=True)
    path.write_text("my own work\n")
    outcome = run(project)
    assert [failure.name for failure in outcome.failures] == ["first"]
    assert str(path) in outcome.failures[0].message
    assert "--force" in outcome.failures[0].message
    assert path.read_text() == "my own work\n"
    assert sorted(outcome.built) == ["second", "third"]


def test_force_overwrites_a_foreign_file(project: Config) -> None:
    """With --force symgen takes the place of a file that it did not write."""
    path = project.out / "activations/first.py"
    path.parent.mkdir(parents=True)
    path.write_text("my own work\n")
    assert run(project, force=True).failures == ()
    assert "Generated by symgen" in path.read_text()


def test_foreign_package_is_refused_before_anything_is_written(project: Config) -> None:
    """An ``__init__.py`` of somebody else's stops the build before it starts."""
    path = project.out / "__init__.py"
    path.parent.mkdir(parents=True)
    path.write_text("import my_work\n")
    with pytest.raises(UserError, match="did not write"):
        run(project)
    assert files.listing(project.out) == ["__init__.py"]


def test_foreign_file_is_never_deleted(project: Config) -> None:
    """A file of the user's among the generated ones survives every build."""
    run(project)
    note = project.out / "activations" / "notes.txt"
    note.write_text("remember\n")
    (project.specs[0] / "first.py").unlink()
    run(project, force=True)
    assert note.read_text() == "remember\n"


def test_wrong_spec_keeps_its_files_and_stops_nothing_else(project: Config) -> None:
    """A spec that does not load keeps its last good kernels while the others are built; it stays stale."""
    run(project)
    before = (project.out / "activations/first.py").read_text()
    write_spec(project.specs[0], "first", "WRONG")
    write_spec(project.specs[0], "second", "5 * x")
    outcome = run(project)
    assert [failure.name for failure in outcome.failures] == ["first"]
    assert sorted(outcome.built) == ["second", "third"]
    assert (project.out / "activations/first.py").read_text() == before
    assert plan(project).stale == ("first",)


def test_missed_bar_is_remembered(project: Config) -> None:
    """A function that misses its bar is built, and known to miss it as long as it stays as it is."""
    spec = project.root / "specs" / "first.py"
    spec.write_text(spec.read_text() + "# MISSES\n")
    outcome = build(project, compiler=fake_compile)
    assert set(outcome.built) == {"first", "second", "third"}
    assert list(outcome.missed) == ["first"]
    again = build(project, compiler=fake_compile)
    assert again.missed == outcome.missed
    assert build(project, ["second"], compiler=fake_compile).missed == {}
    spec.write_text(spec.read_text().replace("# MISSES\n", ""))
    assert build(project, compiler=fake_compile).missed == {}
    assert "missed" not in read_manifest(project.out)["functions"]["first"]


@pytest.mark.parametrize("mark", ["MISSES", "WRONG"])
def test_strict_build_writes_all_or_nothing(project: Config, mark: str) -> None:
    """One bar missed, or one spec wrong, and a strict build leaves every file as it was."""
    spec, other = (project.root / "specs" / f"{name}.py" for name in ("first", "second"))
    right = spec.read_text()
    spec.write_text(f"{right}# {mark}\n")
    heard: list[str] = []
    outcome = build(project, compiler=fake_compile, strict=True, listener=lambda r: heard.append(r.name))
    assert outcome.refused
    assert sorted(heard) == ["first", "second", "third"]
    assert not project.out.exists()
    spec.write_text(right)
    assert not build(project, compiler=fake_compile, strict=True).refused
    before = {path: path.read_bytes() for path in project.out.rglob("*.*")}
    spec.write_text(f"{right}# {mark}\n")
    other.write_text(other.read_text() + "# longer\n")
    assert build(project, compiler=fake_compile, strict=True).refused
    assert {path: path.read_bytes() for path in project.out.rglob("*.*")} == before


def test_strict_build_knows_what_was_missed_before(project: Config) -> None:
    """What an ordinary build wrote although it missed its bar fails a strict build, up to date or not."""
    spec, other = (project.root / "specs" / f"{name}.py" for name in ("first", "second"))
    spec.write_text(spec.read_text() + "# MISSES\n")
    build(project, compiler=fake_compile)
    assert list(build(project, compiler=fake_compile, strict=True).missed) == ["first"]
    other.write_text(other.read_text() + "# longer\n")
    assert build(project, compiler=fake_compile, strict=True).refused


def test_interrupted_build_keeps_what_it_finished(project: Config) -> None:
    """After Ctrl-C in the middle, what was finished is recorded, the rest is stale, and nothing is lost."""
    run(project)
    old = snapshot(project.out)
    for name in ("first", "second", "third"):
        write_spec(project.specs[0], name, "7 * x")

    begun: list[str] = []

    def interrupted(job: Job) -> Compiled | Failure:
        begun.append(job.name)
        if len(begun) == 2:
            raise KeyboardInterrupt
        return fake_compile(job)

    with pytest.raises(KeyboardInterrupt):
        build(replace(project, jobs=1), compiler=interrupted)
    now = snapshot(project.out)
    assert set(now) == set(old)
    assert now[f"activations/{begun[1]}.py"] == old[f"activations/{begun[1]}.py"]
    assert plan(project).stale == tuple(sorted({"first", "second", "third"} - {begun[0]}))


def test_interrupted_first_build_deletes_nothing(project: Config) -> None:
    """Kernels without a manifest are not taken for orphans by a build that could not finish."""
    run(project)
    (project.out / MANIFEST).unlink()

    def interrupted(job: Job) -> Compiled | Failure:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(project, compiler=interrupted)
    assert (project.out / "activations/third.py").is_file()


def test_building_one_name_leaves_the_others(project: Config) -> None:
    """Naming a function builds it alone, and deletes nothing that belongs to others."""
    assert run(project, "second").built == ("second",)
    assert plan(project).stale == ("first", "third")
    run(project)
    (project.out / MANIFEST).unlink()
    run(project, "second")
    assert (project.out / "activations/first.py").is_file()


def test_unknown_name_is_an_error_with_a_suggestion(project: Config) -> None:
    """A misspelt function is answered with the nearest one."""
    with pytest.raises(UserError, match="did you mean 'second'"):
        run(project, "secnod")


def test_name_defined_twice_is_an_error(project: Config) -> None:
    """Two files that define one name are both named."""
    (project.specs[0] / "other.py").write_text((project.specs[0] / "first.py").read_text())
    with pytest.raises(UserError, match=r"first is defined in .*first\.py as well"):
        plan(project)


def test_spec_that_is_not_python_is_an_error_with_its_line(project: Config) -> None:
    """A syntax error in a spec names the file and the line."""
    (project.specs[0] / "broken.py").write_text("def f(x:\n    return x\n")
    with pytest.raises(UserError, match=r"broken\.py:1: not valid Python"):
        plan(project)


@pytest.mark.parametrize("text", ["", "not json", "[]", '{"format": 99}', '{"format": 1, "functions": {}}'])
def test_unreadable_manifest_means_build_all(project: Config, text: str) -> None:
    """A manifest that is damaged or from another version is built anew, not believed."""
    run(project)
    (project.out / MANIFEST).write_text('{"comment": "Generated by symgen"}\n' if text == "" else text)
    if files.is_ours(project.out / MANIFEST):
        assert sorted(run(project).built) == ["first", "second", "third"]
    else:
        assert sorted(run(project, force=True).built) == ["first", "second", "third"]


def test_manifest_is_written_last(project: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever finds a manifest finds all that it promises."""
    order: list[str] = []
    real = files.write
    monkeypatch.setattr(files, "write", lambda path, text: order.append(path.name) or real(path, text))
    run(project)
    assert order[-1] == MANIFEST


def test_manifest_holds_no_absolute_path(project: Config) -> None:
    """What is committed must not tell where it was built."""
    run(project)
    assert str(project.root) not in json.dumps(read_manifest(project.out))


def test_write_is_atomic(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the disk fails in the middle, the old file is whole and no temporary file stays."""
    path = tmp_path / "kernel.py"
    path.write_text("old")

    def fail(self: Path, target: Path) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        files.write(path, "new")
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["kernel.py"]


def test_stray_temporary_file_is_cleaned_up(project: Config) -> None:
    """What a killed build left under a temporary name goes with the next build."""
    run(project)
    stray = project.out / ".symgen-1-x.py.tmp"
    stray.write_text("half a ker")
    run(project)
    assert not stray.exists()


def test_check_accepts_what_build_wrote(project: Config) -> None:
    """Right after a build there is nothing to find, quickly or fully."""
    run(project)
    assert build_check.check_fast(project).differences == ()
    texts = compile_all(project, compiler=fake_compile).files
    assert list(build_check.compare(project.root, project.out, texts)) == []


def _measured(project: Config, name: str, kernel: str) -> None:
    """A certificate of a kernel with this hash, and a manifest that names another function's kernels."""
    manifest = json.loads((project.out / "manifest.json").read_text())
    for function, entry in manifest["functions"].items():
        entry.update(kernel=f"kernel of {function}", archetype="elementwise")
    (project.out / "manifest.json").write_text(json.dumps(manifest))
    place = project.out / "certificates" / f"{name}.json"
    place.parent.mkdir(exist_ok=True)
    place.write_text(json.dumps({"comment": "Generated by symgen certify", "kernel": kernel}))


def test_a_kernel_that_changed_after_its_certificate_is_found(project: Config) -> None:
    """A project's own functions need none; one that has a certificate has to be what was measured."""
    run(project)
    _measured(project, "first", "kernel of first")
    assert build_check.uncertified(project) == ()
    _measured(project, "first", "an older kernel")
    assert build_check.uncertified(project) == ("first",)
    verdict = build_check._verdict(project, [])
    assert verdict.differences == (build_check.Difference("uncertified", "first"),)
    assert verdict.mend == "symgen certify --exhaustive first"
    (project.out / "certificates" / "first.json").write_text("half a fi")
    assert build_check.uncertified(project) == ("first",)


def test_in_the_catalogue_every_function_needs_a_certificate(project: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """A function of the catalogue without one is found, of whatever kind it is."""
    run(project)
    _measured(project, "first", "kernel of first")
    monkeypatch.setattr("symgen.resources.specs", lambda: project.specs[0])
    assert build_check.uncertified(project) == ("second", "third")
    manifest = json.loads((project.out / "manifest.json").read_text())
    manifest["functions"]["third"]["archetype"] = "rows"
    (project.out / "manifest.json").write_text(json.dumps(manifest))
    assert build_check.uncertified(project) == ("second", "third")


def test_check_finds_missing_extra_and_edited_files(project: Config) -> None:
    """The whole folder is compared; each difference has its kind, and edits a diff."""
    run(project)
    (project.out / "activations/first.py").unlink()
    (project.out / "activations/second.py").write_text("# Generated by symgen\nLENGTH = 0\n")
    (project.out / "activations/old.py").write_text("# Generated by symgen\n")
    (project.out / "activations/mine.py").write_text("my work\n")
    texts = compile_all(project, compiler=fake_compile).files
    found = {d.name.rpartition("/")[2]: d for d in build_check.compare(project.root, project.out, texts)}
    kinds = {name: difference.kind for name, difference in found.items()}
    assert kinds == {"first.py": "missing", "second.py": "differs", "old.py": "extra", "mine.py": "foreign"}
    assert "-LENGTH = 0" in found["second.py"].diff
    assert build_check.check_fast(project).mend == "symgen build"


def test_a_certificate_makes_the_card_stale_and_not_the_kernel(project: Config) -> None:
    """What was measured shows on the card alone: that is built again, and the kernel counts as what its spec says."""
    project = project.with_docs(project.root / "docs")

    def with_card(job: Job) -> Compiled | Failure:
        found = fake_compile(job)
        assert isinstance(found, Compiled)
        return replace(found, docs={f"cards/{job.name}.tex": f"% Generated by symgen: {job.certificate is not None}\n"})

    build(project, compiler=with_card)
    files.write(project.out / f"{build_keys.CERTIFICATES}/first.json", '{"comment": "Generated by symgen"}\n')
    assert plan(project).stale == ("first",)
    assert stale_kernels(project, ("first", "second", "third")) == ()
    assert build(project, ["first"], compiler=with_card).built == ("first",)
    assert plan(project).nothing_to_do
    assert "True" in (project.root / "docs/cards/first.tex").read_text(encoding="utf-8")
    write_spec(project.specs[0], "first", "2 / (2 + exp(-x))")
    assert stale_kernels(project, ("first", "second")) == ("first",)


def test_check_says_where_a_foreign_file_stands_in_the_way(project: Config) -> None:
    """A build refuses to replace what symgen did not write, and so `symgen build` is not named as the remedy."""
    run(project)
    place = project.out / "activations/first.py"
    place.write_text("my work\n")
    quick = build_check.check_fast(project)
    assert (quick.mend, quick.blocked) == ("", ("my_project/kernels/activations/first.py",))
    texts = compile_all(project, compiler=fake_compile).files
    (found,) = build_check.compare(project.root, project.out, texts)
    assert (found.kind, build_check._mend(project, [found])) == ("occupied", "")
    assert "did not write" in run(project).failures[0].message
    place.unlink()
    assert (build_check.check_fast(project).mend, build_check.check_fast(project).blocked) == ("symgen build", ())


def test_pool_gives_every_result(tmp_path: Path) -> None:
    """Work spread over processes comes back complete."""
    assert sorted(build_pool.run(abs, [-3, -2, -1, 0, 5], workers=2)) == [0, 1, 2, 3, 5]


def test_pool_falls_back_to_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where processes cannot be had, the work is done all the same."""

    def refuse(*arguments: object, **options: object) -> None:
        raise OSError("no semaphores here")

    monkeypatch.setattr(build_pool, "ProcessPoolExecutor", refuse)
    assert sorted(build_pool.run(abs, [-3, -2, -1], workers=2)) == [1, 2, 3]
