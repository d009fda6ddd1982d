"""symgen: write the textbook formula once, get kernels that are right to the last bit."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from symgen.runtime import get_num_threads as get_num_threads
    from symgen.runtime import set_num_threads as set_num_threads

__version__ = "0.1.0"

_here = Path(__file__).parent
if not (_here / "generated" / "__init__.py").is_file():
    # In a source checkout generated/ lies beside this package; a wheel has it inside.
    __path__.append(str(_here.parent))

_FROM_RUNTIME = frozenset({"get_num_threads", "set_num_threads"})  # when asked for: commands start without NumPy


def __getattr__(name: str) -> Any:
    if name in _FROM_RUNTIME:
        from symgen import runtime

        return getattr(runtime, name)
    raise AttributeError(f"module 'symgen' has no attribute {name!r}", name=name)
