"""A small real OAuth 2 token server on loopback, over TLS with the lab's CA: the grants client-credentials and
refresh-token (RFC 6749, 4.4 and 6), and an introspection endpoint (RFC 7662) that a lab Dovecot asks about tokens.

    with TokenServer("/dev/shm/x/oauth", clients={"app": "app-secret"}, life=3) as oauth:
        oauth.url, oauth.ca, oauth.grant("anna")        # a refresh token of anna
        Dovecot(..., mechanisms=("plain", "xoauth2", "oauthbearer"), extra=oauth.dovecot(folder))

As a program it runs until its standard input closes: python3 lab/oauth.py FOLDER [LIFE]; prints URL, CA and a refresh
token of anna as JSON.
"""

import base64
import http.server
import json
import pathlib
import secrets
import ssl
import sys
import threading
import time
import urllib.parse

if __name__ == "__main__":
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from lab import tls  # noqa: E402


class TokenServer:
    """clients   id -> secret; an empty secret: a public client
    scopes    what may be asked for; "mail" is what the Dovecots of the lab want
    life      seconds that an access token lives
    rotate    each use of a refresh token gives another and ends the old one
    refuse    set to an error word ("invalid_grant") and every token request is refused with it
    asked     every token request: its form, as it came
    """

    def __init__(self, folder, clients: dict[str, str], *, scopes=("mail", "calendar"), life: float = 60,
                 rotate: bool = False):
        self.clients, self.scopes, self.life, self.rotate = clients, scopes, life, rotate
        self.refuse: str | None = None
        self.asked: list[dict[str, str]] = []
        self.issued: list[str] = []  # access tokens and refresh tokens: secrets of a test
        self._gate = threading.Lock()
        self._tokens: dict[str, tuple[str | None, str, float]] = {}  # access token -> user, scope, end
        self._grants: dict[str, str] = {}                            # refresh token -> user
        self.ca, certificate, key = tls.make_certificates(pathlib.Path(folder))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        owner = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_POST(self):
                length = int(self.headers.get("Content-Length", 0))
                form = dict(urllib.parse.parse_qsl(self.rfile.read(length).decode()))
                if self.path == "/token":
                    status, answer = owner._token(form, self.headers.get("Authorization"))
                elif self.path == "/introspect":
                    status, answer = 200, owner._introspect(form.get("token", ""))
                else:
                    status, answer = 404, {}
                body = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        class Listener(http.server.ThreadingHTTPServer):
            def handle_error(self, *_):
                pass  # a client that does not trust the certificate, or hangs up

        self._server = Listener(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        # The handshake is made by the thread that serves: a client that does not shake hands must hold up nobody else.
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self.port = self._server.server_address[1]
        self.url = f"https://localhost:{self.port}/token"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> "TokenServer":
        return self

    def __exit__(self, *_) -> None:
        self.stop()

    # -- use ----------------------------------------------------------------------------------------------------

    def grant(self, user: str) -> str:
        """A refresh token, as signing in would give one."""
        with self._gate:
            token = self._new("refresh")
            self._grants[token] = user
            return token

    def access_token(self, user: str, scope: str = "mail", life: float | None = None) -> str:
        """A token without asking for it, as another program would have got one."""
        with self._gate:
            return self._access(user, scope, life)

    def revoke(self, *, access: bool = True, refresh: bool = False) -> None:
        """Every token that was given so far is good no more."""
        with self._gate:
            if access:
                self._tokens.clear()
            if refresh:
                self._grants.clear()

    def dovecot(self, folder, *, any_user: bool = False, name: str = "oauth2.conf.ext") -> str:
        """Lines for a lab Dovecot (Options.extra) that asks this server about tokens; writes a file into `folder`.

        any_user: a token of an application, which names no user, is good for all of them
        """
        path = pathlib.Path(folder) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"introspection_mode = post\nintrospection_url = https://localhost:{self.port}/introspect\n"
                        "username_attribute = username\nactive_attribute = active\nactive_value = true\nscope = mail\n"
                        f"tls_ca_cert_file = {self.ca}\n" + ("username_format = any\n" if any_user else ""))
        path.chmod(0o644)
        return f"passdb {{\n  driver = oauth2\n  mechanisms = xoauth2 oauthbearer\n  args = {path}\n}}\n"

    # -- endpoints ----------------------------------------------------------------------------------------------

    def _new(self, kind: str) -> str:
        token = f"{kind}.{secrets.token_urlsafe(24)}"
        self.issued.append(token)
        return token

    def _access(self, user: str | None, scope: str, life: float | None = None) -> str:
        token = self._new("access")
        self._tokens[token] = (user, scope, time.monotonic() + (self.life if life is None else life))
        return token

    def _token(self, form: dict[str, str], authorization: str | None) -> tuple[int, dict]:
        with self._gate:
            self.asked.append(dict(form))
            if self.refuse:
                return 400, {"error": self.refuse, "error_description": "The lab refuses"}
            if authorization and authorization.startswith("Basic "):
                identity, _, word = base64.b64decode(authorization[6:]).decode().partition(":")
                form = {**form, "client_id": identity, "client_secret": word}
            known = self.clients.get(form.get("client_id", ""))
            if known is None or known != form.get("client_secret", ""):
                return 401, {"error": "invalid_client", "error_description": f"no client {form.get('client_id')}"}
            scope = form.get("scope", "mail")
            if any(one not in self.scopes for one in scope.split()):
                return 400, {"error": "invalid_scope"}
            answer = {"token_type": "Bearer", "expires_in": self.life, "scope": scope}
            if form.get("grant_type") == "client_credentials" and known:
                return 200, {**answer, "access_token": self._access(None, scope)}
            if form.get("grant_type") == "refresh_token":
                user = self._grants.get(form.get("refresh_token", ""))
                if user is None:
                    return 400, {"error": "invalid_grant", "error_description": "The refresh token is unknown"}
                if self.rotate:
                    del self._grants[form["refresh_token"]]
                    answer["refresh_token"] = self._new("refresh")
                    self._grants[answer["refresh_token"]] = user
                return 200, {**answer, "access_token": self._access(user, scope)}
            return 400, {"error": "unsupported_grant_type"}

    def _introspect(self, token: str) -> dict:
        with self._gate:
            user, scope, end = self._tokens.get(token, (None, "", 0.0))
            if time.monotonic() >= end:
                return {"active": False}
            return {"active": True, "username": user or "application", "scope": scope, "token_type": "Bearer"}


if __name__ == "__main__":
    with TokenServer(sys.argv[1], {"app": "app-secret"}, life=float(sys.argv[2]) if len(sys.argv) > 2 else 60) as server:
        print(json.dumps({"url": server.url, "ca": str(server.ca), "client": "app", "secret": "app-secret",
                          "refresh_token": server.grant("anna")}), flush=True)
        sys.stdin.read()
