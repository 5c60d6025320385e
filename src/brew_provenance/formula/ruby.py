"""A formula's Ruby source, read without running any of it.

Whoever writes to the tap controls every byte. Only statements whose meaning is fixed by how they are
written are read; whatever Ruby would have to compute is said in `Formula.gaps`, and never guessed.
Homebrew's formula DSL: `formula.rb`, `bottle_specification.rb` and `on_system.rb` in brew.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from tree_sitter import Node

from brew_provenance.bottle import Bottle, BottleFileName, bottle_url
from brew_provenance.formula import (
    Dependency,
    Formula,
    FormulaError,
    Source,
    UnnamedBottle,
    from_macos,
    named_bottle,
    package_version,
)
from brew_provenance.formula.bottleblock import is_bottle_block, read_bottle_block
from brew_provenance.formula.syntax import (
    arguments_of,
    block_of,
    line_of,
    method_of,
    pair_of,
    parse,
    plain_number,
    string_of,
    symbol_of,
    symbols_of,
    text_of,
)
from brew_provenance.formula.version import detect_version
from brew_provenance.macos import VERSIONS

_MAX_DEPTH = 8
"""Conditions within each other."""

# Statements of the DSL that say nothing about bottles, version, source or dependencies.
_SILENT: Final = frozenset(
    {
        "allow_network_access!", "attr_accessor", "attr_reader", "attr_writer", "caveats",
        "compatibility_version", "conflicts_with", "cxxstdlib_check", "deny_network_access!",
        "deprecated_option", "desc", "env", "fails_with", "head", "homepage", "include", "keg_only",
        "license", "link_overwrite", "livecheck", "mirror", "needs", "no_autobump!", "option", "patch",
        "plist_options", "post_install_steps", "pour_bottle?", "preserve_rpath", "private", "pypi_packages",
        "resource", "service", "skip_clean", "test",
    }
)  # fmt: skip
_SILENT_NODES: Final = frozenset(
    {"comment", "method", "singleton_method", "empty_statement", "class", "module", "heredoc_body"}
)
_SILENT_OUTSIDE: Final = _SILENT_NODES | {"uninterpreted", "assignment"}
_BUILD_ONLY: Final = frozenset({"build", "test", "optional"})

_RELEASES = "|".join(VERSIONS)
_ON_RELEASE = re.compile(rf"on_(?:{_RELEASES})", re.ASCII)
_ON_SIMPLE: Final = frozenset({"on_macos", "on_linux", "on_arm", "on_intel"})
_PREDICATES: Final = {
    "OS.mac?": "on_macos",
    "OS.linux?": "on_linux",
    "Hardware::CPU.arm?": "on_arm",
    "Hardware::CPU.intel?": "on_intel",
}
_MACOS_COMPARED = re.compile(rf"MacOS\.version (?P<sign>>=|<=|==) :(?P<release>{_RELEASES})", re.ASCII)
_SUFFIXES: Final = {">=": "_or_newer", "<=": "_or_older", "==": ""}

_Conditions = tuple[str, ...]


_Said = list[tuple[_Conditions, Node]]
"""Statements, each with the conditions under which it holds."""


@dataclass
class _Seen:
    """What the class body says."""

    said: dict[str, _Said] = field(default_factory=dict)
    """By what is called: `url`, `sha256`, `version`, `bottle`, `revision`, `version_scheme`."""

    dependencies: list[Dependency] = field(default_factory=list)
    ends: dict[str, str] = field(default_factory=dict)
    """Why it is deprecated or disabled."""

    constants: dict[str, str] = field(default_factory=dict)
    gaps: list[str] = field(default_factory=list)

    def of(self, method: str) -> _Said:
        """Return the statements that call `method`."""
        return self.said.get(method, [])


def read_formula(
    source: bytes, *, tap: str, name: str, path: str | None = None, commit: str | None = None
) -> Formula:
    """Read a formula's file. `name` is the file's name without `.rb`, which names the class in it.

    Raises FormulaError when it is not Ruby, does not hold the formula's class once, or has a bottle
    block that is not written out.
    """
    root = parse(source)
    seen = _Seen()
    body = _formula_class(root, name, seen)
    _read_statements(body.named_children if body is not None else [], (), seen)
    version, explicit = _version(seen)
    revision, scheme = _number(seen, "revision"), _number(seen, "version_scheme")
    full_version = package_version(version, revision) if version is not None else None
    head_only = not seen.of("url") and not seen.of("version") and not seen.of("bottle")
    if head_only and not seen.gaps:
        full_version = "HEAD"
    formula = Formula(
        tap,
        name,
        full_version,
        (),
        dependencies=tuple(seen.dependencies),
        source=_source(seen, explicit),
        revision=revision,
        version_scheme=scheme,
        deprecated=seen.ends.get("deprecate!"),
        disabled=seen.ends.get("disable!"),
        path=path,
        file_sha256=hashlib.sha256(source).hexdigest(),
        text=source,
        commit=commit,
    )
    formula = _with_bottles(formula, seen, explicit)
    return replace(formula, gaps=tuple(dict.fromkeys(seen.gaps)))


def _class_name(name: str) -> str:
    """Return the name of the class in a formula's file (`Formulary.class_s` in brew)."""
    capitalised = name.capitalize()
    joined = re.sub(r"[-_.\s]([a-zA-Z0-9])", lambda match: match[1].upper(), capitalised)
    return re.sub(r"(.)@(\d)", r"\1AT\2", joined.replace("+", "x"), count=1)


def _formula_class(root: Node, name: str, seen: _Seen) -> Node | None:
    """Return the body of the formula's class; None where that is empty."""
    wanted, found = _class_name(name), []
    for node in root.named_children:
        if node.type == "class" and text_of(node.child_by_field_name("name")) == wanted:
            found.append(node)
        elif node.type == "call" and text_of(node.child_by_field_name("method")) in {
            "require",
            "require_relative",
        }:
            continue
        elif node.type not in {*_SILENT_NODES, "uninterpreted", "assignment"}:
            seen.gaps.append(f"line {line_of(node)}: Ruby outside of the class is not run")
    if not found:
        raise FormulaError(f"no class {wanted}")
    if len(found) > 1:
        lines = " and ".join(str(line_of(node)) for node in found)
        raise FormulaError(f"the class {wanted} stands there {len(found)} times: lines {lines}")
    superclass = text_of(found[0].child_by_field_name("superclass")).removeprefix("<").strip()
    if superclass != "Formula":
        seen.gaps.append(f"it inherits from {superclass[:80] or 'nothing'}, which is not read")
    return found[0].child_by_field_name("body")


def _read_statements(nodes: Sequence[Node], conditions: _Conditions, seen: _Seen) -> None:
    for node in nodes:
        if node.type not in _SILENT_NODES:
            _read_statement(node, conditions, seen)


def _read_statement(node: Node, conditions: _Conditions, seen: _Seen) -> None:
    if len(conditions) > _MAX_DEPTH:
        raise FormulaError(f"line {line_of(node)}: conditions nested too deeply")
    if node.type in {"if", "unless"}:
        _read_conditional(node, conditions, seen)
    elif node.type in {"if_modifier", "unless_modifier"}:
        condition = _condition(node.child_by_field_name("condition"), denied=node.type == "unless_modifier")
        if (body := node.child_by_field_name("body")) is not None:
            _read_statement(body, (*conditions, condition), seen)
    elif node.type == "assignment":
        _read_constant(node, seen)
    elif method := method_of(node):
        _read_call(method, node, conditions, seen)
    else:
        seen.gaps.append(f"line {line_of(node)}: not run: {' '.join(text_of(node).split())[:60]}")


def _read_call(method: str, node: Node, conditions: _Conditions, seen: _Seen) -> None:
    match method:
        case "url" | "sha256" | "version" | "bottle" | "revision" | "version_scheme":
            seen.said.setdefault(method, []).append((conditions, node))
        case "depends_on":
            seen.dependencies += _dependency(node, conditions)
        case "uses_from_macos":
            seen.dependencies += _from_macos(node, conditions)
        case "deprecate!" | "disable!":
            seen.ends[method] = _end(node)
        case "stable":
            _read_statements(block_of(node), conditions, seen)
        case _ if alternatives := _system_conditions(method, node):
            for alternative in alternatives:
                _read_statements(block_of(node), (*conditions, alternative), seen)
        case _ if method not in _SILENT:
            seen.gaps.append(f"line {line_of(node)}: not known: {method[:40]}")
        case _:
            pass


def _read_conditional(node: Node, conditions: _Conditions, seen: _Seen) -> None:
    condition = _condition(node.child_by_field_name("condition"), denied=node.type == "unless")
    for part, held in (("consequence", condition), ("alternative", _denied(condition))):
        branch = node.child_by_field_name(part)
        if branch is None:
            continue
        if branch.type == "elsif":
            _read_conditional(branch, (*conditions, held), seen)
            continue
        _read_statements(branch.named_children, (*conditions, held), seen)


def _read_constant(node: Node, seen: _Seen) -> None:
    left, right = node.child_by_field_name("left"), node.child_by_field_name("right")
    value = string_of(_unfrozen(right), {}) if right is not None else None
    if (
        left is not None
        and left.type == "constant"
        and value is not None
        and text_of(left) not in seen.constants
    ):
        seen.constants[text_of(left)] = value
    elif left is not None:
        # One that is computed, or set twice, is one that nothing can be made of.
        seen.constants.pop(text_of(left), None)


def _unfrozen(node: Node) -> Node:
    receiver = node.child_by_field_name("receiver") if node.type == "call" else None
    if receiver is not None and text_of(node.child_by_field_name("method")) == "freeze":
        return receiver
    return node


def _system_conditions(method: str, node: Node) -> list[str]:
    """Return the conditions of an `on_…` block, any one of which is enough; none for anything else."""
    arguments = arguments_of(node)
    if method in _ON_SIMPLE and not arguments:
        return [method]
    if _ON_RELEASE.fullmatch(method):
        symbols = [symbol_of(argument) for argument in arguments]
        if not symbols:
            return [method]
        if symbols in (["or_newer"], ["or_older"]):
            return [f"{method}_{symbols[0]}"]
    if method == "on_system" and arguments:
        found = []
        for argument in arguments:
            key, value = pair_of(argument)
            if symbol_of(argument) == "linux":
                found.append("on_linux")
            elif key == "macos" and value is not None and symbol_of(value):
                found.append(f"on_{symbol_of(value)}")
            else:
                return [f"line {line_of(node)}"]
        return found
    return [f"{method} at line {line_of(node)}"] if method.startswith("on_") else []


def _condition(node: Node | None, *, denied: bool) -> str:
    text = " ".join(text_of(node).split())
    while text.startswith("!"):
        text, denied = text[1:].strip(), not denied
    condition = _PREDICATES.get(text)
    if match := _MACOS_COMPARED.fullmatch(text):
        condition = f"on_{match['release']}{_SUFFIXES[match['sign']]}"
    if condition is None:
        condition = f"if {text[:80]}"
    return _denied(condition) if denied else condition


def _denied(condition: str) -> str:
    return condition.removeprefix("not:") if condition.startswith("not:") else f"not:{condition}"


def _dependency(node: Node, conditions: _Conditions) -> Iterator[Dependency]:
    for argument in arguments_of(node)[:1]:
        name, tags = argument, frozenset[str]()
        if argument.type == "pair":
            key, value = argument.child_by_field_name("key"), argument.child_by_field_name("value")
            if key is None or value is None:
                return
            name, tags = key, symbols_of(value)
        # Requirements, which are symbols and classes, have no bottles.
        if (text := string_of(name, {})) is not None and not _only_for_building(tags):
            yield Dependency(text, conditions)


def _only_for_building(tags: frozenset[str]) -> bool:
    return bool(tags & _BUILD_ONLY)


def _from_macos(node: Node, conditions: _Conditions) -> Iterator[Dependency]:
    """Yield a dependency on what macOS brings along, from some release on where `since` names one."""
    name, tags, since = None, frozenset[str](), None
    for argument in arguments_of(node):
        key, value = pair_of(argument)
        if key == "since" and value is not None:
            since = symbol_of(value)
        elif argument.type == "pair":
            left, right = argument.child_by_field_name("key"), argument.child_by_field_name("value")
            name = string_of(left, {}) if left is not None else None
            tags = symbols_of(right) if right is not None else tags
        else:
            name = string_of(argument, {})
    if name is None or _only_for_building(tags):
        return
    yield from from_macos(name, since, conditions)


def _end(node: Node) -> str:
    values = {}
    for argument in arguments_of(node):
        key, value = pair_of(argument)
        if value is not None:
            values[key] = string_of(value, {}) or symbol_of(value)
    because = values.get("because") or "no reason given"
    return f"{because}, since {values['date']}" if values.get("date") else because


def _number(seen: _Seen, name: str) -> int:
    found = seen.of(name)
    if not found:
        return 0
    conditions, node = found[0]
    if len(found) > 1 or conditions:
        raise FormulaError(f"line {line_of(node)}: {name} depends on the system, or stands there twice")
    return plain_number(node)


def _known(seen: _Seen, version: str | None) -> dict[str, str]:
    """Return what can stand in a string's `#{…}`, and what it stands for."""
    known = dict(seen.constants)
    if version is None:
        return known
    known |= {"version": version, "version.to_s": version}
    numbers = version.split(".")
    if all(part.isdecimal() and part.isascii() for part in numbers):
        known |= {
            "version.major": numbers[0],
            "version.major_minor": ".".join(numbers[:2]),
            "version.major_minor_patch": ".".join(numbers[:3]),
            "version.dots_to_underscores": "_".join(numbers),
            "version.dots_to_hyphens": "-".join(numbers),
            "version.no_dots": "".join(numbers),
        }
    return known


def _version(seen: _Seen) -> tuple[str | None, str | None]:
    """Return the stable version, and the one that is written out; None where they cannot be known."""
    written = {_first_string(node, seen.constants) for _, node in seen.of("version")}
    if len(written) > 1 or None in written:
        line = line_of(seen.of("version")[0][1])
        seen.gaps.append(f"line {line}: the version is computed, or depends on the system")
        return None, None
    conditional = [node for conditions, node in seen.of("version") if conditions]
    if conditional and len(conditional) == len(seen.of("version")):
        seen.gaps.append(f"line {line_of(conditional[0])}: the version is for some systems only")
        return None, None
    if written:
        (explicit,) = written
        return explicit, explicit
    found = {_detected(node, seen) for _, node in seen.of("url")}
    if len(found) == 1 and None not in found:
        return found.pop(), None
    if seen.of("url"):
        line = line_of(seen.of("url")[0][1])
        several = len(found) > 1 and None not in found
        why = (
            "the URLs of different systems give different versions" if several else "the URL gives no version"
        )
        seen.gaps.append(f"line {line}: {why}")
    return None, None


def _first_string(node: Node, known: dict[str, str]) -> str | None:
    arguments = arguments_of(node)
    if len(arguments) == 1 and arguments[0].type == "constant":
        return known.get(text_of(arguments[0]))
    return string_of(arguments[0], known) if arguments else None


def _detected(node: Node, seen: _Seen) -> str | None:
    url, options = _url(node, _known(seen, None))
    tag = options.get("tag")
    if url is None or ("tag" in options and tag is None):
        return None
    return detect_version(url, tag=tag)


def _url(node: Node, known: dict[str, str]) -> tuple[str | None, dict[str, str | None]]:
    """Return the URL of a `url` statement, and its options, each None where it is computed."""
    url, options = None, dict[str, str | None]()
    for argument in arguments_of(node):
        key, value = pair_of(argument)
        if value is not None:
            options[key] = string_of(value, known)
        elif argument.type != "pair":
            url = string_of(argument, known)
    return url, options


def _source(seen: _Seen, version: str | None) -> Source | None:
    """Return the stable source, where there is one for all systems."""
    general = [node for conditions, node in seen.of("url") if not conditions]
    if len(general) != 1:
        return None
    known = _known(seen, version)
    url, options = _url(general[0], known)
    if url is None:
        return None
    sums = [node for conditions, node in seen.of("sha256") if not conditions]
    sha256 = _first_string(sums[0], known) if len(sums) == 1 else None
    return Source(url, sha256.lower() if sha256 else None, options.get("tag"), options.get("revision"))


def _with_bottles(formula: Formula, seen: _Seen, version: str | None) -> Formula:
    if not seen.of("bottle"):
        return formula
    if len(seen.of("bottle")) > 1:
        lines = " and ".join(str(line_of(node)) for _, node in seen.of("bottle"))
        raise FormulaError(f"{len(seen.of('bottle'))} bottle blocks: lines {lines}")
    ((conditions, node),) = seen.of("bottle")
    if conditions:
        raise FormulaError(f"line {line_of(node)}: a bottle block under a condition")
    if not is_bottle_block(node):
        return formula  # `bottle :unneeded`, as it was written once
    block = read_bottle_block(node, _known(seen, version))
    if block.root_url is None:
        seen.gaps.append(f"line {line_of(node)}: the root URL of its bottles is computed")
    if formula.version is None or block.root_url is None:
        unnamed = tuple(UnnamedBottle(one.tag, one.digest, block.rebuild, one.line) for one in block.bottles)
        return replace(formula, unnamed=unnamed, root_url=block.root_url)
    bottles = []
    for one in block.bottles:
        name = BottleFileName(formula.name, formula.version, one.tag, block.rebuild)
        bottle = Bottle(
            formula.tap,
            formula.name,
            formula.version,
            block.rebuild,
            one.tag,
            one.digest,
            bottle_url(block.root_url, name, one.digest),
            path=formula.path,
            line=one.line,
        )
        bottles.append(named_bottle(bottle))
    return replace(formula, bottles=tuple(bottles), root_url=block.root_url)
