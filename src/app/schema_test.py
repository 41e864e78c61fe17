#!/usr/bin/python3
"""Every JSON document the program writes, against docs/schema/: schema_test.py JSON_SAMPLES SCHEMA_FOLDER.

Then each document is damaged in every place (a member taken away, an unknown one added, a text where a number was), and
the schema must notice: a schema that accepts anything proves nothing.
"""
import copy
import json
import pathlib
import subprocess
import sys

import jsonschema

KINDS = ("report", "event", "plan", "check")


def load(folder):
    schemas = {kind: json.loads((folder / f"{kind}.schema.json").read_text()) for kind in KINDS}
    store = {schema["$id"]: schema for schema in schemas.values()}
    validators = {}
    for kind, schema in schemas.items():
        jsonschema.Draft202012Validator.check_schema(schema)
        resolver = jsonschema.RefResolver(schema["$id"], schema, store=store)
        validators[kind] = jsonschema.Draft202012Validator(schema, resolver=resolver)
    return validators


def places(value, path=()):
    """Paths of all objects inside."""
    if isinstance(value, dict):
        yield path
        for key, inner in value.items():
            yield from places(inner, path + (key,))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from places(inner, path + (index,))


def at(document, path):
    for step in path:
        document = document[step]
    return document


# Members that a document may lack, and objects whose member names are data.
OPTIONAL = {"limits", "verify", "warnings", "stopped_by", "notes", "advice", "response_code", "note", "oversize", "seed", "confidence", "at_most", "deleted", "not_deleted", "to_delete",
            "delete_target_uids"}
OPEN = {"repairs", "skip_rules"}


def damaged(document):
    for path in places(document):
        if path and path[-1] in OPEN:
            continue
        added = copy.deepcopy(document)
        at(added, path)["unheard_of"] = 1
        yield f"unknown member in /{'/'.join(map(str, path))}", added
        for key, value in at(document, path).items():
            where = "/".join(map(str, path + (key,)))
            if key not in OPTIONAL:
                less = copy.deepcopy(document)
                del at(less, path)[key]
                yield f"missing /{where}", less
            wrong = copy.deepcopy(document)
            at(wrong, path)[key] = True if not isinstance(value, bool) else "text"
            yield f"wrong type of /{where}", wrong


def main():
    samples = subprocess.run([sys.argv[1]], check=True, capture_output=True, text=True).stdout.splitlines()
    validators = load(pathlib.Path(sys.argv[2]))
    seen, bad = set(), []
    for line in samples:
        kind, _, text = line.partition("\t")
        seen.add(kind)
        document = json.loads(text)
        for error in validators[kind].iter_errors(document):
            bad.append(f"{kind}: {'/'.join(map(str, error.absolute_path))}: {error.message[:300]}")
        for how, wrong in damaged(document):
            if validators[kind].is_valid(wrong):
                bad.append(f"{kind} accepts: {how} ({text[:80]})")
    if seen != set(KINDS):
        bad.append(f"samples of {seen}, not of {set(KINDS)}")
    print("\n".join(bad[:50]) or f"{len(samples)} documents valid")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
