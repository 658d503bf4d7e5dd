"""The query line as it is written: text to terms, and what is wrong with it where.

``q`` is terms joined by AND, said or not (docs/search.md): ``["!"] field op value | "has:" word | text``,
fields and values in quotes where they hold what means something else.
Nothing here knows what a field means.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from strayline_collector.errors import NotUnderstood

OPERATORS: Final = ("=", "!=", ">", ">=", "<", "<=", "~")
MAX_TERMS: Final = 32

_SPACE: Final = re.compile(r"\s*")
_FIELD: Final = re.compile(r'(?P<field>[^\s"!=<>~]+)\s*(?P<op>!=|>=|<=|=|>|<|~)\s*')
_OPERATOR: Final = re.compile(r"\s*(?P<op>!=|>=|<=|=|>|<|~)\s*")
_NAME: Final = re.compile(r'[^\s"!=<>~]+')
_QUOTED: Final = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_BARE: Final = re.compile(r'[^\s"]+')
_TEXT: Final = re.compile(r'[^\s"=<>~]+')
_JOINING: Final = re.compile(r"(AND|OR|NOT)(?=\s|\Z)")
_ESCAPE: Final = re.compile(r'\\(["\\])')


@dataclass(frozen=True, slots=True)
class Term:
    """One term. ``field`` ``has`` with ``op`` ``:`` is a ``has:`` word; ``field`` None is text.
    Positions count characters from 1."""

    negated: bool
    field: str | None
    op: str
    value: str
    position: int
    value_position: int

    def wrong(self, expected: str) -> NotUnderstood:
        """The error that this term's value, or its operator, cannot be taken."""
        said = f"{self.field or ''}{self.op}{self.value}"
        return NotUnderstood(said, self.value_position, expected)


def parse_line(q: str | None) -> tuple[Term, ...]:
    """The terms in their order. Raises ``NotUnderstood`` with the position and what was expected."""
    terms: list[Term] = []
    text = q or ""
    at = _skip(text, 0)
    while at < len(text):
        at = _joined(text, at, terms)
        if len(terms) == MAX_TERMS:
            raise NotUnderstood(_rest(text, at), at + 1, f"at most {MAX_TERMS} terms")
        term, end = _term(text, at)
        terms.append(term)
        at = _skip(text, end)
        if at == end and at < len(text):
            raise NotUnderstood(_rest(text, at), at + 1, "a space between terms")
    return tuple(terms)


def begun_at(text: str) -> tuple[tuple[Term, ...], int]:
    """The whole terms of what is typed so far, and where (from 0) the one at its end begins."""
    terms: list[Term] = []
    at = _skip(text, 0)
    while at < len(text):
        try:
            at = _joined(text, at, terms)
            term, end = _term(text, at)
        except NotUnderstood:
            break
        if end == len(text):
            break
        terms.append(term)
        at = _skip(text, end)
    return tuple(terms), at


def quoted(value: str) -> str:
    """A value as a line takes it: bare where it can be."""
    if value and _BARE.fullmatch(value) and value[0] not in "=<>~!":
        return value
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def quoted_name(name: str) -> str:
    """A field as a line takes it: bare where it can be."""
    if _NAME.fullmatch(name) and not name.startswith(("has:", "(")):
        return name
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'


def unquoted(text: str) -> str:
    """What stands between quotes, as it was meant."""
    return _ESCAPE.sub(r"\1", text)


def _joined(text: str, at: int, terms: list[Term]) -> int:
    """Where the next term begins, past an AND that stands between two. Words that would join them
    otherwise are not taken for text, which would be an answer to another question."""
    word = _JOINING.match(text, at)
    if word is not None and word[0] == "AND":
        if not terms:
            raise NotUnderstood(_rest(text, at), at + 1, 'a term before AND, or "AND" in quotes')
        at = _skip(text, word.end())
        word = _JOINING.match(text, at)
        if at == len(text) or (word is not None and word[0] == "AND"):
            raise NotUnderstood(_rest(text, at), at + 1, 'a term after AND, or "AND" in quotes')
    if word is not None:
        expected = f'terms that all hold, ! for not, or "{word[0]}" in quotes for the word'
        raise NotUnderstood(_rest(text, at), at + 1, expected)
    return at


def _term(text: str, start: int) -> tuple[Term, int]:
    negated = text[start] == "!"
    at = start + 1 if negated else start
    if text.startswith("has:", at):
        word = _BARE.match(text, at + 4)
        if word is None:
            raise NotUnderstood("has:", at + 5, "a word after has:")
        return Term(negated, "has", ":", word[0], start + 1, at + 5), word.end()
    found = _FIELD.match(text, at)
    if found is not None:
        value, end = _value(text, found.end(), found[0].strip())
        field, op = found["field"], found["op"]
        if field.startswith("("):
            expected = "terms without brackets, or the name in quotes that begins with one"
            raise NotUnderstood(_rest(text, at), at + 1, expected)
        return Term(negated, field, op, value, start + 1, found.end() + 1), end
    if at < len(text) and text[at] == '"':
        value, end = _value(text, at, "")
        named = _OPERATOR.match(text, end) if value else None
        if named is None:
            return Term(negated, None, "", value, start + 1, at + 1), end
        said, op = text[at : named.end()].strip(), named["op"]
        field, (value, end) = value, _value(text, named.end(), said)
        return Term(negated, field, op, value, start + 1, named.end() + 1), end
    words = _TEXT.match(text, at) if text[at : at + 1] != "!" else None
    if words is None:
        raise NotUnderstood(_rest(text, at), at + 1, "field=value, has:word or text")
    return Term(negated, None, "", words[0], start + 1, at + 1), words.end()


def _value(text: str, at: int, before: str) -> tuple[str, int]:
    if text[at : at + 1] == '"':
        found = _QUOTED.match(text, at)
        if found is None:
            raise NotUnderstood(_rest(text, at), len(text) + 1, 'a closing "')
        return unquoted(found[1]), found.end()
    bare = _BARE.match(text, at)
    if bare is None:
        raise NotUnderstood(before, at + 1, "a value")
    if bare[0][0] in "=<>~":
        raise NotUnderstood(
            before + bare[0],
            at + 1,
            f"a value (in double quotes where it begins with {bare[0][0]})",
        )
    return bare[0], bare.end()


def _skip(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return at if found is None else found.end()


def _rest(text: str, at: int) -> str:
    return text[at : at + 40]
