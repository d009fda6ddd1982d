"""Lets ``python -m symgen`` do what the ``symgen`` command does."""

from symgen.cli import main

if __name__ == "__main__":
    main()
