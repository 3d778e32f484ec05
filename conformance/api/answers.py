"""Counts what each operation answered, and tells whether all of them were really tried.

    answers.py <openapi.json> <counts> nobody|customer|admin <examples per operation>

An operation is tried if it was asked often enough, did its work (2xx or 3xx) for whoever may use it, and was refused
(401, 403) for all others.
"""

import atexit
import json
import sys
from collections import Counter, defaultdict
from pathlib import Path

ROLES = {"nobody": None, "customer": "customers", "admin": "admins"}


class Seen:
    """Keeps count, and writes it down in the end."""

    def __init__(self, file):
        self.counts = defaultdict(Counter)
        atexit.register(lambda: Path(file).write_text(json.dumps(self.counts)))

    def note(self, label, status):
        self.counts[label][status] += 1


def may_use(operation, role):
    """The last paragraph of a description says for whom it is, if not for everybody."""
    last = operation.get("description", "").split("\n\n")[-1]
    return not last.startswith("For ") or (ROLES[role] or "nobody") in last


def takes_nothing(operation):
    """Then there is but one way to ask."""
    return not (operation.get("parameters") or operation.get("requestBody") or operation["security"])


def complaints(document, counts, role, examples):
    for path, item in document["paths"].items():
        if path == "/openapi.json":
            # Schemathesis begins with it, and leaves it at that.
            continue
        for method, operation in item.items():
            label = f"{method.upper()} {path}"
            times = sum(counts.get(label, {}).values())
            statuses = {int(status) for status in counts.get(label, {})}
            worked = any(200 <= status < 400 for status in statuses)
            refusal = 401 if role == "nobody" else 403
            if times < examples and not takes_nothing(operation):
                yield f"{label} was asked {times} times"
            if may_use(operation, role) and not worked:
                yield f"{label} never worked: {sorted(statuses)}"
            elif not may_use(operation, role) and (worked or refusal not in statuses):
                yield f"{label} should be {refusal}: {sorted(statuses)}"


if __name__ == "__main__":
    document, counts = (json.loads(Path(name).read_text()) for name in sys.argv[1:3])
    wrong = list(complaints(document, counts, sys.argv[3], int(sys.argv[4])))
    for label in sorted(counts):
        answered = ", ".join(f"{times} x {status}" for status, times in sorted(counts[label].items()))
        print(f"  {label}: {answered}")
    print(f"{sum(map(len, document['paths'].values()))} operations, {len(wrong)} of them not tried in earnest")
    print(*wrong, sep="\n")
    sys.exit(1 if wrong else 0)
