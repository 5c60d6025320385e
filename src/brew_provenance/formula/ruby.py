"""A formula's Ruby source, read without running any of it.

Whoever writes to the tap controls every byte. Only statements whose meaning is fixed by how they are
written are read; whatever Ruby would have to compute is said in `Formula.gaps`, and never guessed.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import replace

from tree_sitter import Node

from brew_provenance.bottle import Bottle, BottleFileName, bottle_url, is_hex_digest
from brew_provenance.formula import (
    Formula,
    FormulaError,
    Source,
    UnnamedBottle,
    named_bottle,
    package_version,
)
from brew_provenance.formula.bottleblock import BottleBlock, bottle_block
from brew_provenance.formula.declarations import Declarations, Statement, read_declarations
from brew_provenance.formula.effects import unforeseen
from brew_provenance.formula.syntax import line_of, parse, text_of
from brew_provenance.formula.version import detect_version

_MAX_TEXT = 80


def read_formula(
    source: bytes, *, tap: str, name: str, path: str | None = None, commit: str | None = None
) -> Formula:
    """Read a formula's file. `name` is the file's name without `.rb`, which names the class in it.

    Where the version is not known, or the root URL is not, the first of `Formula.gaps` says why, after
    `line N:` where there is a line to name.

    Raises FormulaError when it is not Ruby, does not hold the formula's class once, or has a bottle
    block that is not written out, is not the only one, or does not count on every system.
    """
    root = parse(source)
    formula_class = _formula_class(root, name)
    declared = read_declarations(formula_class.child_by_field_name("body"))
    block = bottle_block(root, source)
    if block is not None and declared.bottles is None:
        raise FormulaError(f"line {line_of(block)}: a bottle block that is no statement of the class")
    revision, scheme = _number(declared, "revision"), _number(declared, "version_scheme")
    version, unknown = _version(declared)
    full_version = package_version(version, revision) if version is not None else None
    if declared.head and not declared.of("url"):
        if declared.bottles is not None and declared.bottles.bottles:
            raise FormulaError(f"line {declared.bottle_line}: bottles without a stable source")
        full_version, unknown = package_version(None, revision), ""
    # Whoever writes the file decides what else runs, which could declare anything.
    if why := _inherited(formula_class) or unforeseen(root, formula_class):
        line = f"{why.partition(': ')[0]}: "
        full_version = None
        unknown = unknown or next((gap for gap in declared.gaps if gap.startswith(line)), why)
    stable, missing = _source(declared)
    formula = Formula(
        tap.lower(),
        name,
        full_version,
        (),
        dependencies=tuple(dict.fromkeys(declared.dependencies)),
        source=stable,
        revision=revision,
        version_scheme=scheme,
        deprecated=declared.ends.get("deprecate!"),
        disabled=declared.ends.get("disable!"),
        path=path,
        file_sha256=hashlib.sha256(source).hexdigest(),
        text=source,
        commit=commit,
    )
    if declared.bottles is not None:
        formula = _with_bottles(formula, declared.bottles)
        if declared.bottles.root_url is None:
            missing.insert(0, f"line {declared.bottle_line}: the root URL of its bottles is computed")
    gaps = [unknown, *missing, *declared.gaps] if unknown else [*missing, *declared.gaps]
    return replace(formula, gaps=tuple(dict.fromkeys(gaps)))


def _class_name(name: str) -> str:
    """Return the name of the class in a formula's file (`Formulary.class_s` in brew)."""
    capitalised = name.capitalize()
    joined = re.sub(r"[-_.\s]([a-zA-Z0-9])", lambda match: match[1].upper(), capitalised)
    return re.sub(r"(.)@(\d)", r"\1AT\2", joined.replace("+", "x"), count=1)


def _formula_class(root: Node, name: str) -> Node:
    wanted = _class_name(name)
    classes = [node for node in root.named_children if node.type == "class"]
    found = [node for node in classes if text_of(node.child_by_field_name("name")) == wanted]
    if not found:
        raise FormulaError(f"no class {wanted}")
    if len(found) > 1:
        lines = ", ".join(str(line_of(node)) for node in found[:5])
        raise FormulaError(f"the class {wanted} stands there {len(found)} times: lines {lines}")
    return found[0]


def _inherited(formula_class: Node) -> str | None:
    superclass = text_of(formula_class.child_by_field_name("superclass")).removeprefix("<").strip()
    if superclass == "Formula":
        return None
    return f"it inherits from {superclass[:_MAX_TEXT] or 'nothing'}, which is not read"


def _number(declared: Declarations, method: str) -> int:
    found = declared.of(method)
    if not found:
        return 0
    if len(found) > 1 or found[0].conditions:
        raise FormulaError(f"line {found[-1].line}: {method} depends on the system, or stands there twice")
    return int(found[0].value or 0)


def _version(declared: Declarations) -> tuple[str | None, str]:
    """Return the stable version, or None and why it is not known."""
    urls = declared.of("url")
    # An empty version is none to brew.
    written = [statement for statement in declared.of("version") if statement.value != ""]
    if not urls:
        return None, "it states no stable source"
    if written and all(statement.conditions for statement in written):
        return None, f"line {written[0].line}: the version is for some systems only"
    if written:
        return _agreed(written, [statement.value for statement in written], "the version is computed")
    for statement in urls:
        if statement.value is None or not statement.options_known:
            return None, f"line {statement.line}: the URL that gives the version is computed"
    found = [detect_version(statement.value or "", tag=statement.tag) for statement in urls]
    return _agreed(urls, found, "the URL gives no version")


def _agreed(
    statements: Sequence[Statement], values: Sequence[str | None], none: str
) -> tuple[str | None, str]:
    """Return the version on which the last general statement and those for some systems agree."""
    pairs = list(zip(statements, values, strict=True))
    general = [pair for pair in pairs if not pair[0].conditions][-1:]
    counting = [*general, *(pair for pair in pairs if pair[0].conditions)]
    for statement, value in counting:
        if value is None:
            return None, f"line {statement.line}: {none}"
        if value != counting[0][1]:
            return None, f"line {statement.line}: the version depends on the system"
    return counting[0][1], ""


def _source(declared: Declarations) -> tuple[Source | None, list[str]]:
    """Return the stable source, where there is one for all systems, and what is not known of it."""
    urls = declared.of("url")
    general = [statement for statement in urls if not statement.conditions][-1:]
    gaps = [
        f"line {statement.line}: some systems have a source of their own"
        for statement in urls
        if statement.conditions
    ][:1]
    if not general:
        return None, gaps
    (stable,) = general
    if stable.value is None or not stable.options_known:
        return None, [f"line {stable.line}: the source is computed", *gaps]
    digests = [statement for statement in declared.of("sha256") if not statement.conditions][-1:]
    sha256 = None
    for statement in digests:
        sha256 = (statement.value or "").lower()
        if not is_hex_digest("sha256", sha256):
            sha256 = None
            gaps.append(f"line {statement.line}: the digest of the source is not written out")
    return Source(stable.value, sha256, stable.tag, stable.revision), gaps


def _with_bottles(formula: Formula, block: BottleBlock) -> Formula:
    version, root_url = formula.version, block.root_url
    if version is None or root_url is None:
        unnamed = tuple(UnnamedBottle(one.tag, one.digest, block.rebuild, one.line) for one in block.bottles)
        return replace(formula, unnamed=unnamed, root_url=root_url)
    bottles = []
    for one in block.bottles:
        name = BottleFileName(formula.name, version, one.tag, block.rebuild)
        bottle = Bottle(
            formula.tap,
            formula.name,
            version,
            block.rebuild,
            one.tag,
            one.digest,
            bottle_url(root_url, name, one.digest),
            path=formula.path,
            line=one.line,
        )
        bottles.append(named_bottle(bottle))
    return replace(formula, bottles=tuple(bottles), root_url=root_url)
