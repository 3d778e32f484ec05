"""What Schemathesis must know of the shop beside its description."""

import os

import schemathesis

TOKEN = os.environ.get("API_TOKEN", "")


@schemathesis.auth()
class Session:
    """The access token of whoever the run speaks as; nobody's if there is none."""

    def get(self, case, context):
        return TOKEN

    def set(self, case, data, context):
        if data:
            case.headers = {**(case.headers or {}), "Authorization": f"Bearer {data}"}


def is_trimmed(value):
    """Strings are trimmed, then measured: one that is wrong only by its ends is right, which no pattern can say while
    its length is bounded."""
    if isinstance(value, str):
        return value == value.strip()
    if isinstance(value, dict):
        return all(is_trimmed(member) for member in value.values())
    return True


@schemathesis.hook
def filter_body(context, body):
    return is_trimmed(body)


@schemathesis.hook
def filter_query(context, query):
    # An empty parameter counts as absent.
    return query is None or (is_trimmed(query) and "" not in dict(query).values())


@schemathesis.hook
def map_query(context, query):
    # A cursor that no list has given is 422, whatever it looks like; those that lists give are tried by the tests.
    if query:
        query.pop("cursor", None)
    return query
