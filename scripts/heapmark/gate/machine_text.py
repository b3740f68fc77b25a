"""The gate's result for programs: JSON and JUnit XML."""

import json
import math
import xml.etree.ElementTree as xml

from heapmark.compare.render import estimate_data, number
from heapmark.gate.decision import OPEN, REGRESSION
from heapmark.gate.judge import ALLOWED
from heapmark.gate.text import sentence
from heapmark.terminal import printable

VERSION = 1  # of the JSON's form


def finding_data(finding):
    return {
        "metric": finding.metric,
        "workload": finding.workload,
        "verdict": finding.state,
        **estimate_data(finding.estimate),
        "limit": number(finding.limit),
        "noise": number(finding.spread),
        "guard": finding.is_guard,
        "detail": finding.detail,
    }


def as_json(result):
    data = {
        "version": VERSION,
        "verdict": result.verdict,
        "exit_code": result.exit_code,
        "base": result.base,
        "head": result.head,
        "job": result.job,
        "machine": result.machine,
        "run": result.run,
        "taken": result.taken.isoformat(timespec="seconds"),
        "blocks": result.blocks,
        "looks": result.looks,
        "seconds": round(result.seconds, 1),
        "notes": result.notes,
        "findings": [finding_data(finding) for finding in result.findings],
    }
    return json.dumps(data, indent=1) + "\n"


def junit(result):
    """A test case per comparison; what cannot be told is an error, not a failure."""
    states = [finding.state for finding in result.findings]
    suite = xml.Element(
        "testsuite",
        name="heapmark gate",
        tests=str(len(states)),
        failures=str(states.count(REGRESSION)),
        errors=str(states.count(OPEN)),
        skipped=str(states.count(ALLOWED)),
        time=f"{result.seconds:.1f}",
        timestamp=result.taken.strftime("%Y-%m-%dT%H:%M:%S"),
    )
    children = {REGRESSION: "failure", OPEN: "error", ALLOWED: "skipped"}
    for finding in result.findings:
        case = xml.SubElement(
            suite, "testcase", classname=f"heapmark.{finding.metric}",
            name=printable(f"{finding.workload}: {finding.metric}"),
        )  # fmt: skip
        if finding.state in children:
            message = printable(sentence(finding))
            xml.SubElement(case, children[finding.state], message=message)
        if not math.isnan(finding.limit) and finding.estimate:
            xml.SubElement(case, "system-out").text = printable(sentence(finding))
    root = xml.Element("testsuites")
    root.append(suite)
    xml.indent(root)
    text = xml.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n'
