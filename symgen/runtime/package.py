"""A generated package as a lazy namespace: functions appear from the manifest, and nothing compiles before a call."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .errors import GeneratedPackageError, did_you_mean
from .kernel import Kernel
from .layers import Layer
from .manifest import OPERAND_ROLES, OPTION_ROLES, Function, parse_function, read_manifest

MANIFEST = "manifest.json"
ARCHETYPES = frozenset({"elementwise", "rows", "layer"})


class Catalogue:
    """The functions of one generated package, made into kernels as they are asked for."""

    def __init__(self, package: str, directory: Path | None, public: str) -> None:
        self.package = package
        self.public = public
        self._directory = directory
        self._functions: dict[str, Any] | None = None
        self._names: dict[str, str] = {}
        self._kernels: dict[str, Kernel] = {}

    def names(self) -> list[str]:
        """The functions and their aliases, sorted."""
        self._load()
        return sorted(self._names)

    def kernel(self, name: str) -> Kernel:
        """The kernel of a name or alias.

        Raises:
            AttributeError: there is none of this name; the message has the nearest.
            GeneratedPackageError: the generated package is missing or broken.
        """
        functions = self._load()
        if name not in self._names:
            raise AttributeError(
                f"module {self.public!r} has no function {name!r}{did_you_mean(name, self._names)}", name=name
            )
        canonical = self._names[name]
        if canonical not in self._kernels:
            function = _parsed(canonical, functions[canonical])
            made = (Layer if function.is_layer else Kernel)(function, self.package, self.public)
            self._kernels.setdefault(canonical, made)
        return self._kernels[canonical]

    def check(self) -> None:
        """Check that there is a generated package.

        Raises:
            GeneratedPackageError: the package or its manifest is missing; the message has the command to run.
        """
        folder = self._directory or self._locate()
        if not (folder / MANIFEST).is_file():
            raise GeneratedPackageError(f"{self.package} has no {MANIFEST} in {folder}; run `symgen build`")

    def _load(self) -> dict[str, Any]:
        if self._functions is None:
            functions = read_manifest((self._directory or self._locate()) / MANIFEST)
            aliases = {alias: name for name, data in functions.items() for alias in data.get("aliases") or ()}
            self._names = aliases | {name: name for name in functions}
            self._functions = functions
        return self._functions

    def _locate(self) -> Path:
        try:
            package = importlib.import_module(self.package)
        except ModuleNotFoundError as error:
            raise GeneratedPackageError(f"no generated kernels: {error}; run `symgen build`") from error
        except (ImportError, TypeError, ValueError, AttributeError) as error:
            if all(part.isidentifier() for part in str(self.package).split(".")):
                raise  # a package that fails as it is imported says best itself why
            raise GeneratedPackageError(f"{self.package!r} is not the dotted name of a package") from error
        folders = list(getattr(package, "__path__", ()))
        if not folders:
            raise GeneratedPackageError(f"{self.package} is a module and not a package of generated kernels")
        return Path(folders[0])


def _parsed(name: str, data: Any) -> Function:
    try:
        function = parse_function(name, data)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise GeneratedPackageError(
            f"{name}: its entry in {MANIFEST} is not understood ({error!r}); run `symgen build --force`"
        ) from error
    unknown = {a.role for a in function.arguments} - OPERAND_ROLES - OPTION_ROLES
    if function.archetype not in ARCHETYPES or unknown:
        what = f"archetype {function.archetype!r}" if not unknown else f"role {min(unknown)!r}"
        raise GeneratedPackageError(f"{name}: this runtime does not know the {what}; update symgen and rebuild")
    return function


def _contents(module: str) -> dict[str, Any]:
    """What is in a module, or nothing where it is not imported."""
    return sys.modules[module].__dict__ if module in sys.modules else {}


def load_package(
    package: str, file: str | None = None, public: str | None = None
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """The ``__getattr__`` and ``__dir__`` of a module that offers the kernels of a generated package.

    Args:
        package: the generated package's dotted name.
        file: its ``__init__.py``; without one the package is imported to find it.
        public: the module that offers the kernels, if not the package itself; pickles refer to it. It may be imported
            before the kernels are built: they are looked for at the first use.

    Returns:
        Two functions to assign to ``__getattr__`` and ``__dir__`` of the public module.

    Raises:
        GeneratedPackageError: the package is not there (only if neither file nor public is given).

    Example:
        ``__getattr__, __dir__ = load_package(__name__, __file__)``
    """
    offering = public or package
    catalogue = Catalogue(package, Path(file).parent if file else None, offering)
    if file is None and public is None:
        catalogue.check()

    def module_getattr(name: str) -> Any:
        if name == "__all__":
            return catalogue.names()
        if name.startswith("_"):
            raise AttributeError(f"module {offering!r} has no attribute {name!r}", name=name)
        kernel = catalogue.kernel(name)
        # The next access finds it without coming here.
        return _contents(offering).setdefault(name, kernel)

    def module_dir() -> list[str]:
        own = list(_contents(offering))
        try:
            return sorted({*own, *catalogue.names()})
        except GeneratedPackageError:
            return sorted(own)

    return module_getattr, module_dir
