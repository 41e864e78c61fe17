#!/usr/bin/python3
"""The API against its contract, over real HTTP: contract_test.py SAMPLE_SERVER sqlite|postgresql

Every route is in openapi.yaml and the other way round; every answer is of its schema; every route is held to its role, with
every scope of a token; every unsafe one asks a browser for its token; every field of every body is given what it must not be.
"""
import itertools
import json
import os
import pathlib
import secrets
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))

from contract_server import Server  # noqa: E402
from contract_support import CONTRACT, OPERATIONS, Client, TooLarge, damaged, resolved, sample  # noqa: E402

ROLES = ["anyone", "read", "operate", "admin", "owner"]
OF_PERSON = {"viewer": "read", "operator": "operate", "admin": "admin", "owner": "owner"}
PASSWORD = "correct horse battery"
# Answered with success elsewhere, where what they need can be made.
ELSEWHERE = {"POST /domains/{domain}/reconcile", "POST /domains/{domain}/discover-aliases", "POST /accounts/{account}/suspend",
             "POST /accounts/{account}/resume", "POST /accounts/{account}/password", "POST /aliases/{alias}/approve",
             "GET /events/stream"}


class Contract(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.server = Server(PROGRAM, KIND)
        cls.about = cls.server.about
        # What is missing on either side has a test of its own.
        there = {(r["method"], r["pattern"]) for r in cls.about["routes"]}
        cls.operations = [o for o in OPERATIONS if (o.method, o.path) in there]
        cls.root = cls.local()
        cls.ids = cls.seed()
        cls.tokens, cls.sessions = {}, {}
        for role in OF_PERSON:
            user = cls.root.ask("POST", "/users", {"name": role, "role": role, "password": PASSWORD}).json
            for scope in ("read", "operate", "admin"):
                made = cls.root.ask("POST", "/tokens", {"name": scope, "user": user["id"], "scopes": [scope]}).json
                cls.tokens[role, scope] = cls.client({"Authorization": "Bearer " + made["token"]})
            cls.sessions[role] = cls.sign_in(role)

    @classmethod
    def seed(cls):
        """What the sample server has not; parameter of a path -> what it may be."""
        about = cls.about
        ids = {"batch": about["draft"], "mailbox": about["mailbox"], "pass": about["pass"], "project": 1, "user": 1, "token": 1,
               "server": "old.example.org:993", "setting": "batch"}
        make = lambda path, body: cls.root.ask("POST", path, body).json["id"]  # noqa: E731
        ids["domain"] = make("/domains", {"name": "x.example"})
        ids["account"] = make("/accounts", {"address": "ada@x.example"})
        ids["alias"] = make("/aliases", {"address": "info@x.example", "goes_to": "ada@x.example"})
        ids["import"] = cls.take_csv().json["id"]
        return ids

    @classmethod
    def take_csv(cls):
        rows = "source_user,source_password,target_user,target_password\nbob,s3cret,bob,s3cret\n"
        where = "source=imaps://old.example.org&target=imaps://new.example.org&check_hosts=false&batch=imported"
        got = cls.root.ask("POST", "/imports?" + where, raw=rows, kind="text/csv")
        assert got.status in (201, 202), got.text
        return got

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()

    @classmethod
    def client(cls, headers=None):
        return Client(cls.about["address"], headers)

    @classmethod
    def local(cls):
        """Whoever runs the service, by the local socket."""
        import socket
        client = Client("localhost")  # its name stands in Host only
        path = pathlib.Path(cls.server.folder.name) / "socket"

        def connect():
            client.connection.sock = socket.socket(socket.AF_UNIX)
            client.connection.sock.settimeout(30)
            client.connection.sock.connect(str(path))
        client.connection.connect = connect
        return client

    @classmethod
    def sign_in(cls, name):
        answer = cls.client().ask("POST", "/session", {"name": name, "password": PASSWORD})
        assert answer.status == 201, answer.text
        cookie = answer.headers["Set-Cookie"].split(";")[0]
        return cls.client({"Cookie": cookie}), answer.json["csrf"]

    def path_of(self, operation, missing=False):
        path = operation.path
        for parameter in operation.parameters:
            if parameter["in"] != "path":
                continue
            name = parameter["name"]
            value = self.ids[name]
            path = path.replace("{" + name + "}", "999999" if missing else str(value))
        return path

    # What is written down, and what there is.

    def test_every_route_is_in_the_contract_and_the_other_way_round(self):
        there = {(r["method"], r["pattern"], r["role"], r["json"] or r["raw"]) for r in self.about["routes"]}
        written = {(o.method, o.path, o.role, o.takes_body) for o in OPERATIONS}
        self.assertEqual(sorted(there - written), [], "not in openapi.yaml")
        self.assertEqual(sorted(written - there), [], "in openapi.yaml only")

    def test_the_contract_is_whole(self):
        names = [o.node["operationId"] for o in OPERATIONS]
        self.assertEqual(len(names), len(set(names)))
        known = {tag["name"] for tag in CONTRACT["tags"]}
        for o in OPERATIONS:
            with self.subTest(str(o)):
                self.assertIn("default", o.node["responses"])
                self.assertTrue(set(o.node["tags"]) <= known)
                in_path = {p["name"] for p in o.parameters if p["in"] == "path"}
                self.assertEqual(in_path, {s[1:-1] for s in o.path.split("/") if s.startswith("{")})
        served = self.client().ask("GET", "/openapi.yaml")
        self.assertEqual(served.text, (pathlib.Path(__file__).parent / "openapi.yaml").read_text())

    # Who may.

    def test_every_route_is_held_to_its_role_and_scope(self):
        identities = [("anyone", self.client())]
        for (role, scope), client in self.tokens.items():
            identities.append((min(OF_PERSON[role], scope, key=ROLES.index), client))
        for role, (client, csrf) in self.sessions.items():
            client.headers["X-CSRF-Token"] = csrf
            identities.append((OF_PERSON[role], client))
        for o, (most, client) in itertools.product(self.operations, identities):
            if o.path == "/session" or o.role == "anyone":
                continue
            body = {} if o.body is not None else None
            got = client.ask(o.method, self.path_of(o, missing=True), body, {"If-Match": '"v999999"'})
            with self.subTest(f"{o} as {most}"):
                if most == "anyone":
                    self.assertEqual(got.status, 401)
                    continue
                allowed = ROLES.index(most) >= ROLES.index(o.role)
                # A token that leaks must not make others, or take its owner's away.
                if o.path.startswith("/tokens") and o.method != "GET" and "Authorization" in client.headers:
                    allowed = most == "admin"
                self.assertEqual(got.status != 403, allowed, got.text)
                self.assertNotIn(got.status, (401, 500, 503))
        for client, _ in self.sessions.values():
            del client.headers["X-CSRF-Token"]

    def test_every_unsafe_route_asks_a_browser_for_its_token(self):
        client, csrf = self.sessions["owner"]
        for o in self.operations:
            if o.method == "GET" or o.path == "/session":
                continue
            body = {} if o.body is not None else None
            for headers in ({}, {"X-CSRF-Token": csrf[:-1] + "~"}):
                with self.subTest(f"{o} {headers}"):
                    self.assertEqual(client.ask(o.method, self.path_of(o), body, headers).status, 403)
        self.assertEqual(client.ask("DELETE", "/session").status, 403)
        self.assertEqual(client.ask("GET", "/me").status, 200)

    def test_some_fields_need_more_than_their_route(self):
        operator = self.tokens["operator", "operate"]
        etag = self.root.ask("GET", f"/mailboxes/{self.about['mailbox']}").headers["ETag"]
        for o in self.operations:
            for pointer in o.node.get("x-body-role", {}):
                body = sample(o.body)
                *outer, name = pointer.split(".")
                inner = body
                for one in outer:
                    inner = inner.setdefault(one, {})
                inner[name] = {"hook": {"command": ["/bin/true"]}, "account": 1}.get(name, "imaps://x.example.org")
                with self.subTest(f"{o} {pointer}"):
                    got = operator.ask(o.method, self.path_of(o), body, {"If-Match": etag})
                    self.assertEqual(got.status, 403, got.text)

    # What must not be taken.

    def test_every_field_is_held_to_its_schema(self):
        for o in self.operations:
            if o.body is None:
                continue
            for pointer, how, body in damaged(o.body, sample(o.body)):
                with self.subTest(f"{o} {pointer} {how}"):
                    got = self.root.ask(o.method, self.path_of(o), body, {"If-Match": '"v999999"'})
                    self.assertEqual(got.status, 422, f"{json.dumps(body)[:200]} {got.text[:300]}")
                    self.assertTrue(any(f == pointer or f.startswith(pointer + "/") or pointer.startswith(f + "/")
                                        for f in got.fields()), got.text)

    def test_every_parameter_is_held_to_its_schema(self):
        for o in self.operations:
            for p in o.parameters:
                schema = resolved(p["schema"])
                wrong = "nonsense" if ("enum" in schema or schema.get("type") == "integer" or "format" in schema or
                                       p["name"] in ("cursor", "state")) else None
                if p["in"] != "query" or wrong is None or p["name"] == "after":
                    continue
                with self.subTest(f"{o} ?{p['name']}"):
                    raw = o.takes_body and o.body is None
                    got = self.root.ask(o.method, f"{self.path_of(o)}?{p['name']}={wrong}",
                                        sample(o.body) if o.body else None, {"If-Match": '"v0"'},
                                        raw="a,b\n" if raw else None, kind="text/csv" if raw else "application/json")
                    self.assertEqual(got.status, 422, got.text)
                    self.assertEqual(got.fields(), ["?" + p["name"]])

    def test_bodies_that_are_none(self):
        for o in self.operations:
            if o.body is None:
                continue
            path, match = self.path_of(o), {"If-Match": '"v1"'}
            nested = "[" * 40 + "]" * 40
            for raw, kind, status in (("{", "application/json", 400), ("[]", "application/json", 422),
                                      ('{"a":1}', "text/plain", 415), ('{"a":%s}' % nested, "application/json", 400),
                                      (TooLarge(1_000_001), "application/json", 413)):
                with self.subTest(f"{o} {str(raw)[:20]}"):
                    got = self.root.ask(o.method, path, raw=raw, kind=kind, headers=match)
                    self.assertEqual(got.status, status, got.text)
        got = self.client().ask("POST", "/session", raw=TooLarge(20_000))
        self.assertEqual(got.status, 413, "strangers say little")

    def test_ids_that_are_none(self):
        for o in self.operations:
            ids = [p["name"] for p in o.parameters if p["in"] == "path"]
            for name, value in itertools.product(ids, ("999999", "0", "-1", "x", "1e3", "9" * 20, "1%00", "..%2f1")):
                path = self.path_of(o).replace(self.path_of(o), o.path)
                for other in ids:
                    path = path.replace("{" + other + "}", value if other == name else "1")
                with self.subTest(f"{o} {path}"):
                    body = sample(o.body, whole=str(o.body).endswith(("/Credentials'}", "/Freeze'}"))) if o.body else None
                    got = self.root.ask(o.method, path, body, {"If-Match": '"v1"'})
                    self.assertIn(got.status, (400, 404), got.text)

    def test_every_edit_names_what_it_was_made_from(self):
        for o in self.operations:
            if not o.has("If-Match"):
                continue
            path = self.path_of(o)
            if o.path == "/projects/{project}":
                path = f"/projects/{self.root.ask('POST', '/projects', {'name': secrets.token_hex(4)}).json['id']}"
            body = sample(o.body) if o.body else None
            for match, status in ((None, 428), ('"v999999"', 412), ("v1", 412), ("*", 412), ('"v-1"', 412)):
                with self.subTest(f"{o} {match}"):
                    got = self.root.ask(o.method, path, body, {"If-Match": match} if match else {})
                    self.assertEqual(got.status, status, got.text)

    # What must work.

    def test_the_way_of_a_batch(self):
        root, about = self.root, self.about
        ok = lambda answer, status=200: self.assertEqual(answer.status, status, answer.text) or answer  # noqa: E731
        project = ok(root.ask("POST", "/projects", {"name": "acme"}), 201)
        path = project.headers["Location"].removeprefix("/api/v1")
        project = ok(root.ask("PATCH", path, {"name": "acme 2"}, {"If-Match": project.headers["ETag"]}))
        setting = ok(root.ask("GET", f"/settings/batch?project={project.json['id']}"))
        self.assertIsNone(setting.json["value"])
        setting = ok(root.ask("PUT", f"/settings/batch?project={project.json['id']}", {"value": {"priority": 5}},
                              {"If-Match": setting.headers["ETag"]}))
        made = ok(root.ask("POST", "/batches", {"name": "b", "project": project.json["id"],
                                                "settings": {"copy": {"acl": True}}}), 201)
        settings = made.json["settings"]
        self.assertEqual((settings["retries"], settings["priority"], settings["copy"]["acl"]), (7, 5, True),
                         "the company's, the project's and its own")
        path = made.headers["Location"].removeprefix("/api/v1")
        edit = sample({"$ref": "#/components/schemas/BatchEdit"}, whole=True)
        edit["settings"].update(hook={"command": ["/bin/true"]}, windows=[{"days": "mon-fri", "from": "00:00", "to": "24:00"}])
        edit["settings"]["copy"].update(since="2020-01-31", repair="all", map=["a=>b"])
        del edit["settings"]["windows"]
        edited = ok(root.ask("PATCH", path, edit, {"If-Match": made.headers["ETag"]}))
        self.assertEqual(edited.json["settings"]["hook"]["command"], ["/bin/true"])
        edited = ok(root.ask("PATCH", path, {"settings": {"hook": None, "retries": None}, "start_at": None},
                             {"If-Match": edited.headers["ETag"]}))
        self.assertEqual((edited.json["settings"]["hook"]["command"], edited.json["settings"]["retries"]), ([], 5))
        self.assertIsNone(edited.json["start_at"])
        self.assertEqual(root.ask("POST", path + "/start").status, 409, "nothing is in it")
        new = {"source_url": "imaps://old.example.org", "source_user": "ada@example.org", "source_password": "s3cret",
               "target_url": "imaps://new.example.org", "target_user": "ada@example.org"}
        mailbox = ok(root.ask("POST", path + "/mailboxes", new), 201)
        self.assertEqual((mailbox.json["state"], mailbox.json["source_server"]),
                         ("needs_credentials", "old.example.org:993"))
        self.assertEqual(root.ask("POST", path + "/mailboxes", new).status, 409)
        there = mailbox.headers["Location"].removeprefix("/api/v1")
        mailbox = ok(root.ask("POST", there + "/credentials", {"target_password": "s3cret"}))
        self.assertEqual(mailbox.json["state"], "ready")
        mailbox = ok(root.ask("PATCH", there, {"priority": 9, "target_url": "imap://new.example.org:1143"},
                              {"If-Match": mailbox.headers["ETag"]}))
        self.assertEqual(mailbox.json["target_server"], "new.example.org:1143")
        started = ok(root.ask("POST", path + "/start"))
        self.assertEqual((started.json["changed"], started.json["batch"]["state"]), (1, "syncing"))
        for verb in ("pause", "resume", "pause", "resume", "cancel", "retry", "finish"):
            ok(root.ask("POST", f"{path}/{verb}"))
        ok(root.ask("POST", f"/batches/{about['busy']}/pause"))
        # One by one.
        second = ok(root.ask("POST", f"/batches/{about['draft']}/mailboxes", dict(new, target_password="s3cret")), 201)
        there2 = second.headers["Location"].removeprefix("/api/v1")
        for verb, state in (("start", "queued"), ("pause", "paused"), ("resume", "queued"), ("cancel", "cancelled")):
            self.assertEqual(ok(root.ask("POST", f"{there2}/{verb}")).json["state"], state)
        self.assertEqual(root.ask("POST", there2 + "/resume").status, 409)
        for verb in ("retry", "finish"):
            ok(root.ask("POST", f"/mailboxes/{about['failed']}/{verb}"), 200 if verb == "retry" else 409)
        done = root.ask("GET", f"/batches/{about['busy']}/mailboxes?state=completed").json["items"][0]
        self.assertEqual(ok(root.ask("POST", f"/mailboxes/{done['id']}/finish")).json["next_pass"], "sweep")
        ok(root.ask("DELETE", there2 + "/credentials"), 204)
        ok(root.ask("DELETE", there2, headers={"If-Match": root.ask("GET", there2).headers["ETag"]}), 204)
        ok(root.ask("DELETE", path + "/credentials"), 204)
        archived = ok(root.ask("POST", path + "/archive"))
        self.assertEqual(archived.json["state"], "archived")
        self.assertEqual(root.ask("PATCH", path, {"name": "c"}, {"If-Match": archived.headers["ETag"]}).status, 409)
        self.assertEqual(root.ask("DELETE", f"/projects/{project.json['id']}", headers={"If-Match": project.headers["ETag"]}).status, 409)
        draft = ok(root.ask("POST", "/batches", {"name": "gone"}), 201)
        ok(root.ask("POST", f"/batches/{draft.json['id']}/mailboxes", new), 201)
        ok(root.ask("DELETE", f"/batches/{draft.json['id']}", headers={"If-Match": draft.headers["ETag"]}), 204)
        everything = root.ask("GET", "/audit?limit=500").text + root.ask("GET", "/events?limit=500").text
        self.assertIn("audit.mailbox.credentials", everything)
        self.assertNotIn("s3cret", everything)

    def test_what_else_is_done(self):
        root, about = self.root, self.about
        ok = lambda answer, status=200: self.assertEqual(answer.status, status, answer.text) or answer  # noqa: E731
        waive = {"messages": [{"folder": "INBOX", "source_uid": 7}], "reason": "spam"}
        failures = ok(root.ask("POST", f"/mailboxes/{about['failed']}/failures/waive", waive)).json["items"]
        self.assertEqual((failures[0]["waived"]["reason"], failures[0]["waived"]["by"]), ("spam", f"cli/{os.getuid()}"))
        del waive["reason"]
        failures = ok(root.ask("POST", f"/mailboxes/{about['failed']}/failures/unwaive", waive)).json["items"]
        self.assertIsNone(failures[0]["waived"])
        server = ok(root.ask("GET", "/servers/imap.example.org:143"))
        server = ok(root.ask("PATCH", "/servers/imap.example.org:143",
                             {"connections_max": 4, "paused_until": "2036-01-01T00:00:00Z", "paused_why": "night"},
                             {"If-Match": server.headers["ETag"]}))
        server = ok(root.ask("PATCH", "/servers/imap.example.org:143", {"paused_until": None, "connections_max": None},
                             {"If-Match": server.headers["ETag"]}))
        self.assertEqual((server.json["paused_until"], server.json["connections_max"]), (None, None))
        text = ok(root.ask("GET", f"/batches/{about['busy']}/log.txt"))
        self.assertEqual(text.headers["Content-Disposition"], f'attachment; filename="postferry-batch-{about["busy"]}-log.txt"')
        self.assertEqual(len(text.text.splitlines()), 2, "one line each, whatever a server has said")
        self.assertRegex(text.text, r" error   user\d+@old\.example\.org: INBOX: line one")
        lines = ok(root.ask("GET", f"/mailboxes/{about['failed']}/log.jsonl?level=error&folder=INBOX")).text.splitlines()
        self.assertEqual([json.loads(line)["level"] for line in lines], ["error"])
        report = ok(root.ask("GET", f"/batches/{about['busy']}/report.json")).json
        self.assertEqual([m["source"] for m in report["mailboxes"]], ["imaps://a@old"])
        for listed in ("/mailboxes?state=queued,failed,ready&limit=2", "/mailboxes?server=old.example.org:993&limit=3",
                       f"/batches/{about['busy']}/mailboxes?user=USER1&grade=investigate", "/batches?state=syncing,stopped&name=BUS"):
            self.assertTrue(ok(root.ask("GET", listed)).json["items"] or "user=" in listed, listed)
        for o in self.operations:
            if o.method == "GET" and str(o) not in ELSEWHERE:
                path = self.path_of(o)
                if "{pass}" in o.path:
                    path = path.replace(f"/mailboxes/{about['mailbox']}/", f"/mailboxes/{about['failed']}/")
                ok(root.ask("GET", path))
        for what in (f"/batches/{about['draft']}/log", f"/mailboxes/{about['mailbox']}/log"):
            ok(root.ask("DELETE", what), 204)
        setting = ok(root.ask("GET", "/settings/batch"))
        changed = ok(root.ask("PUT", "/settings/batch", {"value": {"retries": 7}}, {"If-Match": setting.headers["ETag"]}))
        project = ok(root.ask("POST", "/projects", {"name": "short-lived"}), 201)
        ok(root.ask("DELETE", f"/projects/{project.json['id']}", headers={"If-Match": project.headers["ETag"]}), 204)
        user = ok(root.ask("POST", "/users", {"name": "short-lived", "role": "viewer"}), 201)
        edited = ok(root.ask("PATCH", f"/users/{user.json['id']}", {"display": "S"}, {"If-Match": user.headers["ETag"]}))
        token = ok(root.ask("POST", "/tokens", {"name": "t", "user": user.json["id"], "scopes": ["read"]}), 201)
        ok(root.ask("DELETE", f"/tokens/{token.json['id']}"), 204)
        ok(root.ask("DELETE", f"/users/{user.json['id']}", headers={"If-Match": edited.headers["ETag"]}), 204)
        client, csrf = self.sign_in("viewer")
        ok(client.ask("DELETE", "/session", headers={"X-CSRF-Token": csrf}), 204)
        made = ok(root.ask("PUT", "/settings/batch?project=1", {"value": {}}, {"If-Match": '"v0"'}))
        ok(root.ask("DELETE", "/settings/batch?project=1", headers={"If-Match": made.headers["ETag"]}), 204)
        self.assertNotEqual(changed.headers["ETag"], setting.headers["ETag"])

    def test_the_way_of_a_domain(self):
        root = self.root
        ok = lambda answer, status=200: self.assertEqual(answer.status, status, answer.text) or answer  # noqa: E731
        edit = lambda verb, path, body=None, status=200: ok(  # noqa: E731
            root.ask(verb, path, body, {"If-Match": root.ask("GET", path).headers["ETag"]}), status)
        edit("PUT", "/company", root.ask("GET", "/company").json)
        domain = ok(root.ask("POST", "/domains", {"name": "y.example"}), 201).json["id"]
        edit("PATCH", f"/domains/{domain}", {"overrides": {"language": "de"}})
        ok(root.ask("POST", f"/domains/{domain}/freeze", {"provisioning": True}))
        ok(root.ask("POST", f"/domains/{domain}/unfreeze", {"provisioning": True}))
        account = ok(root.ask("POST", "/accounts", {"address": "bob@y.example"}), 201).json["id"]
        edit("PATCH", f"/accounts/{account}", {"name": "Bob"})
        alias = ok(root.ask("POST", "/aliases", {"address": "info@y.example", "goes_to": "bob@y.example"}), 201).json["id"]
        ok(root.ask("POST", f"/aliases/{alias}/refuse", {"reason": "nobody knows it"}))
        ok(root.ask("DELETE", f"/aliases/{alias}"), 204)
        edit("DELETE", f"/accounts/{account}", status=204)
        edit("DELETE", f"/domains/{domain}", status=204)
        ok(root.ask("POST", f"/imports/{self.take_csv().json['id']}/commit", {"skip_invalid": True}))
        ok(root.ask("DELETE", f"/imports/{self.take_csv().json['id']}"), 204)
        waiting = root.ask("GET", "/mailboxes?state=needs_credentials").json["items"][0]["id"]
        link = ok(root.ask("POST", f"/mailboxes/{waiting}/recredential-link", {}), 201).json["url"]
        self.assertTrue(link.startswith("https://migrate.example.org/r/"))
        ok(root.ask("DELETE", f"/mailboxes/{waiting}/recredential-link"), 204)

    def test_zz_every_route_has_been_seen_to_work(self):
        """Last by its name: what the tests above have seen."""
        never = [str(o) for o in self.operations if str(o) not in ELSEWHERE and
                 not any(200 <= status < 300 for status in Client.seen.get(str(o), ()))]
        self.assertEqual(never, [])


if __name__ == "__main__":
    PROGRAM, KIND = sys.argv[1:3]
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]])
