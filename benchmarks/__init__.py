"""Measures kernels and their peers on the same arrays in one run: `python -m benchmarks --help`."""
