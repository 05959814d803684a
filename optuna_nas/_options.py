"""Options, declared once: as fields of dataclasses, with what there is to say in their metadata.

From a declaration follow the check of a value, what a trial may suggest, what tells checkpoints
apart, the options of the command line, and the tables in the documentation. A class that is
declared with options may have `small`, the values of them that fit small data and short searches:
the preset of that name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, dataclass, field, fields, replace
from typing import Any, TypeVar

from optuna_nas._checks import checked_integer
from optuna_nas._choices import choose

T = TypeVar("T")

_KEY = "option"


@dataclass(frozen=True)
class Option:
    """A setting, and all that is known of it.

    Attributes:
        name: Its name in Python; `batch_size` is `--batch-size`.
        kind: The type of its value. Objectives that share a name share the type.
        default: Its value if it is not given; None for one that depends on others.
        help: What it is, in a few words.
        minimum: The least integer that is allowed.
        maximum: The largest integer that is allowed; None is no limit.
        check: Returns an allowed value, given the name and a value, and refuses another one.
        choices: The names that are allowed; None for any value.
        tunable: Whether trials may suggest it.
        needs: The value of another option without which it has no meaning.
        decides: Whether the values of trials depend on it. If so, it is stored on the study and
            stays as it is; if not, as a device, it is each machine's own.
        task: Whether it says what is searched and on which data. A search that starts from
            another one has the same task.
        imports: Whether it may be `module:object`, which only the command line may name.
        shown: What help says of the default, if that depends on a preset or a method.
        earlier: What it is in a study from before there was the option; None for the default.
    """

    name: str
    kind: type[int] | type[float] | type[bool] | type[str]
    default: Any
    help: str
    minimum: int | None = None
    maximum: int | None = None
    check: Callable[[str, Any], Any] | None = None
    choices: tuple[str, ...] | None = None
    tunable: bool = False
    needs: tuple[str, Any] | None = None
    decides: bool = True
    task: bool = False
    imports: bool = False
    shown: str | None = None
    earlier: Any = None

    @property
    def flag(self) -> str:
        """The option as it is typed."""
        return "--" + self.name.replace("_", "-")

    def checked(self, value: Any) -> Any:
        """Return the value if it is allowed, as a plain Python number if it is one.

        Raises:
            ValueError: It is not; the message names the option, the value and what is allowed.
        """
        if value is None and self.default is None:
            return None
        if self.check is not None:
            return self.check(self.name, value)
        if self.choices is not None:
            choose(self.name, value, dict.fromkeys(self.choices))
        if self.kind is bool:
            return bool(value)
        if self.kind is int:
            minimum = 1 if self.minimum is None else self.minimum
            return checked_integer(self.name, value, minimum, self.maximum)
        return value


def option(
    default: Any,
    help: str,
    *,
    kind: type[int] | type[float] | type[bool] | type[str] | None = None,
    **about: Any,
) -> Any:
    """A field of a dataclass that is an option; see :class:`Option` for the arguments."""
    return field(
        default=default, metadata={_KEY: {"kind": kind or type(default), "help": help} | about}
    )


def with_default(declaring: type, name: str, default: Any, **how: Any) -> Any:
    """The option of another class, with another default; `how` goes to `field`."""
    [declared] = (f for f in fields(declaring) if f.name == name)
    return field(default=default, metadata=declared.metadata, **how)


def options_of(declaring: Any) -> dict[str, Option]:
    """The options of a dataclass by name, with the values that they have there.

    Args:
        declaring: The class, whose options have their defaults, or an instance.
    """
    found = {
        declared.name: Option(
            name=declared.name, default=declared.default, **declared.metadata[_KEY]
        )
        for declared in fields(declaring)
        if _KEY in declared.metadata
    }
    if isinstance(declaring, type):
        return found
    return {n: replace(o, default=getattr(declaring, n, o.default)) for n, o in found.items()}


def check_options(declaring: Any) -> None:
    """Check the options of an instance, and put plain numbers in their place.

    Raises:
        ValueError: One is not allowed.
    """
    for name, declared in options_of(type(declaring)).items():
        object.__setattr__(declaring, name, declared.checked(getattr(declaring, name)))


def set_options(declaring: Any, given: Mapping[str, Any]) -> dict[str, Any]:
    """Set those fields of an instance that have a default, for a constructor of its own.

    Args:
        declaring: The instance.
        given: Values by name.

    Returns:
        What was given and is no such field.
    """
    rest = dict(given)
    for declared in fields(declaring):
        if declared.default is not MISSING:
            setattr(declaring, declared.name, rest.pop(declared.name, declared.default))
    return rest


def preset_values(declaring: Any, preset: str) -> Mapping[str, Any]:
    """The values of a preset: `"published"`, or `"small"` for small data and short searches.

    Raises:
        ValueError: There is none of that name.
    """
    return choose("preset", preset, {"published": {}, "small": declaring.small})


def unset(declared: Option, small: Mapping[str, Any]) -> Option:
    """The same option, unset unless it is given: then it is what the preset has it be.

    Args:
        declared: The option, with the published value.
        small: The values of the other preset.
    """
    published, other = declared.default, small.get(declared.name, declared.default)
    shown = None if published is None else f"{published}"
    if other != published:
        shown = f"{published} or {other} if small"
    return replace(declared, default=None, shown=shown)


def from_preset(kind: Callable[..., T], preset: str, **given: Any) -> T:
    """Make settings: those of a preset, except for what is given."""
    return kind(**{**preset_values(kind, preset), **given})


def documented(declaring: type[T]) -> type[T]:
    """Add what the options are to the docstring of a class that is declared with them."""
    lines = [f"    {o.name}: {o.help}" for o in options_of(declaring).values()]
    declaring.__doc__ = "\n".join([(declaring.__doc__ or "").rstrip(), "", "Options:", *lines])
    return declaring


def options_table(options: Iterable[Option]) -> str:
    """Options as a table of the documentation, in Markdown."""
    rows = [f"| `{o.name}` | {_in_words(o.default)} | {o.help} |" for o in options]
    return "\n".join(["| option | default | meaning |", "|---|---|---|", *rows]) + "\n"


def _in_words(default: Any) -> str:
    return "-" if default is None else f"{default:g}" if type(default) is float else f"{default}"
