"""What runs when brew evaluates a formula, beside what is read of it.

To evaluate a formula is to run its class. A reader can tell what comes of it only where all that runs is
known: statements of Homebrew's DSL, what stands in their blocks, and expressions without consequences.
Methods and some blocks run later, when what the class declares is settled.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import Enum
from typing import Final

from tree_sitter import Node

from brew_provenance.formula.syntax import arguments_of, line_of, string_of, text_of

MAX_DEPTH: Final = 100
"""Expressions and blocks within each other."""

# Statements of a formula's class (`formula.rb` in brew), `on_…` aside.
_STATEMENTS: Final = frozenset(
    {
        "allow_network_access!", "bottle", "build", "compatibility_version", "conflicts_with",
        "cxxstdlib_check", "deny_network_access!", "depends_on", "deprecate!", "deprecated_option", "desc",
        "devel", "disable!", "env", "fails_with", "head", "homepage", "include", "keg_only", "license",
        "link_overwrite", "livecheck", "mirror", "needs", "no_autobump!", "option", "patch", "plist_options",
        "post_install_steps", "pour_bottle?", "preserve_rpath", "private", "private_constant", "protected",
        "public", "pypi_packages", "require", "resource", "revision", "service", "sha256", "skip_clean",
        "stable", "test", "url", "uses_from_macos", "version", "version_scheme",
    }
)  # fmt: skip
# Those whose meaning would depend on how often a loop runs.
_NOT_IN_LOOPS: Final = frozenset(
    {"bottle", "revision", "sha256", "stable", "url", "version", "version_scheme"}
)
# Within the blocks of statements, and in other classes, calls go to other objects than the class. These
# could get to it nevertheless, or change what the objects do.
_UNFORESEEN: Final = frozenset(
    {
        "__send__", "alias_method", "at_exit", "autoload", "binding", "callcc", "class_eval", "class_exec",
        "const_set", "define_method", "define_singleton_method", "enum_for", "eval", "extend",
        "instance_eval", "instance_exec", "instance_variable_set", "lambda", "load", "method",
        "method_missing", "module_eval", "module_exec", "prepend", "proc", "public_method", "public_send",
        "refine", "remove_const", "remove_method", "require_relative", "send", "set_trace_func",
        "singleton_class", "singleton_method", "to_enum", "trace_var", "trap", "undef_method", "using",
    }
)  # fmt: skip
# Statements whose blocks are kept, and run later or never.
_LATER: Final = frozenset({"satisfy", "service", "strategy", "test"})
_LOOPS: Final = frozenset({"each", "each_pair", "each_slice", "each_with_index"})

# Methods without consequences, whatever they are called on: those without arguments, and those with.
_PURE: Final = frozenset(
    {
        "arch", "arm?", "build_version", "clang_build_version", "clang_version", "compact", "downcase",
        "empty?", "freeze", "installed?", "intel?", "keys", "ld64_version", "linux?", "mac?", "major",
        "major_minor", "major_minor_patch", "minor", "patch", "reverse", "strip", "to_i", "to_s", "to_str",
        "to_sym", "upcase", "version",
    }
)  # fmt: skip
_PURE_WITH_ARGUMENTS: Final = frozenset(
    {
        "delete", "each_slice", "end_with?", "escape", "expand_path", "first", "include?", "join", "last",
        "split", "start_with?", "sub", "tr", "with?", "without?",
    }
)  # fmt: skip
_CHOICES: Final = frozenset({"on_arch_conditional", "on_system_conditional"})
_OPERATORS: Final = frozenset({"!=", "&&", "*", "+", "-", "/", "<", "<=", "==", ">", ">=", "and", "or", "||"})
# Nodes that are as harmless as what is in them.
_TRANSPARENT: Final = frozenset(
    {
        "argument_list", "array", "bare_string", "bare_symbol", "chained_string", "character", "comment",
        "conditional", "constant", "delimited_symbol", "empty_statement", "escape_sequence", "false", "file",
        "float", "hash", "hash_key_symbol", "hash_splat_argument", "heredoc_beginning", "heredoc_body",
        "heredoc_content", "heredoc_end", "integer", "interpolation", "nil", "pair",
        "parenthesized_statements", "range", "regex", "right_assignment_list",
        "scope_resolution", "simple_symbol", "splat_argument",
        "string", "string_array", "string_content", "superclass", "symbol_array", "true", "unary",
        "uninterpreted",
    }
)  # fmt: skip
_ARRAYS: Final = frozenset({"array", "string_array"})
_VALUES: Final = frozenset({"call", "identifier", "string", "array", "hash"})
_BRANCHES: Final = frozenset({"then", "else"})
_LEAVES: Final = frozenset({"comment", "identifier", "method", "string_content", "uninterpreted"})
# Constants by which the above means brew's and Ruby's own; a file could define others.
_TAKEN: Final = frozenset(
    {"DevelopmentTools", "ENV", "File", "Formula", "Hardware", "Language", "MacOS", "OS", "Regexp", "Version"}
)
# What a formula that defines one of these itself answers when brew asks, is not what its class declares.
_OVERRIDES: Final = frozenset(
    {
        "active_spec", "active_spec_sym", "alias_name", "allocate", "bottle", "bottle_defined?",
        "bottle_for_tag", "bottle_hash", "bottle_tag?", "bottled?", "class", "core_formula?",
        "determine_active_spec", "downloadable", "freeze", "full_name", "full_specified_name", "head",
        "head?", "head_only?", "initialize", "instance_of?", "is_a?", "kind_of?", "method_missing", "name",
        "object_id", "path", "pkg_version", "public_send", "resource", "respond_to?", "revision", "send",
        "sha256", "spec_eval", "specified_name", "specified_path", "specs", "stable", "stable?", "tap",
        "to_hash", "url", "validate_attributes!", "version", "version_scheme",
    }
)  # fmt: skip
_LIBRARY = re.compile(r"[a-z0-9_]+(?:/[a-z0-9_-]+)*", re.ASCII)
_MAX_TEXT = 60


class _Place(Enum):
    """Where something runs."""

    OUTSIDE = "outside of all classes"
    FORMULA = "as a statement of the formula's class"
    LOOP = "as one in a loop"
    BLOCK = "in the block of a statement"
    OTHER_CLASS = "as a statement of another class"


# Where the class is what calls go to, and where they are when a loop makes them.
_IN_LOOP: Final = dict.fromkeys((_Place.OUTSIDE, _Place.FORMULA, _Place.LOOP), _Place.LOOP)


class _UnforeseenError(Exception):
    """Something runs of which the consequences are not known."""

    def __init__(self, node: Node) -> None:
        super().__init__(node)
        self.node = node


def unforeseen(root: Node, formula_class: Node) -> str | None:
    """Say what else runs in a formula's file that could change what its class declares; None for nothing.

    Whoever writes the file can make it mean something else by what runs before, within or after the class,
    and by methods that answer in place of brew's own.
    """
    look = _Look()
    try:
        look.over(root.named_children, formula_class)
    except _UnforeseenError as error:
        text = " ".join(text_of(error.node)[: 4 * _MAX_TEXT].split())[:_MAX_TEXT]
        return f"line {line_of(error.node)}: not known: {text}"
    return None


class _Look:
    """Goes through all that runs, in its order, and raises _UnforeseenError at the first such thing."""

    def __init__(self) -> None:
        self._variables: set[str] = set()
        self._lists: set[str] = set()
        """Those variables that hold an array."""
        self._constants: set[str] = set()
        self._classes: set[str] = set()
        self._own = ""

    def over(self, nodes: Iterable[Node], formula_class: Node) -> None:
        """Go through a file."""
        self._own = text_of(formula_class.child_by_field_name("name"))
        for node in nodes:
            if node == formula_class:
                self._body(node, _Place.FORMULA, 0)
            else:
                self._statement(node, _Place.OUTSIDE, 0)

    def _each(self, nodes: Iterable[Node], place: _Place, depth: int) -> None:
        for node in nodes:
            self._statement(node, place, depth)

    def _body(self, node: Node, place: _Place, depth: int) -> None:
        """Go through the statements of a class or a block."""
        if (body := node.child_by_field_name("body")) is not None:
            self._each(body.named_children, place, depth)

    def _statement(self, node: Node, place: _Place, depth: int) -> None:
        if depth > MAX_DEPTH:
            raise _UnforeseenError(node)
        match node.type:
            case "class" | "module":
                self._define(node)
                self._expression(node.child_by_field_name("superclass"), place, depth)
                self._body(node, _Place.OTHER_CLASS, depth + 1)
            case "method" if place in {_Place.OUTSIDE, _Place.OTHER_CLASS}:
                pass
            case "if" | "unless" | "elsif" | "if_modifier" | "unless_modifier":
                self._expression(node.child_by_field_name("condition"), place, depth)
                for part in map(node.child_by_field_name, ("consequence", "body", "alternative")):
                    if part is not None:
                        branch = part.named_children if part.type in _BRANCHES else [part]
                        self._each(branch, place, depth + 1)
            case "assignment" | "operator_assignment":
                self._assign(node, place, depth)
            case "identifier":
                _check_call(text_of(node), node, place)
            case "call" if node.child_by_field_name("receiver") is None:
                self._call(node, place, depth)
            case "call" if text_of(node.child_by_field_name("method")) in _LOOPS:
                self._expression(node.child_by_field_name("receiver"), place, depth)
                self._expressions(arguments_of(node), place, depth)
                self._block(node.child_by_field_name("block"), _IN_LOOP.get(place, place), depth)
            case _:
                self._expression(node, place, depth)

    def _define(self, node: Node) -> None:
        """Take note of a class or module, which may be no other one under a new name."""
        name = node.child_by_field_name("name")
        text = text_of(name)
        taken = _TAKEN | self._constants | {self._own}
        if name is None or name.type != "constant" or text in taken:
            raise _UnforeseenError(node)
        self._classes.add(text)

    def _assign(self, node: Node, place: _Place, depth: int) -> None:
        left, right = node.child_by_field_name("left"), node.child_by_field_name("right")
        names = left.named_children if left is not None and left.type == "left_assignment_list" else [left]
        # Whether a block changes what the class reads, or makes something of its own, is not looked into.
        in_block = place in {_Place.LOOP, _Place.BLOCK}
        for name in names:
            text = text_of(name)
            kind = name.type if name is not None else ""
            if kind == "identifier":
                # A variable with a statement's name makes the text after it mean something else.
                if text in _STATEMENTS or (in_block and text in self._variables):
                    raise _UnforeseenError(node)
                self._variables.add(text)
                self._lists.discard(text)
                if right is not None and right.type in _ARRAYS:
                    self._lists.add(text)
            elif kind == "constant" and not in_block and text not in _TAKEN | self._classes | {self._own}:
                self._constants.add(text)
            else:
                raise _UnforeseenError(node)
        if right is None or right.type in {"constant", "scope_resolution"}:
            raise _UnforeseenError(node)
        self._expression(right, place, depth)

    def _call(self, node: Node, place: _Place, depth: int) -> None:
        method, arguments = text_of(node.child_by_field_name("method")), arguments_of(node)
        _check_call(method, node, place)
        if method == "require" and not all(map(_is_library, arguments)):
            raise _UnforeseenError(node)
        if method == "include" and place in _IN_LOOP and not all(map(_is_language, arguments)):
            raise _UnforeseenError(node)
        self._expressions(arguments, place, depth)
        block = node.child_by_field_name("block")
        if block is not None and method not in _LATER:
            same = method == "stable" or method.startswith("on_")
            self._block(block, place if same else _Place.BLOCK, depth)

    def _block(self, block: Node | None, place: _Place, depth: int) -> None:
        if block is None:
            return
        parameters = block.child_by_field_name("parameters")
        for parameter in parameters.named_children if parameters is not None else ():
            plain = parameter.type == "identifier" and text_of(parameter) not in _STATEMENTS
            if not plain or place is _Place.FORMULA:
                raise _UnforeseenError(parameter)
            self._variables.add(text_of(parameter))
        self._body(block, place, depth + 1)

    def _expressions(self, nodes: Iterable[Node], place: _Place, depth: int) -> None:
        for node in nodes:
            self._expression(node, place, depth + 1)

    def _expression(self, node: Node | None, place: _Place, depth: int) -> None:
        if node is None:
            return
        if depth > MAX_DEPTH or not self._is_harmless(node, place):
            raise _UnforeseenError(node)
        children = node.named_children
        if node.type == "call":
            children = [*filter(None, [node.child_by_field_name("receiver")]), *arguments_of(node)]
        if node.type not in _LEAVES:
            self._expressions(children, place, depth)

    def _is_harmless(self, node: Node, place: _Place) -> bool:
        """Say whether evaluating a node has no consequences, those of what is in it aside."""
        method = text_of(node.child_by_field_name("method"))
        match node.type:
            case "identifier":
                return text_of(node) not in _UNFORESEEN
            case "call" if node.child_by_field_name("block") is not None:
                return False
            case "call" if (receiver := node.child_by_field_name("receiver")) is not None:
                return (
                    method in _PURE_WITH_ARGUMENTS
                    or (method in _PURE and not arguments_of(node))
                    or (method == "new" and text_of(receiver) == "Version")
                )
            case "call":
                return method in _CHOICES or (place not in _IN_LOOP and method not in _UNFORESEEN)
            case "binary":
                operator, left = (text_of(node.child_by_field_name(side)) for side in ("operator", "left"))
                # What is appended to a string changes what is read of it.
                return operator in _OPERATORS or (operator == "<<" and left in self._lists)
            case "element_reference":
                # `Formula["name"]` runs another file, and so does the class itself.
                of = node.child_by_field_name("object")
                return of is not None and (of.type in _VALUES or text_of(of) == "ENV")
            case "method":
                return text_of(node.child_by_field_name("name")) not in _OVERRIDES
            case kind:
                return kind in _TRANSPARENT


def _check_call(method: str, node: Node, place: _Place) -> None:
    known = method in _STATEMENTS or method.startswith("on_")
    allowed = {
        _Place.OUTSIDE: method == "require",
        _Place.FORMULA: known,
        _Place.LOOP: known and method not in _NOT_IN_LOOPS,
        _Place.BLOCK: method not in _UNFORESEEN,
        _Place.OTHER_CLASS: method not in _UNFORESEEN,
    }
    if not allowed[place]:
        raise _UnforeseenError(node)


def _is_language(node: Node) -> bool:
    return text_of(node).startswith("Language::")


def _is_library(node: Node) -> bool:
    """Say whether a string names a library of Ruby or of brew, and not a file of somebody's."""
    return _LIBRARY.fullmatch(string_of(node, {}) or "") is not None
