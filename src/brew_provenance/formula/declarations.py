"""What the class of a formula declares, statement by statement, in the order in which Ruby runs them.

A statement is read, or known to be of no consequence, or said to be a gap. Homebrew's DSL: `formula.rb`
and `software_spec.rb` in brew.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from tree_sitter import Node

from brew_provenance.formula import Dependency, FormulaError, from_macos
from brew_provenance.formula.bottleblock import BottleBlock, read_bottle_block
from brew_provenance.formula.conditions import Conditions, block_conditions, condition_of, denied
from brew_provenance.formula.syntax import (
    arguments_of,
    block_of,
    line_of,
    method_of,
    pair_of,
    plain_number,
    string_of,
    symbol_of,
    symbols_of,
    text_of,
)
from brew_provenance.macos import VERSIONS

MAX_DEPTH: Final = 16
"""Blocks and conditions within each other."""

MAX_CONDITIONS: Final = 32
"""What has to hold for one statement; each `elsif` adds one."""

MAX_GAPS: Final = 100
"""Sentences about what cannot be known; there is no end to what a file may hold."""

# Statements that say nothing about bottles, version, source or dependencies.
_SILENT: Final = frozenset(
    {
        "allow_network_access!", "attr_accessor", "attr_reader", "attr_writer", "build", "caveats",
        "compatibility_version", "conflicts_with", "cxxstdlib_check", "deny_network_access!",
        "deprecated_option", "desc", "devel", "env", "fails_with", "homepage", "keg_only", "license",
        "link_overwrite", "livecheck", "mirror", "needs", "no_autobump!", "option", "patch", "plist_options",
        "post_install_steps", "pour_bottle?", "preserve_rpath", "private", "private_constant", "protected",
        "public", "pypi_packages", "resource", "service", "skip_clean", "test",
    }
)  # fmt: skip
_SILENT_NODES: Final = frozenset(
    {"class", "comment", "empty_statement", "heredoc_body", "method", "module", "singleton_method"}
)
_NOT_AT_RUN_TIME: Final = frozenset({"build", "test", "optional"})
_PLAIN_NUMBER = re.compile(r"0|[1-9][0-9]*", re.ASCII)
_MAX_TEXT = 60


@dataclass(frozen=True)
class Statement:
    """One call of `url`, `version`, `sha256`, `revision` or `version_scheme`."""

    line: int
    conditions: Conditions
    value: str | None
    """What it says; None where that is computed."""

    tag: str | None = None
    """The tag of a `url` in version control."""

    revision: str | None = None
    """The commit of a `url` in version control."""

    options_known: bool = True
    """Whether tag and commit are written out, where there are any."""


@dataclass
class Declarations:
    """What the class says."""

    statements: dict[str, list[Statement]] = field(default_factory=dict)
    """By what is called."""

    dependencies: list[Dependency] = field(default_factory=list)

    ends: dict[str, str] = field(default_factory=dict)
    """Why it is deprecated or disabled, by `deprecate!` or `disable!`."""

    bottles: BottleBlock | None = None

    bottle_line: int = 0
    """Where the bottle block begins; 0 for none."""

    head: bool = False
    """Whether it can be built from its repository's head."""

    gaps: list[str] = field(default_factory=list)

    def of(self, method: str) -> list[Statement]:
        """Return the statements that call `method`."""
        return self.statements.get(method, [])

    def miss(self, node: Node, why: str) -> None:
        """Add a gap."""
        if len(self.gaps) < MAX_GAPS:
            self.gaps.append(f"line {line_of(node)}: {why}")
        elif len(self.gaps) == MAX_GAPS:
            self.gaps.append("there is more that is not read")


def read_declarations(body: Node | None) -> Declarations:
    """Read the body of a formula's class; None is an empty one.

    Raises FormulaError for a bottle block that does not count everywhere or is not written out, for a
    number that is not, and for a body nested too deeply.
    """
    reader = _Reader()
    reader.read_all(body.named_children if body is not None else [], (), 0)
    return reader.found


class _Reader:
    """Goes through the statements, and remembers what names stand for at each."""

    def __init__(self) -> None:
        self.found = Declarations()
        self._names: dict[str, str] = {}
        """Constants and local variables."""
        self._version: dict[str, str] = {}
        """Expressions of the version, once it is stated."""

    @property
    def _known(self) -> dict[str, str]:
        return {**self._version, **self._names} if self._version else self._names

    def read_all(self, nodes: Sequence[Node], conditions: Conditions, depth: int) -> None:
        if nodes and (depth > MAX_DEPTH or len(conditions) > MAX_CONDITIONS):
            raise FormulaError(f"line {line_of(nodes[0])}: nested too deeply")
        for node in nodes:
            if node.type not in _SILENT_NODES:
                self._read(node, conditions, depth)

    def _read(self, node: Node, conditions: Conditions, depth: int) -> None:
        match node.type:
            case "if" | "unless":
                self._read_branches(node, conditions, depth)
            case "if_modifier" | "unless_modifier":
                condition = condition_of(node.child_by_field_name("condition"))
                if node.type == "unless_modifier":
                    condition = denied(condition)
                body = [node.child_by_field_name("body")]
                self.read_all(list(filter(None, body)), (*conditions, condition), depth + 1)
            case "assignment" | "operator_assignment":
                self._read_assignment(node, conditions)
            case _ if method := method_of(node):
                self._read_call(method, node, conditions, depth)
            case _ if not _is_silent(node, depth):
                self._miss_all(node, f"not run: {_shown(node)}")
            case _:
                pass

    def _read_call(self, method: str, node: Node, conditions: Conditions, depth: int) -> None:
        match method:
            case "url" | "version" | "sha256" | "revision" | "version_scheme":
                self._read_value(method, node, conditions)
            case "bottle":
                self._read_bottles(node, conditions)
            case "depends_on" | "uses_from_macos":
                self.found.dependencies += self._dependencies(method, node, conditions)
            case "deprecate!" | "disable!":
                # One for everywhere outranks one for some systems.
                if not conditions or method not in self.found.ends:
                    self.found.ends[method] = _end(node, conditions)
            case "head":
                self.found.head = True
            case "stable":
                self.read_all(block_of(node), conditions, depth + 1)
            case "include":
                if not all(text_of(name).startswith("Language::") for name in arguments_of(node)):
                    self.found.miss(node, f"what it includes is not read: {_shown(node)}")
            case _ if (inner := block_conditions(method, node)) is not None:
                self.read_all(block_of(node), (*conditions, *inner), depth + 1)
            case _ if method not in _SILENT:
                self._miss_all(node, f"not known: {_shown(node)}")
            case _:
                pass

    def _miss_all(self, node: Node, why: str) -> None:
        """Say that something runs which could change whatever a name stands for."""
        self.found.miss(node, why)
        self._names.clear()
        self._version.clear()

    def _read_branches(self, node: Node, conditions: Conditions, depth: int) -> None:
        at: Node | None = node
        while at is not None:
            condition = condition_of(at.child_by_field_name("condition"))
            if node.type == "unless":
                condition = denied(condition)
            consequence = at.child_by_field_name("consequence")
            inside = consequence.named_children if consequence is not None else []
            self.read_all(inside, (*conditions, condition), depth + 1)
            conditions = (*conditions, denied(condition))
            if len(conditions) > MAX_CONDITIONS:
                raise FormulaError(f"line {line_of(at)}: too many conditions")
            at = at.child_by_field_name("alternative")
            if at is not None and at.type == "else":
                self.read_all(at.named_children, conditions, depth + 1)
                at = None

    def _read_assignment(self, node: Node, conditions: Conditions) -> None:
        left, right = node.child_by_field_name("left"), node.child_by_field_name("right")
        value = string_of(right, self._known) if right is not None else None
        if left is None or left.type not in {"constant", "identifier"}:
            names = [text_of(name) for name in left.named_children] if left is not None else []
            value = None
        else:
            names = [text_of(left)]
        for name in names:
            # What is computed, or assigned for some systems only, stands for nothing that is known.
            self._names.pop(name, None)
            if value is not None and not conditions and node.type == "assignment":
                self._names[name] = value

    def _read_value(self, method: str, node: Node, conditions: Conditions) -> None:
        arguments = arguments_of(node)
        if method in {"revision", "version_scheme"}:
            value: str | None = str(plain_number(node))
        elif arguments:
            value = string_of(arguments[0], self._known)
        else:
            return  # asks for it, and states nothing
        options = dict(map(pair_of, arguments[1:]))
        tag, revision = (
            string_of(written, self._known) if (written := options.get(name)) is not None else None
            for name in ("tag", "revision")
        )
        # What is no pair, `**options` for one, could hold a tag as well.
        computed = "" in options or (tag is None and "tag" in options)
        known = not (computed or (revision is None and "revision" in options))
        statement = Statement(line_of(node), conditions, value, tag, revision, known)
        self.found.statements.setdefault(method, []).append(statement)
        if method == "version":
            self._version = _expressions(value) if value and not conditions else {}

    def _read_bottles(self, node: Node, conditions: Conditions) -> None:
        if node.type != "call" or node.child_by_field_name("block") is None:
            return  # `bottle :unneeded`, as it was written once
        if conditions:
            raise FormulaError(f"line {line_of(node)}: a bottle block under a condition")
        self.found.bottles = read_bottle_block(node, self._names)
        self.found.bottle_line = line_of(node)

    def _dependencies(self, method: str, node: Node, conditions: Conditions) -> Iterator[Dependency]:
        arguments = arguments_of(node)
        name, tags = _named(arguments[0]) if arguments else (node, frozenset[str]())
        if name.type in {"simple_symbol", "hash_key_symbol"} or text_of(name).endswith("Requirement"):
            return  # a requirement, which has no bottles
        text = string_of(name, self._known)
        if text is None:
            self.found.miss(node, f"a dependency is computed: {_shown(node)}")
        elif not tags & _NOT_AT_RUN_TIME and method == "depends_on":
            yield Dependency(text, conditions)
        elif not tags & _NOT_AT_RUN_TIME:
            since = [value for key, value in map(pair_of, arguments[1:]) if key == "since" and value]
            releases = [symbol_of(value) for value in since]
            # brew takes a release that it does not know for one before all others.
            release = releases[0] if releases and releases[0] in VERSIONS else None
            yield from from_macos(text, release, conditions)


def _is_silent(node: Node, depth: int) -> bool:
    """Say whether a statement, a loop perhaps, comes down to statements of no consequence."""
    if node.type in _SILENT_NODES or (method_of(node) in _SILENT):
        return True
    statements = block_of(node)
    looped = text_of(node.child_by_field_name("method")).startswith("each")
    return (
        looped
        and bool(statements)
        and depth <= MAX_DEPTH
        and all(_is_silent(statement, depth + 1) for statement in statements)
    )


def _named(argument: Node) -> tuple[Node, frozenset[str]]:
    """Return the name and the tags in `"x"`, `"x" => :build` and `"x" => [:build, :test]`."""
    key, value = argument.child_by_field_name("key"), argument.child_by_field_name("value")
    if argument.type != "pair" or key is None or value is None:
        return argument, frozenset()
    return key, symbols_of(value)


def _end(node: Node, conditions: Conditions) -> str:
    values = {}
    for key, value in map(pair_of, arguments_of(node)):
        if value is not None:
            values[key] = string_of(value, {}) or symbol_of(value)
    because = values.get("because") or "no reason given"
    dated = f"{because}, since {values['date']}" if values.get("date") else because
    return f"{dated} ({', '.join(conditions)})" if conditions else dated


def _expressions(version: str) -> dict[str, str]:
    """Return what can stand in a string's `#{…}` for the version, and what it stands for."""
    known = {"version": version, "version.to_s": version, "version.to_str": version}
    numbers = version.split(".")
    # brew makes numbers of them, which begin with no zeros (`NumericToken` in `version.rb`).
    if all(_PLAIN_NUMBER.fullmatch(part) for part in numbers):
        known |= {
            "version.major": numbers[0],
            "version.major_minor": ".".join(numbers[:2]),
            "version.major_minor_patch": ".".join(numbers[:3]),
        }
        known |= dict(zip(("version.major", "version.minor", "version.patch"), numbers, strict=False))
    return known


def _shown(node: Node) -> str:
    return " ".join(text_of(node)[: 4 * _MAX_TEXT].split())[:_MAX_TEXT]
