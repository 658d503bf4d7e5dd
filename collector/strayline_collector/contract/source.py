"""YAML and JSON files with the line of everything in them, and references between them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, cast
from urllib.parse import unquote

import yaml

from strayline_collector.errors import UsageError

MAX_BYTES: Final = 4 * 1024 * 1024
MAX_NODES: Final = 200_000
_PLAIN: Final = {
    "tag:yaml.org,2002:bool",
    "tag:yaml.org,2002:int",
    "tag:yaml.org,2002:float",
    "tag:yaml.org,2002:null",
}

Way = tuple[str | int, ...]
"""The way from a document's root to something in it."""


class Fault(UsageError):
    """Something in a contract's file; the text names file, line and rule."""


@dataclass(slots=True, eq=False)
class File:
    """One file, read: its value, and the line of every part."""

    path: Path
    value: Any
    lines: dict[Way, int] = field(default_factory=dict[Way, int])

    def line(self, place: Way) -> int:
        """The line of a part, or of the nearest part around it."""
        while place and place not in self.lines:
            place = place[:-1]
        return self.lines.get(place, 1)


def fault(path: Path, line: int, rule: str) -> Fault:
    """``file:line: rule``."""
    return Fault(f"{path}:{line}: {rule}")


def read(path: Path) -> File:
    """Reads one file. Raises ``Fault`` when it is none, too large, or neither YAML nor JSON."""
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise Fault(f"{path}: cannot be read ({(error.strerror or str(error)).lower()})") from None
    if len(data) > MAX_BYTES:
        raise Fault(f"{path}: longer than {MAX_BYTES >> 20} MiB; split it with $ref")
    try:
        text = data.decode("utf-8-sig")
        if path.suffix == ".json":
            text = text.replace(
                "\t", " "
            )  # JSON's blanks; YAML, of which it is a part, forbids them
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except UnicodeDecodeError:
        raise Fault(f"{path}: is not UTF-8") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = 1 if mark is None else mark.line + 1
        raise fault(path, line, f"is neither YAML nor JSON ({error.problem})") from None
    except yaml.YAMLError as error:
        raise Fault(f"{path}: is neither YAML nor JSON ({' '.join(str(error).split())})") from None
    found = File(path, None)
    if node is None:
        raise fault(path, 1, "is empty")
    found.value = _Reader(found).value(node, (), ())
    return found


class _Reader:
    """Nodes to values. Counts, since aliases let a small text hold a huge tree."""

    def __init__(self, file: File) -> None:
        self._file = file
        self._left = MAX_NODES
        self._scalars = yaml.SafeLoader("")

    def value(self, node: yaml.Node, place: Way, above: tuple[int, ...]) -> Any:
        line = node.start_mark.line + 1
        self._left -= 1
        if self._left < 0:
            raise fault(self._file.path, line, f"holds more than {MAX_NODES:,} parts")
        if id(node) in above:
            raise fault(self._file.path, line, "an alias leads to itself")
        self._file.lines.setdefault(place, line)
        inner = (*above, id(node))
        if isinstance(node, yaml.MappingNode):
            found: dict[str, Any] = {}
            for key_node, child in node.value:
                at = key_node.start_mark.line + 1
                if not isinstance(key_node, yaml.ScalarNode) or key_node.value == "<<":
                    raise fault(self._file.path, at, "a name must be text, and not <<")
                if key_node.value in found:
                    raise fault(self._file.path, at, f"{key_node.value!r} stands here twice")
                self._file.lines[(*place, key_node.value)] = at
                found[key_node.value] = self.value(child, (*place, key_node.value), inner)
            return found
        if isinstance(node, yaml.SequenceNode):
            return [self.value(c, (*place, i), inner) for i, c in enumerate(node.value)]
        # dates and the like stay the text that they are written as
        plain = node.tag in _PLAIN
        try:
            return self._scalars.construct_object(node) if plain else node.value
        except ValueError:
            return node.value


@dataclass(frozen=True, slots=True)
class Place:
    """Something in a file."""

    file: File
    path: Way

    @property
    def value(self) -> Any:
        found: Any = self.file.value
        for part in self.path:
            found = found[part]
        return found

    def fault(self, rule: str, *more: str | int) -> Fault:
        """A fault here, or further in."""
        return fault(self.file.path, self.file.line((*self.path, *more)), rule)

    def get(self, *more: str | int) -> Place | None:
        """Something further in; None when there is none."""
        found = self.value
        for part in more:
            if (isinstance(found, dict) and part in found) or (
                isinstance(found, list) and isinstance(part, int) and 0 <= part < len(found)
            ):
                found = cast("Any", found)[part]
            else:
                return None
        return Place(self.file, (*self.path, *more))

    def items(self) -> Iterator[tuple[str, Place]]:
        for name in self.value:
            yield name, Place(self.file, (*self.path, name))


class Sources:
    """The files of one contract: the first, and what it refers to beside it."""

    def __init__(self, path: Path) -> None:
        self._root = path.resolve().parent
        self._files: dict[Path, File] = {}
        self.first = self._read(path)

    def texts(self) -> list[tuple[str, Any]]:
        """Every file read, for a digest."""
        return [(str(path), file.value) for path, file in self._files.items()]

    def follow(self, place: Place) -> Place:
        """``place`` itself, or what its ``$ref`` leads to in the end. Raises ``Fault`` at the reference."""
        passed: list[Place] = []
        while isinstance(place.value, dict) and "$ref" in place.value:
            if place in passed:
                raise place.fault("this $ref leads to itself", "$ref")
            passed.append(place)
            place = self._target(place)
        return place

    def _target(self, place: Place) -> Place:
        reference = place.value["$ref"]
        if not isinstance(reference, str):
            raise place.fault("$ref must be text", "$ref")
        name, _, pointer = reference.partition("#")
        file = place.file
        if name:
            if "://" in name or name.startswith(("/", "\\")):
                raise place.fault(
                    f"$ref {reference!r}: only files beside this one are read, never the network",
                    "$ref",
                )
            path = file.path.parent / unquote(name)
            if not path.resolve().is_relative_to(self._root):
                raise place.fault(f"$ref {reference!r} leads out of {self._root}", "$ref")
            try:
                file = self._read(path)
            except Fault as error:
                if path.is_file():
                    raise
                raise place.fault(f"$ref {reference!r}: {error}", "$ref") from None
        parts = [unquote(p).replace("~1", "/").replace("~0", "~") for p in pointer.split("/")[1:]]
        found = Place(file, ()).get(*parts)
        if found is None:
            raise place.fault(f"$ref {reference!r} leads to nothing", "$ref")
        return found

    def _read(self, path: Path) -> File:
        key = path.resolve()
        if key not in self._files:
            self._files[key] = read(path)
        return self._files[key]
