"""From a TOML file and the environment to a Settings object, with every mistake on the way.

Rule 1. A later layer wins key by key, never section by section. A variable is the prefix, then the path
of the key in capitals, joined by two underscores: `SWIFT_HTTP__MAX_BODY_SIZE` is `[http] max_body_size`.
The names that platforms set (`WELL_KNOWN`) count too, below the prefixed ones; empty, they are not set.

Rule 2. Every mistake is reported at once, one sentence each, and no sentence repeats a value: it may be
a secret.

Rule 3. A variable with the prefix that names no setting is a mistake when it has the form of a path
(`SWIFT_HTPP__PORT`) or is a near miss (`SWIFT_STRIPE_KY`). Any other one belongs to somebody else:
OpenStack and the Swift compiler have variables with this prefix too.

The walk goes over the Struct's fields, not over the data, because msgspec stops at the first error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, TypeVar, get_args

import msgspec
from msgspec import NODEFAULT, inspect

S = TypeVar("S", bound=msgspec.Struct)

WELL_KNOWN: Final[Mapping[str, tuple[str, ...]]] = {
    "DATABASE_URL": ("database", "url"),
    "HOST": ("server", "host"),
    "PORT": ("server", "port"),
    "DEBUG": ("global", "debug"),
    "SECRET_KEY": ("global", "secret_key"),
}

_SEQUENCES: Final = frozenset({"ListType", "SetType", "FrozenSetType", "VarTupleType", "TupleType"})
_OBJECTS: Final = frozenset({"DictType", "StructType", "DataclassType", "TypedDictType"})
_TEXTUAL: Final = frozenset({"StrType", "LiteralType", "EnumType", "CustomType", "AnyType", "BytesType"})


class Variable(msgspec.Struct, frozen=True):
    """One variable of the environment: its full name, the path it stands for, its text."""

    name: str
    path: tuple[str, ...]
    text: str


class Reader:
    """Reads one file and one environment; `mistakes` grows on the way."""

    def __init__(self, path: str, prefix: str, *, optional: bool) -> None:
        self.path = path
        self.prefix = prefix
        self.optional = optional
        self.mistakes: list[str] = []
        self.file_is_broken = False

    def read(self, cls: type[S], env: Mapping[str, str]) -> S | None:
        table = self._read_file()
        variables = self._read_environment(cls, env)
        database = table.get("database")
        if isinstance(database, dict) and any(each.path == ("database", "url") for each in variables):
            # A platform's DATABASE_URL replaces the file's whole idea of the database, not one key of it.
            table["database"] = {key: database[key] for key in database if key == "options"}
        return self._section(cls, table, variables, (), None)

    def _read_file(self) -> dict[str, Any]:
        import tomllib

        try:
            with open(self.path, "rb") as file:
                return tomllib.load(file)
        except FileNotFoundError:
            if self.optional:
                return {}
            self.mistakes.append(f"{self.path} does not exist; create it or give the path of another file.")
        except tomllib.TOMLDecodeError as error:
            self.mistakes.append(f"{self.path} is not valid TOML: {error}.")
        except UnicodeDecodeError as error:
            self.mistakes.append(f"{self.path} is not UTF-8: byte {error.start} cannot be decoded.")
        except OSError as error:
            self.mistakes.append(f"{self.path} cannot be read: {error.strerror}.")
        self.file_is_broken = True
        return {}

    def _read_environment(self, cls: type[msgspec.Struct], env: Mapping[str, str]) -> list[Variable]:
        found: dict[tuple[str, ...], Variable] = {}
        for name, path in WELL_KNOWN.items():
            if env.get(name):
                found[path] = Variable(name, path, env[name])
        settings = [field.encode_name.lower() for field in msgspec.structs.fields(cls)]
        for name, text in env.items():
            if not name.startswith(self.prefix) or name == self.prefix:
                continue
            path = tuple(name[len(self.prefix) :].lower().split("__"))
            if path[0] in settings:
                found[path] = Variable(name, path, text)
            elif len(path) > 1 or _nearest(path[0], settings):
                self.mistakes.append(self._unknown_variable(name, path, 0, settings))
        return list(found.values())

    def _section(
        self,
        cls: type[S],
        table: Mapping[str, Any],
        variables: Sequence[Variable],
        where: tuple[str, ...],
        base: object,
    ) -> S | None:
        """A Struct of what `table` and `variables` say, and for the rest of what `base`, a default, says."""
        before = len(self.mistakes)
        fields = {field.encode_name: field for field in msgspec.structs.fields(cls)}
        for key in table:
            if key not in fields:
                hint = _did_you_mean(_nearest(key, fields))
                self.mistakes.append(f"{self._place((*where, key))} is not a setting{hint}")
        lowered = [name.lower() for name in fields]
        for variable in variables:
            if variable.path[len(where)] not in lowered:
                self.mistakes.append(
                    self._unknown_variable(variable.name, variable.path, len(where), lowered)
                )
        values: dict[str, Any] = {}
        for name, field in fields.items():
            path = (*where, name)
            own = [each for each in variables if each.path[len(where)] == name.lower()]
            section = _struct_of(field.type)
            default = _default_of(field) if base is None else getattr(base, field.name)
            if name not in table and not own and not (section is not None and field.required):
                if base is not None:
                    values[field.name] = getattr(base, field.name)
                elif field.required and not self.file_is_broken:
                    self.mistakes.append(self._missing(path))
            elif section is None:
                values[field.name] = self._value(field.type, table.get(name, default), own, path)
            else:
                values[field.name] = self._nested(section, table.get(name, {}), own, path, default)
        if len(self.mistakes) > before:
            return None
        try:
            return cls(**values)
        except ValueError as error:
            source = " and ".join([self.path, *(each.name for each in variables)])
            section_name = f"[{'.'.join(where)}] " if where else ""
            self.mistakes.append(f"{source}: {section_name}{error}.")
        except TypeError:
            # A required key may be missing without a mistake of its own when the file could not be read.
            if not self.file_is_broken:
                raise
        return None

    def _nested(
        self, cls: type[S], table: object, variables: list[Variable], path: tuple[str, ...], default: object
    ) -> S | None:
        if not isinstance(table, dict):
            self.mistakes.append(
                f"{self._place(path)} is a section; write it as a table, [{'.'.join(path)}]."
            )
            return None
        for variable in [each for each in variables if len(each.path) == len(path)]:
            self.mistakes.append(
                f"{variable.name} is a section; set one of its keys, as in {variable.name}__KEY."
            )
            variables.remove(variable)
        return self._section(cls, table, variables, path, default)

    def _value(self, type_: Any, value: Any, variables: Sequence[Variable], path: tuple[str, ...]) -> Any:
        """A value of a type that is no section: from its variable, from the file, or a mapping from both."""
        place = self._place(path)
        try:
            if not variables:
                return _convert(value, type_, strict=True)
            entries = dict(value) if isinstance(value, dict) else {}
            for variable in variables:
                place = variable.name
                if len(variable.path) == len(path):
                    return _from_text(variable.text, type_)
                entries["__".join(variable.path[len(path) :])] = variable.text
            return _convert(entries, type_, strict=False)
        except msgspec.ValidationError as error:
            self.mistakes.append(f"{place}: {_sentence(error, type_)}")
            return None

    def _place(self, path: tuple[str, ...]) -> str:
        section = f"[{'.'.join(path[:-1])}] " if len(path) > 1 else ""
        return f"{self.path}: {section}{path[-1]}"

    def _missing(self, path: tuple[str, ...]) -> str:
        variable = self.prefix + "__".join(path).upper()
        return f"{'.'.join(path)} is required; set it in {self.path}, or {variable} in the environment."

    def _unknown_variable(self, name: str, path: tuple[str, ...], level: int, known: Iterable[str]) -> str:
        nearest = _nearest(path[level], known)
        if nearest is not None:
            nearest = self.prefix + "__".join((*path[:level], nearest, *path[level + 1 :])).upper()
        return f"{name} names no setting{_did_you_mean(nearest)}"


def _from_text(text: str, type_: Any) -> Any:
    """A variable's text as a value of `type_`.

    A container is JSON, or for a sequence its members with commas between them.
    """
    kinds = _kinds(type_)
    if kinds & _TEXTUAL:
        return _convert(text, type_, strict=False)
    if kinds & (_SEQUENCES | _OBJECTS):
        if text.lstrip().startswith(("[", "{")):
            try:
                value = msgspec.json.decode(text)
            except msgspec.DecodeError as error:
                raise msgspec.ValidationError(str(error)) from None
            return _convert(value, type_, strict=True)
        if kinds & _SEQUENCES:
            members = [member.strip() for member in text.split(",") if member.strip()]
            return _convert(members, type_, strict=False)
        raise msgspec.ValidationError("Expected a JSON object")
    if "BoolType" in kinds:
        text = {"yes": "true", "on": "true", "no": "false", "off": "false"}.get(text.strip().lower(), text)
    return _convert(text.strip(), type_, strict=False)


def _kinds(type_: Any) -> frozenset[str]:
    """The names of the msgspec.inspect classes that describe the members of a type."""
    return frozenset(type(member).__name__ for member in _members(type_))


def _members(type_: Any) -> list[inspect.Type]:
    def walk(described: inspect.Type) -> Iterable[inspect.Type]:
        if isinstance(described, inspect.UnionType):
            for member in described.types:
                yield from walk(member)
        elif isinstance(described, inspect.Metadata):
            yield from walk(described.type)
        else:
            yield described

    return list(walk(inspect.type_info(type_)))


def _sentence(error: msgspec.ValidationError, type_: Any) -> str:
    """The error without the value, which msgspec repeats when it is none of a Literal or an Enum."""
    text = str(error)
    if not text.startswith("Invalid enum value"):
        return f"{text}."
    permitted: list[object] = []
    for member in _members(type_):
        if isinstance(member, inspect.LiteralType):
            permitted += member.values
        elif isinstance(member, inspect.EnumType):
            permitted += [each.value for each in member.cls]
    where = text.rpartition(" - at ")[2]
    place = f" - at {where}" if where.startswith("`$") else ""
    listed = f" {', '.join(map(str, permitted))}" if permitted else " the permitted values"
    return f"Expected one of{listed}{place}."


def _convert(value: Any, type_: Any, *, strict: bool) -> Any:
    return msgspec.convert(value, type_, strict=strict, dec_hook=_custom)


def _custom(type_: Callable[[str], Any], value: object) -> Any:
    """A Secret, a path, or an instance of another class that is made from one text."""
    if not isinstance(value, str):
        raise ValueError(f"Expected `str`, got `{type(value).__name__}`")
    return type_(value)


def _struct_of(type_: Any) -> type[msgspec.Struct] | None:
    """The Struct that makes a field a section: that of `Mail`, and of `Mail | None`."""
    members = [member for member in get_args(type_) or (type_,) if member is not type(None)]
    if len(members) == 1 and isinstance(members[0], type) and issubclass(members[0], msgspec.Struct):
        return members[0]
    return None


def _default_of(field: msgspec.structs.FieldInfo) -> Any:
    if field.default_factory is not NODEFAULT:
        return field.default_factory()
    return None if field.default is NODEFAULT else field.default


def _nearest(name: str, names: Iterable[str]) -> str | None:
    from difflib import get_close_matches

    # 0.7 forgives one wrong letter in names of this length and keeps `server` apart from `version`.
    return next(iter(get_close_matches(name, list(names), n=1, cutoff=0.7)), None)


def _did_you_mean(nearest: str | None) -> str:
    return "." if nearest is None else f"; did you mean {nearest}?"
