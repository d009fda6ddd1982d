"""What generated kernels need when they run: NumPy, Numba (at the first call) and nothing else of symgen."""

from .errors import GeneratedPackageError
from .kernel import Kernel
from .package import load_package

__all__ = ["GeneratedPackageError", "Kernel", "load_package"]
