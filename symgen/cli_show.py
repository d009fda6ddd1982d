"""`symgen list`, `show` and `explain`: looking at functions without building anything."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from symgen import build as driver
from symgen import build_keys, config
from symgen.build_compile import Job, certificate
from symgen.build_keys import Target
from symgen.cli import Exit
from symgen.config import Config
from symgen.console import code, give, give_json, give_styled, table
from symgen.files import UserError

if TYPE_CHECKING:
    from symgen.spec import Op

Flag = Annotated[bool, Parameter(negative=(), show_default=False)]
LISTED_DTYPES, LISTED_OUTPUTS, NOT_MEASURED = ("float32", "float64"), ("value", "grad", "grad2"), "not measured"
NO_CUDA = "no CUDA kernels"
DEVICE_COLUMNS = {"output": "output", "error": "error (ULP)", "instructions": "instructions", "bytes": "bytes",
                  "access": "bytes at once", "registers": "registers",
                  "beside_roots": "beside roots (ULP)"}  # fmt: skip
Stage = Literal["load", "lower", "recognize", "stabilize", "schedule", "code"]


def list_functions(*, accuracy: Flag = False, cuda: Flag = False, json: Flag = False) -> int:
    """List the functions of this project, or of the catalogue outside one.

    Args:
        accuracy: The largest errors that `symgen certify` measured, in ULP, over all settings of the options.
        cuda: What `symgen certify --cuda` measured of the CUDA kernels for float32: the largest errors in ULP, and
            what an element takes of instructions, bytes and registers.
        json: One JSON document with everything that the manifest says of them, or with the errors.
    """
    project = current()
    if accuracy and cuda:
        raise UserError("--accuracy and --cuda are two lists")
    if accuracy:
        return _list_accuracy(project, json=json)
    if cuda:
        return _list_cuda(project, json=json)
    entries = driver.read_manifest(project.out)["functions"]
    targets = build_keys.targets(project)
    if json:
        give_json({name: entries.get(name, {}) for name in targets})
        return Exit.OK
    rows: list[tuple[str, ...]] = [(name, *_listed(entries.get(name))) for name in targets]
    table(("name", "kind", "signature", "summary"), rows)
    return Exit.OK


def _list_accuracy(project: Config, *, json: bool) -> int:
    """One row for each function and dtype; what has no certificate of its kernel as it is now was not measured."""
    from symgen.certificate import coverage, headed, largest_errors

    entries = driver.read_manifest(project.out)["functions"]
    found = []
    for name in build_keys.targets(project):
        path = project.out / build_keys.CERTIFICATES / f"{name}.json"
        content = certificate(path, entries.get(name, {}).get("kernel", ""))
        errors, covered = largest_errors(content), coverage(content)
        groups = headed(dict.fromkeys(output for output, _ in errors))
        for dtype in LISTED_DTYPES:
            worst = {h: max((errors[o, dtype] for o in group), default=None) for h, group in groups.items()}
            found.append({"name": name, "dtype": dtype, **worst, "inputs": covered.get(dtype)})
    if json:
        give_json(found)
    else:
        missing = {row["name"]: NOT_MEASURED if row["inputs"] is None else "" for row in found}
        rows = [tuple(_error(value, missing[row["name"]]) for value in row.values()) for row in found]
        table(("name", "dtype", *(f"{output} (ULP)" for output in LISTED_OUTPUTS), "inputs"), rows)
    return Exit.OK


def _list_cuda(project: Config, *, json: bool) -> int:
    """One row for each output; a function has none where its kernels as they are now were not measured."""
    entries = driver.read_manifest(project.out)["functions"]
    found = []
    for name in build_keys.targets(project):
        path = build_keys.device_certificate(project.out / build_keys.CERTIFICATES / f"{name}.json")
        kernel = (entries.get(name, {}).get("cuda") or {}).get("kernel")
        content = certificate(path, kernel) if kernel else None
        none = {**dict.fromkeys(DEVICE_COLUMNS), "output": NO_CUDA if kernel is None else NOT_MEASURED}
        found += [{"name": name, **row} for row in (content or {}).get("outputs", [none])]
    if json:
        give_json(found)
    else:
        rows = [tuple(_error(row[column], "") for column in ("name", *DEVICE_COLUMNS)) for row in found]
        table(("name", *DEVICE_COLUMNS.values()), rows)
    return Exit.OK


def _error(value: str | float | None, missing: str) -> str:
    return missing if value is None else value if isinstance(value, str) else f"{value:.4g}"


def show(name: str, /, *, stage: Stage = "code", form: Literal["code", "latex"] = "code") -> int:
    """Show a function at a stage of its derivation.

    Args:
        name: The function.
        stage: How far to go: what was understood, its program, the vocabulary, the stable form, the scalar cores, the
            generated module.
        form: The generated module as Python, or the reference card as LaTeX.
    """
    from symgen import views
    from symgen.archetypes import archetype_of
    from symgen.spec.description import describe

    op, job = loaded(name)
    if form == "latex":
        code(views.card(_derived(op), job), "latex")
    elif stage == "load":
        give(describe(op.whole or op))
    elif stage == "code":
        code(views.code(_derived(op), job), "python")
    else:
        give(archetype_of(op).stages[stage](_derived(op)))
    return Exit.OK


def explain(name: str, /, *, output: str | None = None, json: Flag = False) -> int:
    """Tell how a function was derived: each rule with the error before and after it, the cuts, and what remains.

    Args:
        name: The function.
        output: One output only: value, grad, grad2, or grad_NAME of a parameter.
        json: One JSON document with the same content.
    """
    from symgen.explain import document, report, text

    op, job = loaded(name)
    from symgen.archetypes import ROWS, archetype_of

    derivation = _derived(op, output)
    if archetype_of(op) is ROWS:
        give(ROWS.stages["stabilize"](derivation))
        return Exit.OK
    known = dict.fromkeys(name for variant in derivation.variants for name in variant.names)
    if output is not None and output not in known:
        raise UserError(f"{op.name} has no output {output!r}\n  hint: {config.did_you_mean(output, known)}")
    found = report.report(derivation, _certified(op.name, job))
    if json:
        give_json(document.document(found))
    else:
        give_styled((line.text, line.style) for line in text.lines(found))
    return Exit.OK


def _certified(name: str, job: Job) -> dict[tuple[str, str], float]:
    """What was measured of the kernel as it was last built."""
    from symgen.certificate import largest_errors

    owner = next(p for p in (current(), config.catalogue()) if name in build_keys.targets(p))
    entry = driver.read_manifest(owner.out)["functions"].get(name, {})
    return largest_errors(certificate(job.certificate, entry.get("kernel", "")))


def current() -> Config:
    """This project, or the catalogue outside one."""
    return config.load() or config.catalogue()


def loaded(name: str) -> tuple[Op, Job]:
    """A function of this project or, failing that, of the catalogue, loaded from its spec.

    Raises:
        UserError: if neither has it.
    """
    project, catalogue = current(), config.catalogue()
    places = {**_located(catalogue), **_located(project)}
    everything = {found: target for found, (_, target) in places.items()}
    (found,) = driver.resolve([name], everything)
    owner, target = places[found]
    from symgen.layers import generated
    from symgen.spec import load

    job = driver.job(owner, target)
    return generated(load(job.file, root=job.specs, only=found)[found]), job


def _located(project: Config) -> dict[str, tuple[Config, Target]]:
    return {name: (project, target) for name, target in build_keys.targets(project).items()}


def _derived(op: Op, only: str | None = None) -> Any:
    from symgen.archetypes import archetype_of

    return archetype_of(op).derive(op, only=only)


def _listed(entry: dict[str, Any] | None) -> tuple[str, str, str]:
    if not entry:
        return "", "", "not built yet: run `symgen build`"
    return entry["kind"], signature(entry), entry["summary"]


def signature(entry: dict[str, Any]) -> str:
    """How a function is called, from the manifest: ``(x, *, approximate='none')``."""
    parts: list[str] = []
    for argument in entry["arguments"]:
        if argument["keyword_only"] and "*" not in parts:
            parts.append("*")
        default = argument["default"]
        required = isinstance(default, dict)
        parts.append(argument["name"] if required else f"{argument['name']}={default!r}")
    return f"({', '.join(parts)})"
