"""Options that commands share, written once: a record in a signature is all its fields."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import MISSING, asdict, dataclass, fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any, get_args, get_type_hints

import typer

from stepnav.cli.console import set_loudness


@dataclass(frozen=True, slots=True)
class Loudness:
    """What every command takes: how much it tells."""

    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print results and errors only.")] = (
        False
    )
    verbose: Annotated[
        int,
        typer.Option(
            "--verbose",
            "-v",
            count=True,
            help="Tell more; -vv tells everything.",
            show_default=False,
        ),
    ] = 0


def flat(function: Callable[..., int | None]) -> Callable[..., int | None]:
    """Return the function with its records' fields, and a `Loudness`, as arguments of their own.

    What is left of an annotation like `models: ModelOptions` on the command line are the fields of
    `ModelOptions`, each with the option in its annotation. A record as the argument's default gives
    other defaults than the class. What the function returns is the exit code, None stands for 0.
    """
    hints = get_type_hints(function, include_extras=True)
    records: dict[str, type[Any]] = {}
    parameters: list[inspect.Parameter] = []
    for name, parameter in inspect.signature(function).parameters.items():
        if is_dataclass(hints[name]):
            records[name] = hints[name]
            parameters += _fields(hints[name], parameter.default)
        else:
            parameters.append(parameter.replace(annotation=hints[name]))

    parameters += _fields(Loudness, inspect.Parameter.empty)
    records["loudness"] = Loudness
    signature = inspect.Signature(parameters)

    def command(**given: Any) -> int | None:
        bound = signature.bind(**given)
        bound.apply_defaults()
        values = bound.arguments
        for name, record in records.items():
            taken = {field.name: values.pop(field.name) for field in fields(record)}
            values[name] = record(**taken)
        set_loudness(**asdict(values.pop("loudness")))
        return function(**values)

    command.__name__, command.__doc__ = function.__name__, function.__doc__
    command.__annotations__ = {p.name: p.annotation for p in parameters}
    command.__signature__ = signature  # type: ignore[attr-defined]
    return command


def paths(function: Callable[..., Any]) -> frozenset[str]:
    """Return which arguments of a function that `flat` made are files and folders."""
    return frozenset(
        name for name, hint in function.__annotations__.items() if Path in _types(hint)
    )


def _types(hint: Any) -> list[Any]:
    """Return the types that an annotation is made of."""
    return [hint, *(one for part in get_args(hint) for one in _types(part))]


def _fields(record: type[Any], given: Any) -> list[inspect.Parameter]:
    """Return the fields of a record as arguments; `given` is the record with their defaults."""
    hints = get_type_hints(record, include_extras=True)
    found = []
    for field in fields(record):
        default = field.default if given is inspect.Parameter.empty else getattr(given, field.name)
        if default is MISSING:
            default = inspect.Parameter.empty  # an option that must be given
        found.append(
            inspect.Parameter(
                field.name,
                inspect.Parameter.KEYWORD_ONLY,
                default=default,
                annotation=hints[field.name],
            )
        )
    return found
