"""One function's way from its spec to the text of its files: what a worker process of `symgen build` does.

All heavy imports stand inside, so that the driver can name this work without paying for it.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from symgen import build_keys, files
from symgen.build_tokens import tokens
from symgen.missed import Miss, misses

if TYPE_CHECKING:
    from symgen.backends.numba_cpu import ModuleText, VariantText
    from symgen.derivation import Derivation, DerivedVariant, Output
    from symgen.rows.derive import RowDerivation
    from symgen.spec import Argument, Op, Variant
    from symgen.stabilize.form import Region

CUDA = "cuda"  # the folder of CUDA kernels below that of kernels


@dataclass(frozen=True)
class Job:
    """One function to derive; everything that a worker has to know, in picklable form.

    Attributes:
        name: The function.
        file: The spec file that defines it.
        key: The hash of all that its files depend on.
        specs: The folder of specs that the file lies in; texts name files relative to the folder above it.
        runtime: "inline" or "shared", as in `symgen.config.Config`.
        docs: Whether its reference card is wanted.
        certificate: Where its measured errors are, if it has been certified.
        cuda: Whether CUDA kernels are wanted.
    """

    name: str
    file: Path
    key: str
    specs: Path
    runtime: str
    docs: bool = False
    certificate: Path | None = None
    cuda: bool = False


@dataclass(frozen=True)
class Report:
    """What happened on the way, for people who watch."""

    variants: int = 0
    rules: tuple[str, ...] = ()
    segments: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class Compiled:
    """The text of one function's files, relative to the folder of kernels and to that of docs, and what they miss."""

    name: str
    files: Mapping[str, str]
    entry: Mapping[str, Any]
    docs: Mapping[str, str] = field(default_factory=dict)
    missed: tuple[Miss, ...] = ()
    report: Report = Report()


@dataclass(frozen=True)
class Failure:
    """A function that could not be built because of what its spec says; the message is for the spec's author."""

    name: str
    message: str


def compile_function(job: Job) -> Compiled | Failure:
    """Load, derive and print one function.

    Args:
        job: What to build.

    Returns:
        The text of its files, or what is wrong with its spec.
    """
    started = time.perf_counter()
    from symgen.archetypes import archetype_of
    from symgen.backends import manifest
    from symgen.layers import generated
    from symgen.program import ProgramError
    from symgen.spec import SpecError, load

    try:
        op = generated(load(job.file, root=job.specs, only=job.name)[job.name])
        archetype = archetype_of(op)
        derivation = archetype.derive(op, device=job.cuda)
        entry = manifest.entry(derivation.op, archetype.facts(derivation), archetype.name)
    except (SpecError, ProgramError, manifest.ManifestError) as error:
        return Failure(job.name, str(error))
    except Exception as error:
        error.add_note(f"while building {job.name} from {job.file}")
        raise
    texts = emit(derivation, job)
    entry["kernel"] = kernel_digest({**texts, **inlined(derivation)})
    device = emit_cuda(derivation, job) if job.cuda else {}
    if device:
        texts |= device
        missed = device_misses(derivation)
        entry["cuda"] = {"kernel": kernel_digest(device), "module": f"{CUDA}.{entry['module']}", "missed": missed}
    device_kernel = entry["cuda"]["kernel"] if device else ""
    docs = {}
    if job.docs:
        from symgen import sheet

        docs[sheet.card_path(job.name)] = card_text(derivation, job, entry["kernel"], device_kernel)
    report = _report(derivation, time.perf_counter() - started)
    entry["rules"] = sorted(report.rules)
    return Compiled(job.name, texts, entry, docs, misses(derivation), report)


def emit(derivation: Derivation, job: Job) -> dict[str, str]:
    """The text of the modules of one function, by their paths below the folder of kernels."""
    from symgen.archetypes import archetype_of
    from symgen.backends import manifest

    runtime = "symgen.runtime" if job.runtime == "shared" else ".._runtime"
    text = archetype_of(derivation.op).emit(derivation, runtime)
    return {f"{manifest.module_name(derivation.op).replace('.', '/')}.py": text}


def emit_elementwise(derivation: Derivation, runtime: str) -> str:
    """The text of the module of an elementwise function."""
    from symgen.backends import numba_cpu

    module = _module(derivation, tuple(_variant(variant) for variant in derivation.variants), runtime)
    return numba_cpu.emit(replace(module, archetype="losses") if derivation.op.kind == "loss" else module)


def emit_rows(derivation: RowDerivation, runtime: str) -> str:
    """The text of the module of a row function."""
    from symgen.rows import text

    return text.emit(derivation, _module(derivation, (), runtime), lambda derived: _title(derived.variant))


def emit_cuda(derivation: Derivation | RowDerivation, job: Job) -> dict[str, str]:
    """The same for the GPU, as far as there is code for it."""
    from symgen.archetypes import archetype_of
    from symgen.backends import manifest

    runtime = "symgen.runtime" if job.runtime == "shared" else "..._runtime"
    text = archetype_of(derivation.op).emit_device(derivation, runtime)
    return {f"{CUDA}/{manifest.module_name(derivation.op).replace('.', '/')}.py": text} if text else {}


def emit_elementwise_cuda(derivation: Derivation, runtime: str) -> str:
    """The text of the module of an elementwise function for GPUs; empty where its kernels would be too dear."""
    from symgen.backends import numba_cuda

    if any(o.device is None for v in derivation.variants for o in v.outputs):
        return ""
    return numba_cuda.emit(_module(derivation, tuple(map(_device_variant, derivation.variants)), runtime))


def emit_rows_cuda(derivation: RowDerivation, runtime: str) -> str:
    """The text of the module of a row function for GPUs."""
    from symgen.rows import text

    return text.emit_cuda(derivation, _module(derivation, (), runtime), lambda derived: _title(derived.variant))


def _module(derivation: Derivation | RowDerivation, variants: tuple[VariantText, ...], runtime: str) -> ModuleText:
    from symgen.backends import numba_cpu

    op = derivation.op
    return numba_cpu.ModuleText(
        name=op.name,
        summary=op.summary,
        definition=op.definition,
        source=op.source.file,
        key=build_keys.combine([build_keys.helpers(), *inlined(derivation).values()]),
        arguments=tuple(numba_cpu.Operand(a.name, a.role.kind) for a in _passed(op)),
        variants=variants,
        runtime=runtime,
        reduced=op.kind == "loss",
    )


def inlined(derivation: Derivation | RowDerivation) -> dict[str, str]:
    """The text of the elementary functions that a function's kernels compile into their loops."""
    from symgen.archetypes import archetype_of
    from symgen.backends import numba_cpu, numba_elementary
    from symgen.kernel import topological
    from symgen.near import near

    results = [r for core in archetype_of(derivation.op).cores(derivation) for r in core.results]
    twins = [t for single in (False, True) if (t := near(results, single)) is not None]
    results += [r for twin, far in twins for r in (*twin, far)]
    called = {n.value for n in topological(results) if n.op == "call"} & numba_cpu.ELEMENTARY
    return {numba_elementary.FILE: numba_elementary.emit("", called)} if called else {}


def _passed(op: Op) -> list[Argument]:
    """What every kernel of a function takes, whether its variant reads it or not: arrays, then numbers."""
    numbers = [a for a in op.options if a.role.kind != "choice"]
    return [*op.operands, *numbers]


def _variant(derived: DerivedVariant) -> VariantText:
    from symgen.backends import numba_cpu

    outputs = (
        numba_cpu.OutputText(o.name, o.cores["f64"], o.cores["f32"], _comments(o.regions, _stated(o)), o.quick)
        for o in derived.outputs
    )
    return numba_cpu.VariantText(derived.variant.suffix, tuple(outputs), _title(derived.variant))


def _device_variant(derived: DerivedVariant) -> VariantText:
    from symgen.backends import numba_cpu

    outputs = (
        numba_cpu.OutputText(o.name, o.cores["f64"], o.device.core, _comments(o.device.form.regions()))
        for o in derived.outputs
        if o.device is not None
    )
    return numba_cpu.VariantText(derived.variant.suffix, tuple(outputs), _title(derived.variant))


def device_misses(derivation: Derivation | RowDerivation) -> list[list[str]]:
    """Variants and outputs for which no float32 arithmetic that was found keeps the bar everywhere."""
    each = ((v.variant.suffix, o.name, getattr(o, "device", None)) for v in derivation.variants for o in v.outputs)
    return [[suffix, name] for suffix, name, device in each if device is not None and device.unresolved]


def _title(variant: Variant) -> str:
    """When a variant applies, in words."""
    chosen = [f"{name}={value!r}" for name, value in variant.settings if value != "given"]
    given = [f"{name} given" for name, value in variant.settings if value == "given"]
    held = [str(condition) if truth else f"not ({condition})" for condition, truth in variant.conditions]
    return ", ".join([*chosen, *given, *held])


def _stated(output: Output) -> tuple[str, ...]:
    """In what the forms of an output are stated, and what they are multiplied by."""
    difference = () if output.difference is None else (f"with {output.difference[0]} = {output.difference[1]}",)
    return (*difference, *((f"times {output.factor}",) if output.factor != 1 else ()))


def _comments(regions: tuple[Region, ...], stated: tuple[str, ...] = ()) -> tuple[str, ...]:
    """What a reader of the kernel wants to know: which formula computes which part of the line."""
    lines: list[tuple[str, float, float, str]] = []
    for region in regions:
        where = "" if region.condition is None else f"where {region.condition}: "
        for segment in region.segments:
            how = "" if segment.arithmetic in ("short", "plain") else f" ({segment.arithmetic})"
            what = (segment.note if segment.expression is None else str(segment.expression)) + how
            if lines and lines[-1][0] == where and lines[-1][3] == what:
                lines[-1] = (where, lines[-1][1], segment.upper, what)
            else:
                lines.append((where, segment.lower, segment.upper, what))
    found = [where + _span(lower, upper) + what for where, lower, upper, what in lines]
    return (*found, ", ".join(stated)) if stated else tuple(found)


def _span(lower: float, upper: float) -> str:
    return "" if math.isinf(lower) and math.isinf(upper) else f"{lower:.6g} to {upper:.6g}: "


def card_text(derivation: Derivation, job: Job, kernel: str, device: str = "") -> str:
    """The TeX of the reference card of one function; what was measured on other code is left out.

    Args:
        derivation: what was derived.
        job: which says where the certificates are.
        kernel: The `kernel_digest` of its code.
        device: and of its CUDA kernels.
    """
    from symgen.archetypes import archetype_of

    found = certificate(job.certificate, kernel)
    if found is not None and job.certificate is not None:
        on_device = certificate(build_keys.device_certificate(job.certificate), device)
        found |= {"cuda": on_device["outputs"]} if device and on_device else {}
    return archetype_of(derivation.op).card(derivation, found)


def certificate(path: Path | None, kernel: str) -> dict[str, Any] | None:
    """What was measured of this very code, or None.

    Args:
        path: The file that `symgen certify` wrote, if there is one.
        kernel: The `kernel_digest` of the code.
    """
    text = None if path is None else files.read(path)
    try:
        found = json.loads(text) if text else {}
    except json.JSONDecodeError:
        found = {}
    return found if isinstance(found, dict) and found.get("kernel") == kernel else None


def kernel_digest(texts: Mapping[str, str]) -> str:
    """The hash of what a function's modules compute: their tokens and those of what they inline, without comments.

    A certificate names the code that it was measured on by this hash. It outlives a comment that changes, and anything
    that changes in symgen without reaching the kernels.
    """
    modules = {**texts, **build_keys.inlined(texts.values())}
    return build_keys.combine(_computed(name, modules[name]) for name in sorted(modules))


@lru_cache(maxsize=64)  # most of what a function inlines, the one before it inlined too
def _computed(name: str, text: str) -> str:
    """What a module computes, one token on a line."""
    return f"{name}:" + f"\n{name}:".join(tokens(text))


def _report(derivation: Derivation, seconds: float) -> Report:
    outputs = [output for variant in derivation.variants for output in variant.outputs]
    return Report(
        variants=len(derivation.variants),
        rules=tuple(dict.fromkeys(step.rule for output in outputs for step in output.trace)),
        segments=sum(len(region.segments) for output in outputs for region in output.regions),
        seconds=seconds,
    )
