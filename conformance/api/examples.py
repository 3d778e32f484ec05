"""Holds every example of the description to its schema, and counts them."""

import json
import sys
from pathlib import Path

import jsonschema_rs

document = json.loads(Path(sys.argv[1]).read_text())
failures = []
count = 0


def check(where, schema, value):
    global count
    count += 1
    whole = {**schema, "components": document["components"]}
    validator = jsonschema_rs.Draft202012Validator(whole, validate_formats=True)
    for error in validator.iter_errors(value):
        failures.append(f"{where}: {error.message}")


def walk(where, node):
    """A schema's own `examples` are a list; those of a media type are named and hold a `value`."""
    if isinstance(node, list):
        for index, item in enumerate(node):
            walk(f"{where}/{index}", item)
    if not isinstance(node, dict):
        return
    for name, member in node.items():
        if name == "examples" and isinstance(member, list):
            for example in member:
                check(where, {key: value for key, value in node.items() if key != "examples"}, example)
        elif name == "examples":
            for example in member.values():
                check(where, node["schema"], example["value"])
        elif name == "example":
            check(where, node["schema"], member)
        else:
            walk(f"{where}/{name}", member)


walk("", document["paths"])
walk("", document["components"])
answers = [
    (path, status)
    for path, item in document["paths"].items()
    for operation in item.values()
    for status, answer in operation["responses"].items()
    if "application/json" in answer.get("content", {})
    and "example" not in answer["content"]["application/json"]
    and path != "/openapi.json"
]
failures += [f"{path} {status} has no example" for path, status in answers]
print(*failures, sep="\n")
print(f"{count} examples, {len(failures)} of them wrong")
sys.exit(1 if failures or count < 100 else 0)
