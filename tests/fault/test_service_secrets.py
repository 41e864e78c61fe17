"""What must not leave the service: passwords, tokens, cookies and links are searched for wherever anybody may look; and what a
stranger sends must not do what only its owner may."""

import base64
import json
import os
import re
import resource
import signal
import socket
import subprocess
import urllib.parse

from service_rig import *  # noqa: F403

CONTRACT = rig.ROOT / "src" / "api" / "openapi.yaml"
OWNER = {"name": "olga", "password": "Olgas/Passwort+17"}
# In a field's value these would begin another.
NASTY = 'quarter "1"\r\nSet-Cookie: owned=1\r\n\r\n<script>alert(1)</script> ../../etc/passwd é'


def forms(secret: str) -> list[bytes]:
    """How it may be written: as it is, in JSON, in a URL, in base64 wherever it begins there, in hexadecimal."""
    raw = secret.encode()
    coded = [base64.b64encode(b"\0" * shift + raw)[4 if shift else 0:][:-4] for shift in range(3)]
    return [raw, json.dumps(secret)[1:-1].encode(), urllib.parse.quote(secret, safe="").encode(), raw.hex().encode(), *coded]


def reads() -> list[str]:
    """Every path of the contract that is read by GET and ends."""
    found, path = [], ""
    for line in CONTRACT.read_text().splitlines():
        if match := re.match(r"  (/\S*?):(.*)", line):
            path = match[1]
            if " get: " in match[2]:
                found.append(path)
        elif line == "    get:" and path:
            found.append(path)
        elif line and not line.startswith(" "):
            path = ""
    return [one for one in found if one != "/events/stream"]


class Secrets(ServiceCase):
    MAILBOXES, MESSAGES = 3, 4

    def setUp(self):
        super().setUp()
        self.secrets: dict[str, str] = {}  # what it is -> the secret

    def live_through_everything(self) -> None:
        """Sign-ins, tokens, credentials, passes, refusals: whatever has to do with a secret."""
        here = self.service
        note = here.folder / "first-owner-link"
        until(lambda: note.exists() and note.read_text().endswith("\n"), 10, "the link for the first owner")
        self.assertEqual(note.stat().st_mode & 0o777, 0o600)
        link = note.read_text().strip()
        self.assertEqual(here.over_tcp("GET", "/" + urllib.parse.urlsplit(link).path).status, 200)
        self.secrets["the first owner's link"] = link.rpartition("/")[2]
        here.call("POST", "/users", {**OWNER, "role": "owner"})
        self.secrets["a user's password"] = OWNER["password"]
        session = here.over_tcp("POST", "/session", OWNER)
        self.secrets["a cookie"] = re.match(r"[^=]+=([^;]+)", session.headers["set-cookie"])[1]
        self.secrets["a token"] = self.new_token(session)
        wrong = here.over_tcp("POST", "/session", {"name": "olga", "password": "Nicht/Olgas+Passwort"})
        self.assertEqual(wrong.status, 401)
        self.secrets["a wrong password"] = "Nicht/Olgas+Passwort"
        batch = self.new_batch()
        for user in self.sample:
            self.secrets[f"the password of {user}"] = f"{user}-secret"
        first, second, _ = self.mailboxes(batch)
        here.call("POST", f"/mailboxes/{first['id']}/credentials", {"source_refresh_token": "1//refresh+token/of=anna"})
        self.secrets["a refresh token"] = "1//refresh+token/of=anna"
        self.secrets["a password that is refused"] = "Falsches/Passwort+99"
        here.call("POST", f"/mailboxes/{second['id']}/credentials", {"source_password": self.secrets["a password that is refused"]})
        self.import_and_repeat()
        here.call("POST", f"/batches/{batch}/start")
        self.settle(batch, {"synced", "needs_credentials"}, 60)
        link = here.call("POST", f"/mailboxes/{second['id']}/recredential-link", {})["url"]
        self.secrets["a link"] = link.rstrip("/").rpartition("/")[2]
        self.assertEqual(here.over_tcp("GET", "/" + urllib.parse.urlsplit(link).path).status, 200)
        self.assertEqual(self.states(batch)["needs_credentials"], 1)
        here.call("POST", f"/batches/{batch}/finish")
        self.settle(batch, {*ENDED, "needs_credentials"}, 60)

    def import_and_repeat(self) -> None:
        """Secrets in files that are uploaded, in rows that are wrong, and in requests that are remembered."""
        here = self.service
        named = {"of a CSV": "Zeile/Passwort+3", "of a wrong row": "Falsche/Zeile+4", "of a URL": "URL-Passwort_5",
                 "of a header": "Kopf/Zeile+6", "of a remembered request": "Gemerktes/Passwort+7"}
        self.secrets.update(named)
        head = "source_url,source_user,source_password,target_url,target_user,target_password\n"
        ends = self.url(self.source), self.url(self.target)
        rows = [f"{ends[0]},anna,{named['of a CSV']},{ends[1]},anna,{named['of a CSV']}", f"{ends[0]},bert,,{ends[1]},bert,x-{named['of a CSV']}",
                f"nonsense,carla,{named['of a wrong row']},{ends[1]},carla,{named['of a wrong row']},too,many",
                f"imap://dora:{named['of a URL']}@{self.HOST},dora,x,{ends[1]},dora,x"]
        seen = here.ask("POST", "/imports?batch=imported&check_hosts=false", (head + "\n".join(rows) + "\n").encode(), headers={
            "Content-Type": "text/csv", "Postferry-Source-Password": urllib.parse.quote(named["of a header"], safe="")})
        self.assertEqual(seen.status, 201, seen.text)
        faults = here.ask("GET", f"/imports/{seen.body['id']}/faults")
        self.assertEqual([one["row"] for one in faults.body["items"]], [4, 5], faults.text)
        here.call("POST", f"/imports/{seen.body['id']}/commit", {"skip_invalid": True})
        self.assert_nowhere({"a preview": seen.octets, "its faults": faults.octets,
                             "an import": here.ask("GET", f"/imports/{seen.body['id']}").octets})
        key = {"Idempotency-Key": "again"}
        other = here.call("POST", "/batches", {"name": "remembered"})["id"]
        body = {**self.mailbox("erna"), "source_password": named["of a remembered request"]}
        for _ in range(2):
            self.assertEqual(here.ask("POST", f"/batches/{other}/mailboxes", body, headers=key).status, 201)
        shown = here.ask("POST", "/tokens", {"name": "once", "scopes": ["read"], "user": 1}, headers={"Idempotency-Key": "token"})
        self.assertEqual(shown.status, 201, shown.text)
        self.secrets["a token that was asked for with a key"] = shown.body["token"]

    def new_token(self, session) -> str:
        made = self.service.over_tcp("POST", "/tokens", {"name": "t", "scopes": ["admin"]},
                                     headers={"Cookie": session.headers["set-cookie"].partition(";")[0],
                                              "X-CSRF-Token": session.body["csrf"]})
        self.assertEqual(made.status, 201, made.text)
        return made.body["token"]

    # -- where somebody may look ------------------------------------------------------------------------------------

    def answers(self) -> dict[str, bytes]:
        ids = {"batch": 1, "mailbox": 2, "pass": 1, "user": 1, "project": 1, "setting": "batch",
               "server": f"{self.HOST}:{self.source.port}"}
        found = {}
        for path in reads():
            names = re.findall(r"\{(\w+)\}", path)
            if set(names) <= set(ids):
                where = re.sub(r"\{(\w+)\}", lambda match: str(ids[match[1]]), path)
                found[where] = self.service.ask("GET", where).octets
        for where in ("//metrics", "//healthz", "//readyz", "/mailboxes/1/passes/1", "/mailboxes/1", "/mailboxes/1/report.json"):
            found[where] = self.service.ask("GET", where).octets
        self.assertGreater(sum(octets.count(b"user00000") for octets in found.values()), 5, "they tell of mailboxes")
        return found

    def process_list(self) -> dict[str, bytes]:
        found = {}
        for one in self.service.processes.values():
            for name in ("cmdline", "environ"):
                found[f"{name} of {one.name}"] = pathlib.Path(f"/proc/{one.pid}/{name}").read_bytes()
        return found

    def files(self) -> dict[str, bytes]:
        """Everything below the service's folder but what is there to hold secrets."""
        mine = {self.service.key_file, *(self.service.folder / name for name in ("database-password", "first-owner-link"))}
        return {str(path): path.read_bytes() for path in self.service.folder.rglob("*")
                if path.is_file() and path not in mine}

    def assert_nowhere(self, places: dict[str, bytes]) -> None:
        key = self.service.key_file.read_text()
        secrets = {**self.secrets, "the key": max(re.findall(r"[0-9a-fA-F]{32,}|[A-Za-z0-9+/=]{40,}", key), key=len)}
        found = [f"{what} is in {where}" for where, octets in places.items() for what, secret in secrets.items()
                 if any(form in octets for form in forms(secret))]
        self.assertEqual(found, [])

    def test_none_is_in_a_file_an_answer_or_the_process_list(self):
        for store in self.STORES:
            with self.subTest(store=store):
                self.service, self.secrets = None, {}
                self.forget_mail()
                server = None
                if store == "postgresql":
                    server = self.postgres()
                    self.secrets["the database's password"] = server.password
                    proxy = Witness(server.port, reads=False)
                    self.addCleanup(proxy.close)
                    self.on_postgres(server, proxy.port, jobs=1, log_level="wire")
                    self.service.serve()
                    self.service.worker("w1", "--jobs", "2")
                else:
                    self.new_service(jobs=3, log_level="wire")
                    self.service.serve()
                self.live_through_everything()
                self.assert_nowhere(self.process_list())
                answers = self.answers()
                self.assert_nowhere(answers)
                # The WAL is there while it runs, what a tidy end leaves after it.
                self.assert_nowhere(self.files())
                if server:
                    dump = server._run("pg_dump", "-d", "postferry").stdout.encode()
                    self.assertIn(b"user00000", dump)
                    self.assert_nowhere({"a dump of the database": dump, "the database's log": server.log.read_bytes()})
                self.service.stop()
                logs = self.files()
                self.assertTrue(any(b"APPEND" in text for name, text in logs.items() if name.endswith(".log")), "at the level wire")
                self.assert_nowhere(logs)

    def test_memory_is_nobodys_business(self):
        here = self.new_service()
        before = resource.getrlimit(resource.RLIMIT_CORE)
        resource.setrlimit(resource.RLIMIT_CORE, (before[1], before[1]))
        try:
            serve = here.serve()
        finally:
            resource.setrlimit(resource.RLIMIT_CORE, before)
        limits = pathlib.Path(f"/proc/{serve.pid}/limits").read_text()
        self.assertRegex(limits, r"Max core file size +0 ")
        os.kill(serve.pid, signal.SIGABRT)
        serve.wait()
        self.assertEqual(list(here.folder.rglob("core*")) + list(pathlib.Path.cwd().glob("core*")), [])

    def test_another_process_of_its_user_cannot_look_into_it(self):
        """/proc/PID/environ and mem belong to root then, whoever it runs as."""
        folder = self.place / "unprivileged"
        folder.mkdir()
        shutil.chown(folder, 65534, 65534)
        for place in (self.place, self.folder):
            place.chmod(0o711)
        one = subprocess.Popen([rig.program(), "serve", "--jobs", "0"], user=65534, group=65534, extra_groups=[], cwd=folder,
                               env={"POSTFERRY_CONFIG": str(self.unprivileged(folder))}, stdout=subprocess.DEVNULL,
                               stderr=subprocess.PIPE)
        self.addCleanup(one.communicate)
        self.addCleanup(one.terminate)
        until(lambda: (folder / "s").exists() or one.poll() is not None, 20, "it serves")
        self.assertIsNone(one.poll(), one.stderr)
        self.assertEqual(os.stat(f"/proc/{one.pid}/mem").st_uid, 0)

    def unprivileged(self, folder: pathlib.Path) -> pathlib.Path:
        config = folder / "postferry.toml"
        config.write_text(f'[service]\nlisten = ["127.0.0.1:0"]\nsocket = "s"\n[store]\nurl = "sqlite:{folder}/store.db"\n'
                          f'key_file = "{folder}/key"\n')
        shutil.chown(config, 65534, 65534)
        return config

    # -- what strangers send ----------------------------------------------------------------------------------------

    def signed_in(self) -> tuple[str, str]:
        """Cookie and CSRF token of an owner."""
        self.service.call("POST", "/users", {**OWNER, "role": "owner"})
        session = self.service.over_tcp("POST", "/session", OWNER)
        return session.headers["set-cookie"].partition(";")[0], session.body["csrf"]

    def test_another_site_cannot_use_the_cookie(self):
        here = self.new_service(jobs=0)
        here.serve()
        field = here.over_tcp
        cookie, csrf = self.signed_in()
        strict = here.over_tcp("POST", "/session", OWNER).headers["set-cookie"]
        self.assertRegex(strict, r"(?i)HttpOnly")
        self.assertRegex(strict, r"(?i)SameSite=Strict")
        wanted = {"name": "by another site"}
        for extra in ({}, {"X-CSRF-Token": ""}, {"X-CSRF-Token": csrf[:-1]}, {"X-CSRF-Token": csrf + "x"},
                      {"Origin": "https://evil.example"}, {"Content-Type": "text/plain"},
                      {"Content-Type": "application/x-www-form-urlencoded"}):
            with self.subTest(extra=extra):
                self.assertEqual(field("POST", "/batches", wanted, headers={"Cookie": cookie, **extra}).status, 403)
        for method, path in (("DELETE", "/session"), ("PATCH", "/users/1"), ("DELETE", "/users/1"), ("PUT", "/settings/batch")):
            self.assertEqual(field(method, path, {}, headers={"Cookie": cookie}).status, 403, method + path)
        self.assertEqual(here.items("/batches"), [])
        # Nor read what it answers.
        for method in ("GET", "OPTIONS"):
            answer = field(method, "/batches", headers={"Cookie": cookie, "Origin": "https://evil.example",
                                                       "Access-Control-Request-Method": "POST"})
            self.assertEqual([name for name in answer.headers if name.startswith("access-control")], [])
        self.assertEqual(field("POST", "/batches", wanted, headers={"Cookie": cookie, "X-CSRF-Token": csrf}).status, 201)
        self.assertEqual(field("DELETE", "/session", headers={"Cookie": cookie, "X-CSRF-Token": csrf}).status, 204)
        self.assertEqual(field("GET", "/me", headers={"Cookie": cookie}).status, 401)

    def test_what_has_a_nasty_name_is_downloaded_under_a_tame_one(self):
        here = self.new_service(jobs=3)
        here.serve()
        made = here.ask("POST", "/batches", {"name": NASTY})
        name = NASTY if made.status == 201 else NASTY.replace("\r\n", " ")
        self.assertIn(made.status, (201, 422, 400), made.text)
        batch = made.body["id"] if made.status == 201 else here.call("POST", "/batches", {"name": name})["id"]
        here.call("POST", f"/batches/{batch}/mailboxes", self.mailbox("user00000"))
        here.call("POST", f"/batches/{batch}/start")
        self.settle(batch, {"synced"}, 30)
        mailbox = self.mailboxes(batch)[0]["id"]
        for path in [f"/{what}/{of}/{file}" for what, of in (("batches", batch), ("mailboxes", mailbox))
                     for file in ("log.txt", "log.jsonl", "report.json", "report.csv", "report.html")]:
            answer = here.ask("GET", path)
            self.assertEqual(answer.status, 200, path + answer.text)
            self.assertNotIn("set-cookie", answer.headers)
            self.assertRegex(answer.headers["content-disposition"], r'^attachment; filename="[A-Za-z0-9._-]+"$', path)
            self.assertEqual(answer.headers["x-content-type-options"], "nosniff", path)
            if path.endswith(".html"):
                self.assertNotIn("<script>alert", answer.text)

    def raw(self, request: bytes) -> bytes:
        with socket.create_connection(self.service.address, timeout=60) as line:
            line.sendall(request)
            line.shutdown(socket.SHUT_WR)
            out = b""
            while part := line.recv(65536):
                out += part
        return out

    def test_no_path_leads_out(self):
        here = self.new_service(jobs=0)
        here.serve()
        self.new_batch()
        token = self.new_token_of_an_owner()
        for path in ("/../../../../etc/passwd", "/api/v1/../../../etc/passwd", "/api/v1/batches/..%2f..%2f..%2fetc%2fpasswd/log.txt",
                     "/api/v1/batches/%2e%2e/%2e%2e/log.txt", "/api/v1/mailboxes/..\\..\\etc\\passwd/report.html",
                     "/api/v1/batches/1%00/log.txt", "/api/v1/imports/../../../../etc/passwd", "//etc/passwd",
                     "/api/v1/batches/1/report.json%00.html", "/static/../../etc/passwd", "/api/v1/imports/%2fetc%2fpasswd",
                     "file:///etc/passwd", "/api/v1/openapi.yaml/../../../../etc/passwd"):
            with self.subTest(path=path):
                got = self.raw(f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n".encode())
                self.assertRegex(got, rb"^HTTP/1\.1 (400|401|404|405|422) ")
                self.assertNotIn(b"root:", got)
        for query in ("folder=../../../../etc/passwd", "folder=%00", "folder=%0d%0aSet-Cookie:%20a=b"):
            answer = here.ask("GET", f"/mailboxes/1/log.txt?{query}")
            self.assertNotIn("set-cookie", answer.headers)
            self.assertNotIn("root:", answer.text)

    def new_token_of_an_owner(self) -> str:
        cookie, csrf = self.signed_in()
        made = self.service.over_tcp("POST", "/tokens", {"name": "t", "scopes": ["admin"]},
                                     headers={"Cookie": cookie, "X-CSRF-Token": csrf})
        return made.body["token"]

    def test_what_is_sent_comes_back_in_no_field(self):
        here = self.new_service(jobs=0)
        here.serve()
        self.new_batch()
        broken = "x%0d%0aSet-Cookie:%20owned=1"
        for path in (f"/batches?cursor={broken}", f"/batches?name={broken}", f"/servers/{broken}", f"/settings/{broken}",
                     f"/imports/{broken}", f"/{broken}"):
            self.assertNotIn("set-cookie", here.ask("GET", path).headers, path)
        for field in ("Host: x\r\nX-Request-Id: a\rSet-Cookie: owned=1", "Host: evil.example\r\nX-Forwarded-Host: evil.example",
                      "Host: x\r\nX-Forwarded-Proto: https\r\nX-Forwarded-For: 127.0.0.1"):
            got = self.raw(f"GET /api/v1/me HTTP/1.1\r\n{field}\r\nConnection: close\r\n\r\n".encode())
            self.assertNotIn(b"owned", got)
            self.assertNotIn(b"evil.example", got)

    def test_smuggled_requests_are_not_answered(self):
        """A front and the service must not disagree about where a request ends."""
        here = self.new_service(jobs=0)
        here.serve()
        inner = "GET /api/v1/openapi.yaml HTTP/1.1\r\nHost: x\r\n\r\n"
        for head in (f"Content-Length: {len(inner)}\r\nTransfer-Encoding: chunked", "Content-Length: 5\r\nContent-Length: 6",
                     "Transfer-Encoding: chunked, identity", "Transfer-Encoding: x", "Content-Length: +5", "Content-Length: 5, 6"):
            with self.subTest(head=head):
                got = self.raw(f"POST /api/v1/session HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n{head}\r\n\r\n"
                               f"0\r\n\r\n{inner}".encode())
                self.assertRegex(got, rb"^(HTTP/1\.1 4\d\d |$)")
                self.assertNotIn(b"openapi:", got)


if __name__ == "__main__":
    unittest.main()
