"""Where templates become text: one strict Jinja environment for every backend."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, TemplateNotFound

from symgen import resources


class TemplateError(ValueError):
    """A template that is not there: a broken installation or a backend without this archetype."""


@cache
def environment(backend: str) -> Environment:
    """The Jinja environment of one backend's folder below templates/, in a checkout or in a wheel."""
    return Environment(
        loader=FileSystemLoader(folder(backend)),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )


def folder(backend: str) -> Path:
    """The folder that holds one backend's templates."""
    found = resources.templates() / backend
    if not found.is_dir():
        raise TemplateError(f"no templates for the backend {backend!r}: {found} is missing; reinstall symgen")
    return found


def render(backend: str, template: str, values: Mapping[str, Any]) -> str:
    """The text of one template, filled in; an unknown name in it is an error, never an empty string."""
    try:
        return environment(backend).get_template(template).render(values)
    except TemplateNotFound as error:
        known = ", ".join(sorted(p.name for p in folder(backend).glob("*.jinja")))
        raise TemplateError(f"the backend {backend!r} has no template {error.name!r}; it has {known}") from None
