"""Targets that refuse messages as they are, in the words of those that do: the messages arrive in a repaired form, each
repair is named, nothing comes twice, and verify knows them again."""

import re
import unittest

import scripted
from test_poison import Rig

GOOD = [b"From: a@b.example\r\nMessage-ID: <%d@good.example>\r\nSubject: good\r\n\r\ntext\r\n" % n for n in range(20)]
HEAD = b"From: a@b.example\r\nMessage-ID: <odd@odd.example>\r\nSubject: odd\r\n"


def bare(data: bytes) -> bool:
    return bool(re.search(rb"\r(?!\n)|(?<!\r)\n", data))


def bad_header(data: bytes) -> bool:
    header = data.partition(b"\r\n\r\n")[0] + b"\r\n"
    return b"\r\n\r\n" not in data or any(
        not re.match(rb"[ \t]|[!-9;-~]+:", line) for line in header.splitlines(keepends=True))


class Cyrus(scripted.Target):
    """imap/message.c, message_copy_strict; the words are those of imap/imap_err.et (OI#215)."""

    def __init__(self, binary: bool = False):
        super().__init__(lambda data: None)
        self.binary = binary
        if binary:
            self.CAPABILITIES = self.CAPABILITIES + b" BINARY"

    def verdict(self, data: bytes, literal8: bool) -> str | None:
        if b"\0" in data and not (literal8 and self.binary):
            return "NO Message contains NUL characters"
        if bare(data):
            return "NO Message contains bare newlines"
        if bad_header(data):
            return "NO Message contains invalid header"
        return None


class Yahoo(scripted.Target):
    """IS#209."""

    def __init__(self):
        super().__init__(lambda data: None)

    def verdict(self, data: bytes, literal8: bool) -> str | None:
        if bare(data) or not data.endswith(b"\r\n"):
            return "BAD [CLIENTBUG] APPEND Additional arguments found after last expected argument"
        return None


class Exchange(scripted.Target):
    """IS#104: lines of about 9,900 octets and more."""

    def __init__(self):
        super().__init__(lambda data: None)

    def verdict(self, data: bytes, literal8: bool) -> str | None:
        if any(len(line) > 9_900 for line in data.split(b"\r\n")):
            return "BAD Command Argument Error. 11"
        return None


class Repairs(Rig):
    def bring(self, target: scripted.Target, odd: list[bytes], repairs: dict[str, int], *options: str) -> list[bytes]:
        """All arrive, with these repairs; answers the odd ones as the target has them."""
        messages = GOOD[:10] + odd + GOOD[10:]
        with scripted.Source(messages, {}) as source, target:
            copy = self.copy(source, target)
            run = copy.run(*options)
            self.assertEqual(run.report["repairs"], repairs, run.said())
            self.assertEqual(run.report["failures"], [], run.said())
            self.assertEqual(run.report["messages"]["copied"], len(messages), run.said())
            self.assertEqual(run.report["grade"], "investigate", run.said())
            self.assertEqual(run.code, 0, run.said())
            arrived = [stored.data for stored in target.folders[b"INBOX"]]
            self.assertEqual(sum(data in GOOD for data in arrived), len(GOOD), run.said())
            again = copy.run(*options)
            self.assertEqual(again.report["messages"]["copied"], 0, again.said())
            self.assertEqual(len(target.folders[b"INBOX"]), len(messages), again.said())
            proof = copy.run("--pass", "verify")
            self.assertEqual(proof.report["verify"]["altered_by_repair"], len(odd), proof.said())
            self.assertEqual(proof.report["verify"]["different"] + proof.report["verify"]["missing"], 0, proof.said())
            return [data for data in arrived if data not in GOOD]

    def test_cyrus_and_nul(self):
        self.assertEqual(self.bring(Cyrus(), [HEAD + b"\r\nx\0y\r\n"], {"nul": 1}), [HEAD + b"\r\nx\x80y\r\n"])

    def test_cyrus_and_bare_newlines(self):
        body = b"line\n" * 30_000  # large enough to stream
        self.assertEqual(self.bring(Cyrus(), [HEAD + b"\r\n" + body], {"line-endings": 1}),
                         [HEAD + b"\r\n" + body.replace(b"\n", b"\r\n")])

    def test_cyrus_and_headers(self):
        odd = [b"From anna Mon Jan  1 10:00:00 2001\r\n" + HEAD + b"\r\nx\r\n",
               HEAD + b"no colon\r\nDate: x\r\n\r\nx\r\n", b"only text\r\n", HEAD]
        self.assertEqual(sorted(self.bring(Cyrus(), odd, {"header": 4})),
                         sorted([b"X-From-Line: anna Mon Jan  1 10:00:00 2001\r\n" + HEAD + b"\r\nx\r\n",
                          HEAD + b"X-Broken-Header: no colon\r\nDate: x\r\n\r\nx\r\n",
                          b"X-Postferry-Repair: header\r\n\r\nonly text\r\n", HEAD + b"\r\n"]))

    def test_cyrus_and_everything(self):
        self.bring(Cyrus(), [b"From anna\n" + HEAD.replace(b"\r", b"") + b"no colon\nDate: x\n\na\0b\n"],
                   {"nul": 1, "line-endings": 1, "header": 1})

    def test_yahoo(self):
        self.assertEqual(self.bring(Yahoo(), [HEAD + b"\r\nx\ny\r\n"], {"line-endings": 1}),
                         [HEAD + b"\r\nx\r\ny\r\n"])

    def test_exchange(self):
        text = b"wort " * 3_000
        (arrived,) = self.bring(Exchange(), [HEAD + b"\r\n" + text + b"\r\n"], {"long-lines": 1})
        self.assertIn(b"Content-Transfer-Encoding: quoted-printable\r\n\r\nwort wort", arrived)
        self.assertEqual(arrived.partition(b"\r\n\r\n")[2].replace(b"=\r\n", b"").replace(b"=20", b" "), text + b"\r\n")

    def test_literal8(self):
        odd = HEAD + b"\r\nx\0y\r\n"
        with scripted.Source([odd], {}) as source, Cyrus(binary=True) as target:
            copy = self.copy(source, target)
            run = copy.run()
            self.assertEqual(run.report["repairs"], {"literal8": 1}, run.said())
            self.assertEqual([stored.data for stored in target.folders[b"INBOX"]], [odd], run.said())
            proof = copy.run("--pass", "verify")
            self.assertEqual(proof.report["verify"]["identical"], 1, proof.said())

    def test_without_repairs(self):
        odd = [HEAD + b"\r\nx\0y\r\n", HEAD + b"\r\nx\ny\r\n"]
        for options, failed in ((("--no-repair",), 2), (("--repair", "line-endings"), 1), (("--repair=all",), 0)):
            with self.subTest(options=options), scripted.Source(odd, {}) as source, Cyrus() as target:
                run = self.copy(source, target).run(*options)
                self.assertEqual(run.report["messages"]["failed"], failed, run.said())
                self.assertEqual(run.code, 1 if failed else 0, run.said())
                if failed == 2:
                    self.assertIn("contains NUL characters", run.report["failures"][0]["reason"])

    def test_what_cannot_be_cured(self):
        odd = HEAD + b"\r\nx\ny\r\n"
        with scripted.Source([odd, *GOOD], {}) as source, \
                scripted.Target(lambda data: "NO I do not like it" if b"<odd@" in data else None) as target:
            run = self.copy(source, target).run()
            self.assertEqual([failure["source_uid"] for failure in run.report["failures"]], [1], run.said())
            self.assertRegex(run.report["failures"][0]["reason"],
                             r"I do not like it.*Repairs tried in vain: line-endings")


if __name__ == "__main__":
    unittest.main()
