"""symgen: write the textbook formula once, get kernels that are right to the last bit."""

from pathlib import Path

__version__ = "0.1.0"

_here = Path(__file__).parent
if not (_here / "generated" / "__init__.py").is_file():
    # In a source checkout generated/ lies beside this package; a wheel has it inside.
    __path__.append(str(_here.parent))
