"""What SARIF 2.1.0 and JUnit require, held against what was rendered.

Sections are those of https://docs.oasis-open.org/sarif/sarif/v2.1.0/os/sarif-v2.1.0-os.html. JUnit has no
standard; this is what its readers agree on.
"""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit
from xml.etree import ElementTree as ET

from xmlschema import XMLSchema

Json = dict[str, Any]

LEVELS: Final = {"none", "note", "warning", "error"}
_SEMVER = re.compile(r"(?:0|[1-9]\d*)(?:\.(?:0|[1-9]\d*)){2}(?:-[0-9A-Za-z.-]+)?(?:\+[0-9A-Za-z.-]+)?")
# RFC 3986, what a relative reference can be made of; the first part of its path has no colon (4.2).
_PATH = re.compile(r"(?:[\w.~!$&'()*+,;=@-]|%[0-9A-F]{2})(?:[\w.~!$&'()*+,;=@/-]|%[0-9A-F]{2})*", re.ASCII)


def check_sarif(text: str) -> Json:
    """Return the one run of a SARIF log; nothing in it may be missing, or be of another kind."""
    assert re.fullmatch(r"[ -~\n]+", text)
    document = json.loads(text)
    _only(document, {"version", "$schema", "runs"})
    assert document["version"] == "2.1.0"  # 3.13.2
    assert document["$schema"].endswith("sarif-schema-2.1.0.json")
    (run,) = document["runs"]
    _only(run, {"tool", "results", "columnKind"} | run.keys() & {"invocations"})
    for invocation in run.get("invocations", ()):
        _check_invocation(invocation)
    assert run["columnKind"] in {"utf16CodeUnits", "unicodeCodePoints"}  # 3.14.17
    _only(run["tool"], {"driver"})
    rules = _check_driver(run["tool"]["driver"])
    for result in run["results"]:
        _check_result(result, rules)
    # Every rule is one that was broken.
    assert {result["ruleIndex"] for result in run["results"]} == set(range(len(rules)))
    found: Json = run
    return found


def _check_invocation(invocation: Json) -> None:
    _only(invocation, {"executionSuccessful", "toolExecutionNotifications"})
    assert invocation["executionSuccessful"] is True  # 3.20.14
    assert invocation["toolExecutionNotifications"]
    for notification in invocation["toolExecutionNotifications"]:
        _only(notification, {"level", "message"})
        assert notification["level"] in LEVELS
        _only(notification["message"], {"text"})


def _check_driver(driver: Json) -> list[str]:
    _only(driver, {"name", "semanticVersion", "informationUri", "rules"})
    assert driver["name"] == "brew-provenance"
    assert _SEMVER.fullmatch(driver["semanticVersion"])
    assert urlsplit(driver["informationUri"]).scheme == "https"
    rules = [rule["id"] for rule in driver["rules"]]
    assert len(set(rules)) == len(rules)
    for rule in driver["rules"]:
        _only(rule, {"id", "shortDescription", "help"})
        assert re.fullmatch(r"[a-z0-9]+(?:-[a-z0-9]+)*", rule["id"])
        for message in (rule["shortDescription"], rule["help"]):
            _only(message, {"text"})
            assert message["text"].strip()
    return rules


def _check_result(result: Json, rules: list[str]) -> None:
    _only(
        result,
        {"ruleId", "ruleIndex", "level", "message", "locations", "partialFingerprints", "properties"},
    )
    assert result["level"] in LEVELS
    assert type(result["ruleIndex"]) is int
    assert rules[result["ruleIndex"]] == result["ruleId"]  # 3.27.6
    _only(result["message"], {"text"})
    assert result["message"]["text"].strip()
    (location,) = result["locations"]
    _only(location, {"physicalLocation"})
    place = location["physicalLocation"]
    _only(place, {"artifactLocation", "region"})
    _only(place["artifactLocation"], {"uri"})
    uri = place["artifactLocation"]["uri"]
    assert _PATH.fullmatch(uri), uri
    assert not urlsplit(uri).scheme
    _only(place["region"], {"startLine"})
    assert type(place["region"]["startLine"]) is int
    assert place["region"]["startLine"] >= 1  # 3.30.5
    for name, value in result["partialFingerprints"].items():
        assert re.fullmatch(r"\w+/v\d+", name)  # 3.27.17
        assert isinstance(value, str)


def _only(document: Json, names: set[str]) -> None:
    assert isinstance(document, dict)
    assert set(document) == names


@cache
def _junit_schema() -> XMLSchema:
    return XMLSchema(Path(__file__).with_name("junit.xsd"))


def check_junit(text: str) -> ET.Element:
    """Return the root; its counts have to be those of what is in it."""
    assert re.fullmatch(r"[ -~\n]+", text)
    root = ET.fromstring(text)  # noqa: S314 - made here
    _junit_schema().validate(root)
    assert root.tag == "testsuites"
    assert root.attrib["name"] == "brew-provenance"
    for element in (root, *root.findall("testsuite")):
        cases = list(element.iter("testcase"))
        assert int(element.attrib["tests"]) == len(cases)
        for kind in ("failure", "error"):
            assert int(element.attrib[f"{kind}s"]) == sum(case.find(kind) is not None for case in cases)
    names = [suite.attrib["name"] for suite in root]
    assert len(set(names)) == len(names)
    for suite in root:
        assert suite.tag == "testsuite"
        for case in suite:
            assert case.tag == "testcase"
            assert case.attrib["classname"] == suite.attrib["name"]
            assert case.attrib["name"]
            assert len(case) <= 1
            for inner in case:
                assert inner.tag in {"failure", "error", "system-out"}
                assert (inner.text or "").strip()
                if inner.tag != "system-out":
                    assert re.fullmatch(r"[a-z0-9-]+", inner.attrib["type"])
                    assert inner.attrib["message"] in {"rejected", "unattested", "unresolved"}
    return root
