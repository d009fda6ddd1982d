"""What generated kernels need when they run: NumPy, Numba (at the first call) and nothing else of symgen."""

from .errors import GeneratedPackageError
from .kernel import Kernel
from .package import load_package
from .threads import get_num_threads, set_num_threads

__all__ = ["GeneratedPackageError", "Kernel", "get_num_threads", "load_package", "set_num_threads"]
