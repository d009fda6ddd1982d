"""Printers of kernels: each backend is a table from operations to text, a configuration and a folder of templates."""
