"""What `symgen check` says: whether the files on disk are those that the specs lead to, and what mends them."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from symgen import build, build_keys, build_shared, files, resources
from symgen.build_compile import Failure
from symgen.config import Config


@dataclass(frozen=True)
class Difference:
    """One file that is not as it should be.

    ``kind`` is "missing", "extra", "foreign" (extra, and not written by symgen), "differs", "stale", "occupied" (not
    written by symgen, where it has to write), or "uncertified" (a function whose kernel is not the certified one).
    """

    kind: str
    name: str
    diff: str = ""


@dataclass(frozen=True)
class Verdict:
    """What was found, and the command that mends it; none where a build would refuse, because of `blocked` files."""

    differences: tuple[Difference, ...]
    failures: tuple[Failure, ...] = ()
    mend: str = ""

    @property
    def blocked(self) -> tuple[str, ...]:
        return tuple(found.name for found in self.differences if found.kind == "occupied")


def check(config: Config, listener: build.Listener = lambda _: None) -> Verdict:
    """Derive everything in memory and compare the whole folder, byte for byte, extra and missing files included."""
    texts = build.compile_all(config, listener)
    found = [*compare(config.root, config.out, texts.files, _certificates(texts.files))]
    if config.docs is not None:
        found += compare(config.root, config.docs, texts.docs)
    found += compare(config.root, build.beside(config), texts.face, whole=False)
    return _verdict(config, found, texts.failures)


def _verdict(config: Config, found: list[Difference], failures: tuple[Failure, ...] = ()) -> Verdict:
    """Certificates are looked at once everything else is right: they are of the kernels as the manifest has them."""
    if found or failures:
        return Verdict(tuple(found), failures, _mend(config, found) if found else "")
    names, devices = uncertified(config), uncertified_devices(config)
    mend = f"symgen certify --exhaustive {' '.join(names)}" if names else ""
    if devices and not names:
        mend = f"symgen certify --cuda {' '.join(devices)}"
    found = [Difference("uncertified", name) for name in names]
    return Verdict((*found, *(Difference("uncertified", f"{name} (CUDA)") for name in devices)), (), mend)


def uncertified(config: Config) -> tuple[str, ...]:
    """Functions whose kernels are not those that their certificate was measured on.

    In the catalogue every function has to have one; in other projects, those that have a certificate.
    """
    every = resources.specs() in config.specs
    found = []
    for name, entry in sorted(build.read_manifest(config.out)["functions"].items()):
        text = files.read(config.out / build_keys.CERTIFICATES / f"{name}.json")
        if (every or text is not None) and _measured_kernel(text) != entry.get("kernel"):
            found.append(name)
    return tuple(found)


def uncertified_devices(config: Config) -> tuple[str, ...]:
    """Functions whose CUDA kernels are not those that were measured, among those where some were."""
    found = []
    for name, entry in sorted(build.read_manifest(config.out)["functions"].items()):
        text = files.read(build_keys.device_certificate(config.out / build_keys.CERTIFICATES / f"{name}.json"))
        if text is not None and _measured_kernel(text) != (entry.get("cuda") or {}).get("kernel"):
            found.append(name)
    return tuple(found)


def _measured_kernel(text: str | None) -> str:
    try:
        return str(json.loads(text or "{}").get("kernel", ""))
    except (json.JSONDecodeError, AttributeError):
        return ""


def check_fast(config: Config) -> Verdict:
    """Compare keys and file hashes with the manifest only: no derivation, no SymPy."""
    todo = build.plan(config)
    found = [Difference("stale", name) for name in todo.stale]
    if todo.shared and not todo.stale:
        found.append(Difference("stale", f"{config.out.name}/{build.MANIFEST} or a file that serves all functions"))
    found += [Difference("extra", str(_shown(config.root, config.out / name))) for name in todo.orphans]
    if config.docs is not None:
        found += [Difference("extra", str(_shown(config.root, config.docs / name))) for name in todo.docs_orphans]
    found += _occupied(config, todo)
    if not found:
        return _verdict(config, found)
    blocked = any(difference.kind == "occupied" for difference in found)
    return Verdict(tuple(found), (), "" if blocked else "symgen build")


def _occupied(config: Config, todo: build.Plan) -> list[Difference]:
    """The files that a build would refuse to replace, as far as the manifest names them."""
    if todo.nothing_to_do:
        return []
    records = [*todo.manifest["functions"].values(), todo.manifest["shared"]]
    places = {config.out: [build.MANIFEST, *build_shared.NAMES]}
    for key, folder in (("files", config.out), ("docs", config.docs), ("face", build.beside(config))):
        if folder is not None:
            places.setdefault(folder, []).extend(name for record in records for name in record.get(key, {}))
    paths = {path for folder, names in places.items() for path in files.foreign(folder, names)}
    return [Difference("occupied", _shown(config.root, path)) for path in sorted(paths)]


def compare(
    root: Path, folder: Path, expected: Mapping[str, str], spared: frozenset[str] = frozenset(), *, whole: bool = True
) -> Iterator[Difference]:
    """The files below ``folder`` that are missing, not what is expected, or (if ``whole``) superfluous."""
    there = {name for name in files.listing(folder) if name not in spared and _comparable(name)} if whole else set()
    for name in sorted(there | set(expected)):
        shown = _shown(root, folder / name)
        text = files.read(folder / name)
        if name not in expected:
            yield Difference("extra" if files.is_ours(folder / name) else "foreign", shown)
        elif text is None:
            yield Difference("missing", shown, _diff("", expected[name], shown))
        elif text != expected[name]:
            kind = "differs" if files.is_ours(folder / name) else "occupied"
            yield Difference(kind, shown, _diff(text, expected[name], shown))


def _comparable(name: str) -> bool:
    return not any(part.startswith(".") for part in name.split("/")) and not name.endswith((".pdf", ".aux", ".log"))


def _certificates(texts: Mapping[str, str]) -> frozenset[str]:
    stems = {name.rpartition("/")[2].removesuffix(".py") for name in texts}
    folders = (build_keys.CERTIFICATES, f"{build_keys.CERTIFICATES}/{build_keys.DEVICE}")
    return frozenset(f"{folder}/{stem}.json" for folder in folders for stem in stems)


def _mend(config: Config, found: list[Difference]) -> str:
    """The command that removes the differences: an edit that keys and hashes do not notice needs --force."""
    kinds = {difference.kind for difference in found}
    if kinds == {"foreign"} or "occupied" in kinds:
        return ""
    return "symgen build --force" if build.plan(config).nothing_to_do else "symgen build"


def _diff(old: str, new: str, name: str) -> str:
    lines = difflib.unified_diff(
        old.splitlines(), new.splitlines(), f"{name} (on disk)", f"{name} (from the spec)", lineterm=""
    )
    return "\n".join(lines)


def _shown(root: Path, path: Path) -> str:
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.as_posix()
