"""The public face of the generated catalogue: `import symgen.functional as F`, then `F.gelu(x)`.

Every function of the catalogue is an attribute of this module; `dir(F)` lists them and `help(F.gelu)` explains one.
Importing compiles nothing and needs neither SymPy nor Numba.
"""

from .runtime.package import load_package

__getattr__, __dir__ = load_package("symgen.generated", public=__name__)
