"""The driver: what has changed is derived, written and recorded, and nothing else is touched.

plan  = compare keys and file hashes with the manifest      (no SymPy, no Numba)
build = derive what is stale, write it, delete orphans, write the manifest last
check = derive everything in memory and compare the whole folder
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from symgen import build_compile, build_keys, build_pool, build_shared, files
from symgen.build_compile import Compiled, Failure, Job
from symgen.build_keys import CERTIFICATES, DEVICE, Target
from symgen.config import Config, did_you_mean
from symgen.files import UserError, digest
from symgen.missed import Miss

MANIFEST = "manifest.json"
FORMAT = 1

Compile = Callable[[Job], Compiled | Failure]
Listener = Callable[[Compiled | Failure], None]


@dataclass(frozen=True)
class Plan:
    """What a build would do.

    Attributes:
        targets: Every function of the project, by name.
        stale: Names of those whose files are missing, edited by hand or older than what they depend on.
        shared: Whether files that serve all functions are stale.
        orphans: Files that symgen once wrote below ``out`` and that belong to nothing any more.
        docs_orphans: The same below ``docs``.
        manifest: The manifest that is there, or an empty one.
    """

    targets: Mapping[str, Target]
    stale: tuple[str, ...]
    shared: bool
    orphans: tuple[str, ...]
    docs_orphans: tuple[str, ...]
    manifest: Mapping[str, Any]

    @property
    def nothing_to_do(self) -> bool:
        return not (self.stale or self.shared or self.orphans or self.docs_orphans)


@dataclass(frozen=True)
class Outcome:
    """What a build did.

    Attributes:
        built: Functions that were derived and written.
        unchanged: How many were up to date.
        written, same, removed: Files that changed, were as they should be already, or were deleted.
        failures: Functions whose spec is wrong.
        missed: What misses its accuracy bar, by function: of those just derived, then of those that were up to date.
        refused: Whether this was a strict build that found something wrong, and therefore wrote nothing.
        withheld: The functions that it derived.
        seconds: How long it took.
    """

    built: tuple[str, ...] = ()
    unchanged: int = 0
    written: tuple[str, ...] = ()
    same: int = 0
    removed: tuple[str, ...] = ()
    failures: tuple[Failure, ...] = ()
    missed: Mapping[str, tuple[Miss, ...]] = field(default_factory=dict)
    refused: bool = False
    withheld: tuple[str, ...] = ()
    seconds: float = 0.0


def plan(config: Config, names: Sequence[str] = (), *, force: bool = False) -> Plan:
    """Compare what is there with what there should be.

    Args:
        config: The project.
        names: Functions to look at; all if empty (only then are orphans looked for).
        force: Take everything for stale.

    Raises:
        UserError: for an unknown name or an unreadable folder of specs.
    """
    targets = build_keys.targets(config)
    manifest = read_manifest(config.out)
    entries = manifest["functions"]
    chosen = resolve(names, targets) or tuple(targets)
    stale = tuple(name for name in chosen if force or not _fresh(config, targets[name], entries.get(name, {})))
    live = {name: entry for name, entry in entries.items() if name in targets}
    expected, docs = _expected({**manifest, "functions": live})
    return Plan(
        targets=targets,
        stale=stale,
        shared=bool(stale) or set(entries) != set(targets) or force or not _shared_fresh(config, manifest, targets),
        orphans=() if names else _orphans(config.out, expected, targets),
        docs_orphans=() if names or config.docs is None else _orphans(config.docs, docs, targets),
        manifest=manifest,
    )


def build(
    config: Config,
    names: Sequence[str] = (),
    *,
    force: bool = False,
    strict: bool = False,
    listener: Listener = lambda _: None,
    compiler: Compile = build_compile.compile_function,
    todo: Plan | None = None,
) -> Outcome:
    """Bring the generated files up to date; see `plan` for the arguments.

    A function whose spec is wrong keeps the files it had, and the others are built; an interrupted build keeps what
    it finished. Every file is whole at every moment. A strict build derives everything first, and writes nothing where
    a spec is wrong or a bar is missed, be it by a function that was up to date.

    Raises:
        UserError: if a file would be overwritten that symgen did not write.
    """
    started = time.perf_counter()
    todo = todo or plan(config, names, force=force)
    chosen = resolve(names, todo.targets) or tuple(todo.targets)
    known = recorded_misses(todo.manifest, [name for name in chosen if name not in todo.stale])
    if todo.nothing_to_do:
        return Outcome(unchanged=len(todo.targets), missed=known, seconds=time.perf_counter() - started)
    if not force:
        files.refuse_foreign(config.out, [MANIFEST, *build_shared.NAMES])
    jobs = _jobs(config, todo.stale, todo.targets, todo.manifest)
    results: Iterable[Compiled | Failure] = build_pool.run(compiler, jobs, config.jobs or build_pool.cores())
    if strict:
        results = [*_heard(results, listener)]
        if known or not all(isinstance(r, Compiled) and not r.missed for r in results):
            return _withheld(results, known, len(todo.targets) - len(jobs), time.perf_counter() - started)
        listener = lambda _: None  # noqa: E731  it has heard of all of them
    writer = _Writer(config, todo, force, known)
    complete = False
    try:
        for result in results:
            listener(writer.take(result))
        complete = not names and not writer.failures
    finally:
        writer.close(delete_orphans=complete)
    return writer.outcome(time.perf_counter() - started)


def _jobs(
    config: Config, names: Iterable[str], targets: Mapping[str, Target], manifest: Mapping[str, Any]
) -> list[Job]:
    """What workers have to do, by the size of the files that there are: the last to begin should not take longest."""
    entries = manifest["functions"]
    sizes = {name: [files.size(config.out / file) for file in entries.get(name, {}).get("files", ())] for name in names}
    return [job(config, targets[name]) for name in sorted(sizes, key=lambda name: -sum(sizes[name]))]


def _heard(results: Iterable[Compiled | Failure], listener: Listener) -> Iterator[Compiled | Failure]:
    for result in results:
        listener(result)
        yield result


def _withheld(
    results: Sequence[Compiled | Failure], known: Mapping[str, tuple[Miss, ...]], unchanged: int, seconds: float
) -> Outcome:
    """A strict build that found something wrong, and wrote nothing."""
    compiled = [each for each in results if isinstance(each, Compiled)]
    return Outcome(
        unchanged=unchanged,
        failures=tuple(each for each in results if isinstance(each, Failure)),
        missed={**{each.name: each.missed for each in compiled if each.missed}, **known},
        refused=True,
        withheld=tuple(each.name for each in compiled),
        seconds=seconds,
    )


def recorded_misses(manifest: Mapping[str, Any], names: Iterable[str]) -> dict[str, tuple[Miss, ...]]:
    """What these functions missed when they were built, by function; nothing for those that meet their bars."""
    entries = {name: manifest["functions"].get(name, {}) for name in names}
    return {name: tuple(map(Miss.from_json, entry["missed"])) for name, entry in entries.items() if entry.get("missed")}


class _Writer:
    """Writes results as they come and the manifest last; the one place with a state."""

    def __init__(self, config: Config, todo: Plan, force: bool, known: Mapping[str, tuple[Miss, ...]]) -> None:
        self.config, self.todo, self.force = config, todo, force
        old = todo.manifest["functions"]
        self.entries: dict[str, Any] = {name: entry for name, entry in old.items() if name in todo.targets}
        self.known, self.missed = known, dict[str, tuple[Miss, ...]]()
        self.built: list[str] = []
        self.failures: list[Failure] = []
        self.written: list[str] = []
        self.removed: list[str] = []
        self.same = 0

    def take(self, result: Compiled | Failure) -> Compiled | Failure:
        if isinstance(result, Compiled):
            try:
                self._write(self.config.out, result.files)
                if self.config.docs is not None:
                    self._write(self.config.docs, result.docs)
            except UserError as error:
                result = Failure(result.name, str(error))
        if isinstance(result, Failure):
            self.failures.append(result)
            return result
        self.entries[result.name] = entry(result, self.todo.targets[result.name])
        self.built.append(result.name)
        if result.missed:
            self.missed[result.name] = result.missed
        return result

    def close(self, *, delete_orphans: bool) -> None:
        """Write what serves all functions, delete what serves none, and then the manifest."""
        shared = build_shared.texts(self.config, self.entries)
        self._write(self.config.out, shared.files)
        self._write(self.config.docs or self.config.out, shared.docs)
        self._write(beside(self.config), shared.face)
        record = _shared_entry(self.config, shared, self.todo.targets, self.entries)
        current = manifest(self.entries, record)
        if delete_orphans:
            expected, docs = _expected(current)
            self.removed += files.remove(self.config.out, _orphans(self.config.out, expected, self.entries))
            if self.config.docs is not None:
                self.removed += files.remove(self.config.docs, _orphans(self.config.docs, docs, self.entries))
        self._write(self.config.out, {MANIFEST: render(current)})

    def _write(self, root: Path, texts: Mapping[str, str]) -> None:
        if not self.force:
            files.refuse_foreign(root, texts)
        for name in sorted(texts):
            if files.write(root / name, texts[name]):
                self.written.append(name)
            else:
                self.same += 1

    def outcome(self, seconds: float) -> Outcome:
        return Outcome(
            built=tuple(self.built),
            unchanged=len(self.todo.targets) - len(self.built) - len(self.failures),
            written=tuple(self.written),
            same=self.same,
            removed=tuple(self.removed),
            failures=tuple(self.failures),
            missed={**dict(sorted(self.missed.items())), **self.known},
            seconds=seconds,
        )


def resolve(names: Iterable[str], targets: Mapping[str, Target]) -> tuple[str, ...]:
    """The functions that these names and aliases mean.

    Raises:
        UserError: naming the nearest function there is.
    """
    known = {alias: name for name, target in targets.items() for alias in (name, *target.aliases)}
    for name in names:
        if name not in known:
            hint = did_you_mean(name, known) if known else "there are no specs yet: try `symgen new swoosh`"
            raise UserError(f"there is no function {name!r}\n  hint: {hint}")
    return tuple(dict.fromkeys(known[name] for name in names))


def read_manifest(out: Path) -> dict[str, Any]:
    """The manifest below ``out``; an empty one where it is missing, unreadable or of another format."""
    text = files.read(out / MANIFEST)
    try:
        found = json.loads(text) if text else {}
    except json.JSONDecodeError:
        found = {}
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        found = {}
    return {"functions": found.get("functions", {}), "shared": found.get("shared", {})}


def manifest(entries: Mapping[str, Any], shared: Mapping[str, Any]) -> dict[str, Any]:
    """The manifest's content; the comment marks the file as symgen's own."""
    return {
        "comment": "Generated by symgen; do not edit.",
        "format": FORMAT,
        "functions": dict(sorted(entries.items())),
        "shared": dict(shared),
    }


def render(content: Mapping[str, Any]) -> str:
    """The manifest's text."""
    return json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"


def entry(result: Compiled, target: Target) -> dict[str, Any]:
    """The manifest's record of a function: what the backend says of it, its key and the hashes of its files."""
    hashes = {name: digest(text) for name, text in result.files.items()}
    docs = {name: digest(text) for name, text in result.docs.items()}
    optional = {"docs": docs, "measured": target.measured, "missed": [miss.to_json() for miss in result.missed]}
    return {**result.entry, "key": target.key, "files": hashes, **{k: v for k, v in optional.items() if v}}


def _shared_entry(
    config: Config, shared: build_shared.Shared, targets: Mapping[str, Target], entries: Mapping[str, Any]
) -> dict[str, Any]:
    hashes = {name: digest(text) for name, text in shared.files.items()}
    docs = {name: digest(text) for name, text in shared.docs.items()}
    face = {name: digest(text) for name, text in shared.face.items()}
    complete = set(targets) == set(entries)
    key = build_shared.key(config, targets) if complete else ""
    return {"key": key, "files": hashes, "docs": docs, "face": face}


def beside(config: Config) -> Path:
    """The folder of the module that offers the kernels."""
    return config.out if config.face is None else config.face.parent


def job(config: Config, target: Target) -> Job:
    """What a worker has to know to build one function."""
    return Job(
        name=target.name,
        file=target.file,
        key=target.key,
        specs=next((root for root in config.specs if target.file.is_relative_to(root)), target.file.parent),
        runtime=config.runtime,
        docs=config.docs is not None,
        certificate=target.certificate,
        cuda=config.cuda,
    )


def stale_kernels(config: Config, names: Sequence[str]) -> tuple[str, ...]:
    """Those of the named functions whose code is not what their specs say; their cards are not looked at."""
    targets, entries = build_keys.targets(config), read_manifest(config.out)["functions"]
    return tuple(name for name in names if not _fresh_kernel(config, targets[name], entries.get(name, {})))


def _fresh(config: Config, target: Target, record: Mapping[str, Any]) -> bool:
    if record.get("measured", "") != target.measured or (config.docs is not None) != bool(record.get("docs")):
        return False
    return _fresh_kernel(config, target, record) and _intact(config.docs, record.get("docs", {}))


def _fresh_kernel(config: Config, target: Target, record: Mapping[str, Any]) -> bool:
    return record.get("key") == target.key and _intact(config.out, record["files"])


def _shared_fresh(config: Config, current: Mapping[str, Any], targets: Mapping[str, Target]) -> bool:
    shared = current["shared"]
    if shared.get("key") != build_shared.key(config, targets):
        return False
    return (
        _intact(config.out, shared["files"])
        and _intact(config.docs, shared["docs"])
        and _intact(beside(config), shared["face"])
    )


def _intact(root: Path | None, hashes: Mapping[str, str]) -> bool:
    if root is None:
        return not hashes
    return all(
        (text := files.read(root / name)) is not None and digest(text) == value for name, value in hashes.items()
    )


def _expected(current: Mapping[str, Any]) -> tuple[set[str], set[str]]:
    records = [*current["functions"].values(), current["shared"]]
    return (
        {MANIFEST, *(name for record in records for name in record.get("files", {}))},
        {name for record in records for name in record.get("docs", {})},
    )


def _orphans(root: Path, expected: set[str], functions: Iterable[str]) -> tuple[str, ...]:
    measured = (CERTIFICATES, f"{CERTIFICATES}/{DEVICE}")
    kept = expected | {f"{folder}/{name}.json" for folder in measured for name in functions}
    return tuple(name for name in files.owned(root) if name not in kept)


@dataclass(frozen=True)
class Texts:
    """Everything that a project's specs lead to, by path below ``out``, below ``docs`` and beside the public module."""

    files: Mapping[str, str]
    docs: Mapping[str, str]
    face: Mapping[str, str]
    failures: tuple[Failure, ...] = ()


def compile_all(
    config: Config, listener: Listener = lambda _: None, compiler: Compile = build_compile.compile_function
) -> Texts:
    """Derive everything in memory, and write nothing."""
    targets = build_keys.targets(config)
    jobs = _jobs(config, targets, targets, read_manifest(config.out))
    everything: list[Compiled | Failure] = []
    for each in build_pool.run(compiler, jobs, config.jobs or build_pool.cores()):
        listener(each)
        everything.append(each)
    results = [each for each in everything if isinstance(each, Compiled)]
    failures = tuple(each for each in everything if isinstance(each, Failure))
    entries = {result.name: entry(result, targets[result.name]) for result in results}
    shared = build_shared.texts(config, entries)
    content = manifest(entries, _shared_entry(config, shared, targets, entries))
    files_ = {**shared.files, **_merged(result.files for result in results), MANIFEST: render(content)}
    return Texts(files_, {**shared.docs, **_merged(result.docs for result in results)}, shared.face, failures)


def _merged(parts: Iterable[Mapping[str, str]]) -> dict[str, str]:
    return {name: text for part in parts for name, text in part.items()}
