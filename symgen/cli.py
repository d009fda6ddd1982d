"""The command line: names the commands, and turns what they raise into messages and exit codes.

Importing this module imports no command. Commands are loaded when they run, and each imports what it needs.
"""

from __future__ import annotations

import enum
import errno
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from cyclopts import App, CycloptsError, Group

from symgen import __version__
from symgen.console import complain, say
from symgen.files import UserError

ISSUES = "the project's issue tracker"
SYMPY_CACHE_SIZE = "20000"  # entries: with SymPy's own 1000, derivations take up to a fifth longer


class Exit(enum.IntEnum):
    """What the exit code of a command means."""

    OK = 0
    DIFFERENT = 1  # files are not as they should be, or a certificate failed
    USAGE = 2  # a mistake in the command, the configuration or a spec
    BUG = 3  # symgen itself is wrong
    INTERRUPTED = 130


_COMMANDS = {
    "Projects": {
        "init": ("cli_project:init", "Make this folder a symgen project."),
        "new": ("cli_project:new", "Write a spec to start from."),
        "doctor": ("cli_doctor:doctor", "Report versions, threads, LaTeX, and whether everything is in order."),
    },
    "Building": {
        "build": ("cli_build:build", "Derive and write the kernels whose specs have changed."),
        "check": ("cli_build:check", "Compare the generated files with what the specs say."),
        "clean": ("cli_build:clean", "Delete what symgen generated, and caches."),
        "sheet": ("cli_measure:sheet", "Write the LaTeX reference sheet, and its PDF where latexmk is installed."),
    },
    "Running": {
        "warm": ("cli_run:warm", "Compile kernels ahead of time, so that no first call has to wait."),
        "bench": ("cli_run:bench", "Time kernels and their peers in one run, with the error of each beside its time."),
    },
    "Looking": {
        "list": ("cli_show:list_functions", "List the functions."),
        "show": ("cli_show:show", "Show a function at a stage of its derivation, as code or as LaTeX."),
        "explain": ("cli_show:explain", "Tell how a function was derived, with errors at every step and what remains."),
        "rules": ("cli_prove:rules", "List the rewriting rules with their domains, proofs and users."),
        "prove": ("cli_prove:prove", "Prove every rule and every fitted piece anew."),
        "certify": ("cli_measure:certify", "Measure the error of kernels against ball arithmetic."),
    },
}

# what the file system refuses is for its owner to put right; a file that is missing may be our own
_REFUSED = {
    getattr(errno, name)
    for name in ("EACCES", "EPERM", "EROFS", "ENOSPC", "EDQUOT", "EEXIST", "ENOTDIR", "EISDIR", "ENAMETOOLONG")
    if hasattr(errno, name)
}

_EPILOGUE = """\
Exit codes: 0 fine, 1 differences or a failed certificate, 2 a mistake in the command or a spec, 3 a bug in symgen, \
130 interrupted. Data goes to stdout, words to stderr. --debug shows the traceback of a bug."""


def application() -> App:
    """The command-line application, its commands not yet imported."""
    app = App(
        name="symgen",
        help="Write the textbook formula once; get accurate kernels, derivatives and a reference sheet.",
        help_epilogue=_EPILOGUE,
        help_format="plaintext",
        version=__version__,
        suppress_keyboard_interrupt=False,
        exit_on_error=False,
        result_action="return_value",
    )
    for order, (title, commands) in enumerate(_COMMANDS.items()):
        group = Group(title, sort_key=order)
        for position, (name, (place, summary)) in enumerate(commands.items()):
            app.command(f"symgen.{place}", name=name, help=summary, group=group, sort_key=position)
    return app


def run(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code; nothing that a user can cause leaves a traceback."""
    tokens = [token for token in arguments if token != "--debug"]
    try:
        result = application()(tokens)
    except CycloptsError:  # already printed, with a suggestion
        return Exit.USAGE
    except KeyboardInterrupt:
        say("interrupted")
        return Exit.INTERRUPTED
    except BrokenPipeError:  # whoever read our output has seen enough
        sys.stderr.close()
        return Exit.OK
    except Exception as error:  # noqa: BLE001  the boundary: what no one below understood is a bug, and is said to be one
        return _report(error, debug="--debug" in arguments)
    return result if isinstance(result, int) else Exit.OK


def main() -> NoReturn:
    """The ``symgen`` command."""
    os.environ.setdefault("SYMPY_CACHE_SIZE", SYMPY_CACHE_SIZE)
    sys.exit(int(run(sys.argv[1:])))


def _report(error: Exception, *, debug: bool) -> Exit:
    if isinstance(error, _user_errors()):
        complain(str(error))
        return Exit.USAGE
    if isinstance(error, OSError) and error.errno in _REFUSED and error.filename is not None and not debug:
        complain(
            f"{error.filename}: {error.strerror}\n"
            "  hint: see who owns it and whether it is a file or a folder, or choose another --out"
        )
        return Exit.USAGE
    if debug:
        import traceback

        traceback.print_exception(error)
    notes = "".join(f"\n  {note}" for note in getattr(error, "__notes__", ()))
    complain(
        f"this is a bug in symgen {__version__}: {type(error).__name__}: {error}{notes}\n"
        f"  hint: please report it in {ISSUES}, with what `symgen --debug {' '.join(sys.argv[1:])}` prints"
    )
    return Exit.BUG


def _user_errors() -> tuple[type[BaseException], ...]:
    """What users can put right; the errors of specs are known only once what raises them has been imported."""
    places = (("symgen.spec", "SpecError"), ("symgen.program", "ProgramError"))
    return UserError, *(getattr(sys.modules[module], name) for module, name in places if module in sys.modules)
