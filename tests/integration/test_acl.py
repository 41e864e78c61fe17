"""Access rights of folders (RFC 4314) between two Dovecots that keep them."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from support import *  # noqa: E402,F403

# acl_user: the lab's own client logs in as a master user, who would else be nobody's owner.
def keeps_rights(*more: str) -> dict:
    settings = "".join(f"  {line}\n" for line in ("acl = vfile", "acl_user = %u", *more))
    return {"extra": "mail_plugins = $mail_plugins acl\nprotocol imap {\n  mail_plugins = $mail_plugins imap_acl\n}\n"
                     f"plugin {{\n{settings}}}\n"}


def setUpModule():
    need_servers()


class Shared(PairCase):
    source = keeps_rights("acl_anyone = allow")

    def setUp(self):
        super().setUp()
        self.fill(self.old, folder("INBOX", [mail("m1")]), folder("Team", [mail("m2")]), folder("Own", [mail("m3")]))
        name = self.old.prefix.encode() + b"Team"
        self.do(self.old, b"SETACL " + name + b" otto lrs", b"SETACL " + name + b' "anyone" l')

    def rights(self, server, name: str) -> str:
        return " ".join(str(line) for line in self.do(server, b"GETACL " + server.prefix.encode() + name.encode()))


class Kept(Shared):
    target = keeps_rights()

    def test_without_being_asked_they_are_named(self):
        self.assertIn("access rights (ACL) are not copied: Team; --acl copies them", self.postferry("plan").text)
        run = self.copy()
        self.assertIn("access rights (ACL) are not copied: Team; --acl copies them", run.text)
        self.assertNotIn("otto", self.rights(self.new, "Team"))

    def test_asked_for_they_are_copied_and_the_owner_keeps_his_own(self):
        run = self.copy("--acl")
        self.assertRegex(self.rights(self.new, "Team"), "otto.* lrs")
        self.assertNotIn("otto", self.rights(self.new, "Own"))
        # The target of this test lets nobody grant rights to everybody.
        self.assertRegex(run.text, "access rights that were not copied: l for \"anyone\" to .*Team: .*anyone")
        # What the target's owner adds stays; what the source adds follows.
        self.do(self.new, b"SETACL " + self.new.prefix.encode() + b"Team paula lr")
        self.do(self.old, b"SETACL " + self.old.prefix.encode() + b"Team otto lrswi")
        self.copy("--acl")
        granted = self.rights(self.new, "Team")
        self.assertRegex(granted, "otto.* [lrswi]{5}")
        self.assertIn("paula", granted)


class NotKept(Shared):
    def test_a_target_without_them_is_named(self):
        run = self.copy("--acl")
        self.assertIn("access rights that were not copied: the target keeps no access rights (ACL)", run.text)
        self.assert_same()


if __name__ == "__main__":
    unittest.main()
