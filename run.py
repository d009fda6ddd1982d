"""The two commands of the README: ``python3 run.py demo`` and ``python3 run.py test``.

Each makes what it needs, a virtual environment in .venv with symgen installed into it, and can be run first. Nothing
but Python 3.11 or newer is assumed; SYMGEN_VENV names another place for the environment.
"""

import hashlib
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = Path(os.environ.get("SYMGEN_VENV") or ROOT / ".venv")
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
STAMP = VENV / "symgen-installed"


def main(arguments):
    commands = {"demo": demo, "test": test, "setup": lambda rest: 0}
    if not arguments or arguments[0] not in commands:
        print("usage: python3 run.py demo | test [pytest options] | setup", file=sys.stderr)
        return 2
    if sys.version_info < (3, 11):
        print(f"symgen needs Python 3.11 or newer; this is {sys.version.split()[0]}", file=sys.stderr)
        print("hint: run this script with a newer one, such as python3.12 run.py demo", file=sys.stderr)
        return 2
    try:
        set_up()
        return commands[arguments[0]](arguments[1:])
    except subprocess.CalledProcessError as error:
        print(f"this command failed: {' '.join(map(str, error.cmd))}", file=sys.stderr)
        return error.returncode or 1
    except KeyboardInterrupt:
        return 130


def demo(rest):
    """Derive every kernel and the reference sheet from the specs, then call some of them."""
    call(PYTHON, "-m", "symgen", "build", "--force", "--verbose")
    call(PYTHON, "-m", "symgen", "sheet")
    call(PYTHON, ROOT / "docs" / "demo.py", *rest)
    return 0


def test(rest):
    """Run the tests, on as many processes as there are cores."""
    jobs = [] if any(option.startswith("-n") for option in rest) else ["-n", str(max(2, os.cpu_count() or 1))]
    return subprocess.run([PYTHON, "-m", "pytest", "-q", *jobs, *rest], cwd=ROOT, check=False).returncode


def set_up():
    """Make the virtual environment, unless it is there and was made for this very project file and Python."""
    wanted = hashlib.sha256((ROOT / "pyproject.toml").read_bytes() + sys.version.encode()).hexdigest()
    if PYTHON.exists() and STAMP.exists() and STAMP.read_text() == wanted:
        return
    print(f"setting up {VENV} (once)", file=sys.stderr, flush=True)
    with_pip = importlib.util.find_spec("ensurepip") is not None
    if not with_pip and importlib.util.find_spec("pip") is None:
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        raise SystemExit(f"this Python can make no virtual environment: on Debian, apt install python{version}-venv")
    if not PYTHON.exists() or STAMP.exists():
        subprocess.run(
            [sys.executable, "-m", "venv", "--clear", *([] if with_pip else ["--without-pip"]), VENV], check=True
        )
    # a Python without ensurepip (Debian's) may still have a pip, which can install into another environment
    pip = [PYTHON, "-m", "pip"] if with_pip else [sys.executable, "-m", "pip", "--python", PYTHON]
    call(*pip, "install", "--quiet", "--disable-pip-version-check", "--editable", f"{ROOT}[test,bfloat16]")
    STAMP.write_text(wanted)


def call(*command):
    subprocess.run(command, cwd=ROOT, check=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
