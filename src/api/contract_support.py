"""A client that holds every answer of the API against openapi.yaml, and values made from its schemas."""
import copy
import http.client
import json
import pathlib
import re

import jsonschema
import yaml

CONTRACT = yaml.safe_load((pathlib.Path(__file__).parent / "openapi.yaml").read_text())
VERBS = ("get", "put", "post", "patch", "delete")
# Samples where a schema alone does not say what makes sense.
SAMPLES = {"source_url": "imaps://old.example.org", "target_url": "imaps://new.example.org",
           "address": "info@x.example", "goes_to": "ada@x.example", "provisioning": "none", "from": "22:00", "to": "06:00", "days": "daily", "time_zone": "UTC", "name": "a", "start_at": "2026-11-22T18:00:00Z"}


def resolved(node):
    """The node behind its $ref."""
    while "$ref" in node:
        target = CONTRACT
        for part in node["$ref"][2:].split("/"):
            target = target[part]
        node = target
    return node


class Operation:
    def __init__(self, path, verb, node, shared):
        self.path, self.method, self.node = path, verb.upper(), node
        self.parameters = [resolved(p) for p in shared + node.get("parameters", [])]
        self.role = node.get("x-role")
        body = node.get("requestBody")
        self.body = None
        self.takes_body = body is not None
        if body and "application/json" in body["content"]:
            self.body = body["content"]["application/json"]["schema"]
        self.pattern = re.compile(re.sub(r"\{[^}]+\}", "[^/]+", path).replace(".", r"\.") + "$")

    def __str__(self):
        return f"{self.method} {self.path}"

    def has(self, name, where="header"):
        return any(p["name"] == name and p["in"] == where for p in self.parameters)

    def response(self, status):
        answers = self.node["responses"]
        return resolved(answers.get(str(status), answers.get("default")))


OPERATIONS = [Operation(path, verb, node[verb], node.get("parameters", []))
              for path, node in CONTRACT["paths"].items() for verb in VERBS if verb in node]


def operation_of(method, path):
    path = path.split("?")[0]
    found = [o for o in OPERATIONS if o.method == method and o.pattern.match(path)]
    return max(found, key=lambda o: -o.path.count("{")) if found else None


class Answer:
    def __init__(self, status, headers, text):
        self.status, self.headers, self.text = status, headers, text

    @property
    def json(self):
        return json.loads(self.text)

    def fields(self):
        return [e["field"] for e in self.json.get("errors", [])]


class TooLarge:
    """A body that is announced and does not come: who refuses it does so by its head."""

    def __init__(self, octets):
        self.octets = octets


class Client:
    """Keeps one connection. `seen`: (method, path of the contract) -> statuses, of all clients."""

    seen = {}

    def __init__(self, address, headers=None):
        self.connection = http.client.HTTPConnection(address, timeout=120)
        self.headers = headers or {}

    def ask(self, method, path, body=None, headers=None, raw=None, kind="application/json"):
        sent = dict(self.headers, **(headers or {}))
        if body is not None:
            raw = json.dumps(body)
        if raw is not None and kind:
            sent.setdefault("Content-Type", kind)
        if isinstance(raw, TooLarge):
            sent["Content-Length"], raw = str(raw.octets), None
        try:
            self.connection.request(method, "/api/v1" + path, raw, sent)
            got = self.connection.getresponse()
        except OSError:
            self.connection.close()
            raise
        operation = operation_of(method, path)
        if got.headers.get("Content-Type") == "text/event-stream":  # without an end
            first = got.read1(100)
            self.connection.close()
            answer = Answer(got.status, got.headers, first.decode())
        else:
            answer = Answer(got.status, got.headers, got.read().decode())
        check(operation, answer, f"{method} {path}")
        return answer


def check(operation, answer, what):
    """Raises when the answer is not as the contract says."""
    if operation is None:
        assert answer.status in (404, 405), f"{what}: {answer.status}, and it is not in the contract"
        operation = OPERATIONS[0]  # its refusals are everybody's
    Client.seen.setdefault(str(operation), set()).add(answer.status)
    if answer.status < 400:
        assert str(answer.status) in operation.node["responses"], f"{what}: {answer.status} is not in the contract"
    response = operation.response(answer.status)
    content = response.get("content")
    kind = (answer.headers.get("Content-Type") or "").split(";")[0]
    if content is None:
        assert answer.text == "", f"{what}: a body with {answer.status}"
        return
    assert kind in content, f"{what}: {answer.status} as {kind}"
    if kind in ("application/json", "application/problem+json"):
        try:
            VALIDATE(content[kind]["schema"], json.loads(answer.text))
        except jsonschema.ValidationError as wrong:
            raise AssertionError(f"{what}: {answer.status} /{'/'.join(map(str, wrong.absolute_path))}: {wrong.message[:300]}")
    for name in response.get("headers", {}):
        assert answer.headers.get(name), f"{what}: no {name}"


def VALIDATE(schema, value):
    resolver = jsonschema.RefResolver("", CONTRACT)
    jsonschema.Draft202012Validator(
        schema, resolver=resolver, format_checker=jsonschema.draft202012_format_checker).validate(value)


def types_of(schema):
    kind = schema.get("type", "string" if "enum" in schema else None)
    return kind if isinstance(kind, list) else [kind]


def sample(schema, name="", whole=False):
    """A value that is valid; `whole`: with everything that may be left out."""
    schema = resolved(schema)
    kind = types_of(schema)[0]
    if kind == "object":
        wanted = schema.get("properties", {})
        return {n: sample(s, n, whole) for n, s in wanted.items() if whole or n in schema.get("required", [])}
    if kind == "array":
        return [sample(schema["items"], "", whole)] * max(schema.get("minItems", 0), 1 if whole else 0)
    if name in SAMPLES:
        return SAMPLES[name]
    if "enum" in schema:
        return schema["enum"][0]
    if kind == "integer":
        return schema.get("minimum", 1)
    if kind == "boolean":
        return True
    if schema.get("format") == "date-time":
        return "2026-11-22T18:00:00Z"
    return "a" * max(schema.get("minLength", 1), 1)


def wrong_values(schema):
    """(what is wrong, a value that is)."""
    schema = resolved(schema)
    kinds = types_of(schema)
    for kind, value in (("string", "text"), ("integer", 7), ("boolean", True), ("array", []), ("object", {})):
        if kind not in kinds and not (kind == "string" and "enum" in schema):
            yield f"a {kind}", value
    if "enum" in schema:
        yield "an unknown word", "nonsense"
        return
    if "integer" in kinds:
        yield "a fraction", 1.5
        if "minimum" in schema:
            yield "too small", schema["minimum"] - 1
        if schema.get("maximum", 2**63) < 2**63 - 1:
            yield "too large", schema["maximum"] + 1
        yield "far too large", 10**30
    if "string" in kinds:
        if schema.get("format") == "date-time":
            yield "no time", "yesterday"
        else:
            if schema.get("minLength", 0) > 0:
                yield "too short", "a" * (schema["minLength"] - 1)
            if "maxLength" in schema:
                yield "too long", "a" * (schema["maxLength"] + 1)
            if not schema.get("writeOnly"):
                yield "a control character", "a\u0001b"
        if "pattern" in schema:
            yield "not of the pattern", "~ ~"
    if "array" in kinds and "maxItems" in schema:
        yield "too many", [sample(schema["items"], "", True)] * (schema["maxItems"] + 1)
    if "array" in kinds and schema.get("minItems", 0) > 0:
        yield "too few", []


def damaged(schema, body, pointer=""):
    """(JSON pointer, what is wrong, the damaged body) for every place of it."""
    schema = resolved(schema)
    if "object" in types_of(schema):
        for name in schema.get("required", []):
            less = copy.deepcopy(body)
            less.pop(name, None)
            yield f"{pointer}/{name}", "missing", less
        yield f"{pointer}/nonsense", "unknown", dict(copy.deepcopy(body), nonsense=1)
        for name, inner in schema.get("properties", {}).items():
            for how, value in wrong_values(inner):
                yield f"{pointer}/{name}", how, dict(copy.deepcopy(body), **{name: value})
            for at, how, value in damaged(inner, body.get(name, sample(inner, name)), f"{pointer}/{name}"):
                yield at, how, dict(copy.deepcopy(body), **{name: value})
    elif "array" in types_of(schema):
        items = schema["items"]
        one = sample(items)
        for how, value in wrong_values(items):
            yield f"{pointer}/0", how, [value]
        for at, how, value in damaged(items, one, f"{pointer}/0"):
            yield at, how, [value]
