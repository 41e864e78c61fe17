"""Rows of docs/quirks.md with the whole program: what odd servers said in the cited threads, and what must come of it."""

import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

import rig
import scripted
from scripted import Folders, Gone, Source, Stored, Target


def message(number: int, text: str = "") -> bytes:
    return (f"From: a@b.example\r\nMessage-ID: <{number}@quirks.example>\r\nSubject: number {number}\r\n\r\n"
            f"{text or 'line'} {number}\r\n").encode()


MESSAGES = [message(number) for number in range(1, 9)]


class Quirks(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="pf-quirks-", dir=rig.TEMPORARY))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)

    def copy(self, source: Folders, target: Folders) -> rig.Copy:
        return rig.Copy(tempfile.mkdtemp(dir=self.folder), source.port, target.port, "anna")

    def command(self, command: str, source: int, target: int, *options: str, query: str = "") -> tuple[int, str, dict]:
        """Exit code, words and report of another command than copy."""
        report = self.folder / f"{command}.json"
        run = subprocess.run(
            [rig.program(), command, f"imap://anna@127.0.0.1:{source}?tls=off&auth=plain{query}",
             f"imap://anna@127.0.0.1:{target}?tls=off&auth=plain", "--state", str(self.folder / "ledger.db"),
             "--report", str(report), *options], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60,
            env={**os.environ, "POSTFERRY_SOURCE_PASSWORD": "x", "POSTFERRY_TARGET_PASSWORD": "x"}, check=False)
        return (run.returncode, run.stdout + run.stderr,
                json.loads(report.read_text())["mailboxes"][0] if report.exists() else {})

    def bodies(self, target: Folders, folder: bytes = b"INBOX") -> list[bytes]:
        return sorted(stored.data for stored in target.folders[folder])

    def assert_whole(self, run: rig.Run, target: Folders, messages: list[bytes], folder: bytes = b"INBOX") -> None:
        self.assertEqual(run.code, 0, run.said())
        self.assertEqual(run.report["messages"]["residual"], 0, run.said())
        self.assertEqual(self.bodies(target, folder), sorted(messages), run.said())


class OddMessages(Quirks):
    def fetch(self, fault: str, reason: str, uids: tuple[int, ...] = (3, 6)) -> None:
        """Some messages are bad; the others arrive, and these when the source has mended."""
        faults = dict.fromkeys(uids, fault)
        with Source(MESSAGES, faults) as source, Target(lambda data: None) as target:
            copy = self.copy(source, target)
            run = copy.run()
            good = [data for uid, data in enumerate(MESSAGES, 1) if uid not in faults]
            self.assertEqual(run.code, 1, run.said())
            self.assertEqual(self.bodies(target), sorted(good), run.said())
            self.assertEqual(run.report["messages"]["failed"], len(uids), run.said())
            self.assertEqual(run.report["messages"]["residual"], 0, run.said())
            for failure in run.report["failures"]:
                self.assertRegex(failure["reason"], reason)
            faults.clear()
            self.assert_whole(copy.run(), target, MESSAGES)

    def test_ok_without_a_body_is_a_failure_and_no_empty_message(self):  # empty-body: IS#79, IS#469, MK#1615
        for value in ("NIL", "{0}\r\n", '""', ""):
            with self.subTest(value=value):
                self.fetch(f"empty {value}", "said OK but sent no message")
        self.fetch("nothing", "said OK but sent no message")

    def test_octets_too_many_reach_no_other_message(self):  # short-literal: MK#954
        self.fetch("surplus", "connection was lost|cannot be trusted|does not speak IMAP", (3,))

    def test_halves_where_the_whole_is_kept_back(self):  # empty-body, by other means
        class Halves(Source):
            def fetch_one(self, line, number, stored, arguments):
                if b"BODY.PEEK[TEXT]" not in arguments:
                    return super().fetch_one(line, number, stored, arguments)
                header, text = stored.data.split(b"\r\n\r\n", 1)
                header += b"\r\n\r\n"
                line.send(b"* %d FETCH (UID %d FLAGS () INTERNALDATE NIL BODY[HEADER] {%d}\r\n" % (
                    number, stored.uid, len(header)), header, b" BODY[TEXT] {%d}\r\n" % len(text), text, b")\r\n")

        with Halves(MESSAGES, {3: "nothing"}) as source, Target(lambda data: None) as target:
            self.assert_whole(self.copy(source, target).run(), target, MESSAGES)

    def test_exchanges_notice_is_a_failure(self):  # exchange: OI#62
        notice = (b"From: Microsoft Exchange Server 2010\r\n"
                  b"Subject: Retrieval using the IMAP4 protocol failed for the following\r\n message: 20004\r\n\r\n"
                  b"The server couldn't retrieve the following message:\r\n")

        class Exchange(Source):
            GREETING = b"The Microsoft Exchange IMAP4 service is ready."

        with Exchange([*MESSAGES, notice], {}) as source, Target(lambda data: None) as target:
            run = self.copy(source, target).run()
            self.assertEqual(run.code, 1, run.said())
            self.assertEqual(self.bodies(target), sorted(MESSAGES), run.said())
            self.assertIn("in place of the message", run.report["failures"][0]["reason"])
            code, words, _ = self.command("copy", source.port, target.port, query="&quirks=-exchange")
            self.assertEqual(code, 0, words)
            self.assertEqual(self.bodies(target), sorted([*MESSAGES, notice]), words)

    def test_flagged_is_set_by_the_run_behind_a_kill(self):  # exchange: APPEND loses it, and STORE is yet to come
        class Marked(Source):
            def fetch_one(self, line, number, stored, arguments):
                if b"HEADER.FIELDS" in arguments:
                    return super().fetch_one(line, number, stored, arguments)
                line.send(b"* %d FETCH (UID %d FLAGS (%s) INTERNALDATE NIL" % (
                    number, stored.uid, b"\\Seen" if number % 2 else b"\\Flagged"))
                if b"BODY.PEEK[]" in arguments:
                    line.send(b" BODY[] {%d}\r\n" % len(stored.data), stored.data)
                line.send(b")\r\n")

        class Exchange(Target):
            GREETING = b"The Microsoft Exchange IMAP4 service is ready."
            kill = None

            def on_store(self, line, tag, arguments):
                if self.kill:
                    self.kill()
                    raise Gone
                stores.append(scripted.uid_set(arguments.split(b" ")[0]))
                line.send(tag, b" OK done\r\n")

        stores = []
        with Marked(MESSAGES, {}) as source, Exchange(lambda data: None) as target:
            copy = self.copy(source, target)
            run = copy.run_killed_by(lambda kill: setattr(target, "kill", kill))
            self.assertEqual((run.code, stores), (-9, []), run.said())
            target.kill = None
            run = copy.run()
            self.assert_whole(run, target, MESSAGES)
            self.assertEqual((run.report["messages"]["present"], stores), (len(MESSAGES), [{2, 4, 6, 8}]), run.said())
            self.assertEqual((copy.run().code, len(stores)), (0, 1))

    def test_uws_notes_are_skipped_by_name(self):  # uw
        notes = (b"From: Mail System Internal Data <MAILER-DAEMON@mail.example.org>\r\n"
                 b"Subject: DON'T DELETE THIS MESSAGE -- FOLDER INTERNAL DATA\r\n"
                 b"X-IMAP: 1132742306 0000000001\r\nStatus: RO\r\n\r\nThis text is part of the internal format\r\n")

        class Uw(Source):
            GREETING = b"mail.example.edu IMAP4rev1 2007f.404 at Mon, 3 Mar 2014 08:00:00 -0800 (PST)"

        with Uw([notes, *MESSAGES], {}) as source, Target(lambda data: None) as target:
            run = self.copy(source, target).run()
            self.assert_whole(run, target, MESSAGES)
            self.assertEqual(run.report["messages"]["skipped"], 1, run.said())
            self.assertIn("uw-internal-data", json.dumps(run.report))

    def test_dates_that_are_none(self):  # internaldate: MK#1236, IS#96
        for date in (b"NIL", b'"00-Jan-0000 00:00:00 +0000"', b'"1-Feb-2003 4:05:06 +0100"'):
            class Dates(Source):
                def fetch_one(self, line, number, stored, arguments):
                    if b"BODY.PEEK[]" not in arguments:
                        return super().fetch_one(line, number, stored, arguments)
                    line.send(b"* %d FETCH (UID %d FLAGS () INTERNALDATE %s BODY[] {%d}\r\n" % (
                        number, stored.uid, date, len(stored.data)), stored.data, b")\r\n")

            dated = message(1).replace(b"Subject", b"Date: Tue, 3 Mar 2015 10:00:00 +0200\r\nSubject")
            with self.subTest(date=date), Dates([dated], {}) as source, Dated() as target:
                self.assert_whole(self.copy(source, target).run(), target, [dated])
                wanted = b'" 1-Feb-2003 04:05:06 +0100"' if date.startswith(b'"1-') else b'" 3-Mar-2015 10:00:00 +0200"'
                self.assertIn(wanted, target.lines[0])


class Dated(Target):
    """Remembers the lines of its APPENDs; refuses those that `refuse(line)` names, before or after the message."""

    def __init__(self, refuse=None, after: bool = False):
        super().__init__(lambda data: None)
        self.lines: list[bytes] = []
        self.refuse, self.after = refuse or (lambda line: None), after

    def on_append(self, line, tag, arguments):
        self.lines.append(arguments)
        verdict = self.refuse(arguments)
        if not verdict:
            return super().on_append(line, tag, arguments)
        found = scripted.LITERAL.search(arguments + b"\r\n")
        if self.after or found[2]:
            if not found[2]:
                line.send(b"+ go ahead\r\n")
            line.octets(int(found[1]))
            line.line()
        line.send(tag, b" ", verdict, b"\r\n")


class OneByOne(Dated):
    CAPABILITIES = b"IMAP4rev1 AUTH=PLAIN SASL-IR UIDPLUS"


class Refusals(Quirks):
    def flagged(self, flags: bytes, refuse, after: bool) -> tuple[rig.Run, Dated]:
        class Flagged(Source):
            def fetch_one(self, line, number, stored, arguments):
                if b"BODY.PEEK[]" not in arguments:
                    return super().fetch_one(line, number, stored, arguments)
                line.send(b"* %d FETCH (UID %d FLAGS (%s) INTERNALDATE NIL BODY[] {%d}\r\n" % (
                    number, stored.uid, flags if number == 3 else b"\\Seen", len(stored.data)), stored.data, b")\r\n")

        with Flagged(MESSAGES, {}) as source, OneByOne(refuse, after) as target:
            run = self.copy(source, target).run()
            self.assert_whole(run, target, MESSAGES)
            return run, target

    def test_keywords_that_are_refused_are_left_out_and_named(self):  # flags-refused: IS#498, IS#387
        for verdict, keyword, after in ((b"NO APPEND failed", b"TEST:FLAG211", True),
                                        (b"BAD Invalid system flag", b"$Forwarded", False),
                                        (b"BAD Command Argument Error. 11", b"example.com", False)):
            with self.subTest(verdict=verdict):
                run, target = self.flagged(b"\\Seen " + keyword,
                                           lambda line, k=keyword, v=verdict: v if k in line else None, after)
                self.assertIn(keyword.decode(), json.dumps(run.report), "the report names the keyword")
                self.assertEqual(sum(keyword in line for line in target.lines), 1, "it is tried once")
                self.assertTrue(all(b"\\Seen" in line for line in target.lines), target.lines)

    def test_keywords_that_no_grammar_allows_are_never_written(self):  # odd-flags
        run, target = self.flagged(rb"\Seen a]b \INDEXED \X-EON-HAS-ATTACHMENT", lambda line: None, False)
        self.assertTrue(all(b"INDEXED" not in line and b"a]b" not in line for line in target.lines), target.lines)

    def test_a_date_that_is_refused_is_left_out(self):  # odd-dates-refused
        class Old(Source):
            def fetch_one(self, line, number, stored, arguments):
                line.send(b'* %d FETCH (UID %d FLAGS () INTERNALDATE "01-Jan-1970 00:00:00 +0000" BODY[] {%d}\r\n' % (
                    number, stored.uid, len(stored.data)), stored.data, b")\r\n")

        with Old(MESSAGES, {}) as source, \
                OneByOne(lambda line: b"BAD invalid date" if b"1970" in line else None) as target:
            self.assert_whole(self.copy(source, target).run(), target, MESSAGES)

    def test_a_virus_fails_its_message_alone(self):  # refused-content: "Message refused because it contains a virus"
        for verdict in ("NO Message refused because it contains a virus", "BAD Unable to parse message"):
            with self.subTest(verdict=verdict), Source(MESSAGES, {}) as source, OneByOne() as target:
                target.judge = lambda data, v=verdict: v if data == MESSAGES[4] else None
                run = self.copy(source, target).run()
                self.assertEqual(run.code, 1, run.said())
                self.assertEqual(run.report["messages"]["failed"], 1, run.said())
                self.assertEqual(len(self.bodies(target)), len(MESSAGES) - 1, run.said())

    def test_a_full_mailbox_is_known_by_its_words_and_stops_the_copy(self):  # quota
        for verdict in ("NO Server Unavailable. 15", "NO APPEND The 1500 MB storage limit has been reached",
                        "NO [OVERQUOTA] Quota exceeded"):
            with self.subTest(verdict=verdict), Source(MESSAGES, {}) as source, Target(lambda data, v=verdict: v) as target:
                run = self.copy(source, target).run()
                self.assertEqual(run.code, 1, run.said())
                self.assertEqual(run.report["messages"]["failed"], 0, "one reason, not one for each: " + run.said())
                self.assertIn("Make room on the target", run.text)

    def test_ok_to_an_append_that_stores_nothing_is_found(self):  # proton
        class Forgets(Target):
            CAPABILITIES = b"IMAP4rev1 AUTH=PLAIN SASL-IR"

            def on_append(self, line, tag, arguments):
                super().on_append(line, tag, arguments)
                self.folders[b"INBOX"] = [stored for stored in self.folders[b"INBOX"] if stored.data != MESSAGES[2]]

        with Source(MESSAGES, {}) as source, Forgets(lambda data: None) as target:
            self.copy(source, target).run()
            code, words, report = self.command("verify", source.port, target.port)
            self.assertEqual(code, 1, words)
            self.assertNotEqual(report["grade"], "perfect", words)

    def test_numbers_of_appenduid_swapped(self):  # davmail
        class Swaps(Target):
            CAPABILITIES = b"IMAP4rev1 AUTH=PLAIN SASL-IR UIDPLUS"

            def on_append(self, line, tag, arguments):
                found = scripted.LITERAL.search(arguments + b"\r\n")
                line.send(b"+ OK\r\n")
                data = line.octets(int(found[1]))
                line.line()
                uid = self.next_uid(b"INBOX")
                self.folders[b"INBOX"].append(Stored(uid, data))
                line.send(tag, b" OK [APPENDUID %d %d] APPEND completed\r\n" % (uid, self.VALIDITY))

        with Source(MESSAGES, {}) as source, Swaps(lambda data: None) as target:
            copy = self.copy(source, target)
            self.assert_whole(copy.run(), target, MESSAGES)
            self.assert_whole(copy.run(), target, MESSAGES)


class Validity(Quirks):
    def test_none_and_zero_bring_nothing_twice(self):  # uid-validity-absent: MK#150, ME#52
        for code in (b"", b"* OK [UIDVALIDITY 0] x\r\n"):
            class Without(Source):
                def on_select(self, line, tag, arguments):
                    name = self.names(arguments)[0]
                    line.selected = name
                    line.send(b"* %d EXISTS\r\n" % len(self.folders[name]), code, tag, b" OK done\r\n")

                on_examine = on_select

                def on_status(self, line, tag, arguments):
                    line.send(b'* STATUS "INBOX" (MESSAGES %d)\r\n' % len(self.folders[b"INBOX"]), tag, b" OK\r\n")

            with self.subTest(code=code), Without(MESSAGES, {}) as source, Target(lambda data: None) as target:
                copy = self.copy(source, target)
                self.assert_whole(copy.run(), target, MESSAGES)
                source.folders[b"INBOX"].append(Stored(99, message(99)))
                self.assert_whole(copy.run(), target, [*MESSAGES, message(99)])
                self.assert_whole(copy.run(), target, [*MESSAGES, message(99)])


class Names(Quirks):
    def tree(self, lines: dict[bytes, list[bytes]], attributes: dict[bytes, bytes] | None = None,
             delimiter: bytes = b"/", base: type = Source) -> Folders:
        class Tree(base):
            def on_list(self, line, tag, _):
                line.send(*(b'* LIST (%s) "%s" "%s"\r\n' % ((attributes or {}).get(name, b""), delimiter, name)
                            for name in self.folders), tag, b" OK done\r\n")

        source = Tree([], {})
        source.folders = {name: [Stored(uid, data) for uid, data in enumerate(messages, 1)]
                          for name, messages in lines.items()}
        return source

    def test_a_prefix_that_is_hidden(self):  # hidden-prefix
        with self.tree({b"INBOX": MESSAGES[:1], b"INBOX.Work": MESSAGES[1:2]}, delimiter=b".") as source, \
                Target(lambda data: None) as target:
            self.assertEqual(self.copy(source, target).run().code, 0)
            self.assertEqual(set(target.folders), {b"INBOX", b"Work"})
            self.assertEqual(self.bodies(target, b"Work"), MESSAGES[1:2])

    def test_names_that_read_the_same_lose_nothing(self):  # equal-names: IS#324
        with self.tree({b"INBOX": [], b"Top": [], b"INBOX/x": MESSAGES[:1], b"Inbox/x": MESSAGES[1:2]}) as source, \
                Target(lambda data: None) as target:
            run = self.copy(source, target).run()
            self.assertEqual(run.code, 1, run.said())
            self.assertIn("give one of them another name with --map", run.text)
            code, words, _ = self.command("copy", source.port, target.port, "--map", "Inbox/x=>Inbox x")
            self.assertEqual(code, 0, words)
            self.assertEqual(self.bodies(target, b"INBOX/x") + self.bodies(target, b"Inbox x"), MESSAGES[:2])

    def test_names_that_differ_in_case_on_exchange(self):  # exchange: Trash and trash would merge
        class Exchange(Target):
            GREETING = b"The Microsoft Exchange IMAP4 service is ready."

        with self.tree({b"INBOX": [], b"Old": MESSAGES[:1], b"old": MESSAGES[1:2], b"ends ": MESSAGES[2:3]}) as source, \
                Exchange(lambda data: None) as target:
            code, words, _ = self.command("plan", source.port, target.port)
            self.assertIn("differ only in case", words)
            run = self.copy(source, target).run()
            self.assertEqual(run.code, 1, run.said())
            self.assertNotIn(b"Old", target.folders)
            self.assertNotIn(b"ends ", target.folders, "Exchange 2007 closes the socket at a trailing blank")
            self.assertEqual(len(target.folders), 2, target.folders.keys())

    def test_odd_names_arrive(self):  # folder-names
        names = {b"INBOX": [], b"a///b": MESSAGES[:1], b"100% *": MESSAGES[1:2], b"R&D": MESSAGES[2:3],
                 b"&AGE-": MESSAGES[3:4], b"a": MESSAGES[4:5]}
        with self.tree(names) as source, Target(lambda data: None) as target:
            run = self.copy(source, target).run()
            self.assertEqual(run.report["messages"]["residual"], 0, run.said())
            found = sorted(stored.data for folder in target.folders.values() for stored in folder)
            self.assertEqual(found, sorted(MESSAGES[:5]), run.said())

    def test_a_name_that_is_too_long_fails_its_folder_alone(self):  # folder-names: limits of 40 to 255 characters
        class Short(Target):
            def on_create(self, line, tag, arguments):
                if len(arguments) > 40:
                    line.send(tag, b" NO Mailbox name is too long\r\n")
                    return
                super().on_create(line, tag, arguments)

            def on_select(self, line, tag, arguments):
                if self.names(arguments)[0] not in self.folders:
                    line.send(tag, b" NO [NONEXISTENT] no such folder\r\n")
                    return
                super().on_select(line, tag, arguments)

        long = b"n" * 60
        with self.tree({b"INBOX": MESSAGES[:1], long: MESSAGES[1:2], b"x": MESSAGES[2:3]}) as source, \
                Short(lambda data: None) as target:
            run = self.copy(source, target).run()
            self.assertEqual(run.code, 1, run.said())
            self.assertIn("too long", run.text)
            self.assertEqual(self.bodies(target, b"x"), MESSAGES[2:3])
            code, words, _ = self.command("copy", source.port, target.port, "--map", "n+=>n")
            self.assertEqual(code, 0, words)
            self.assertEqual(self.bodies(target, b"n"), MESSAGES[1:2])

    def test_gmail(self):  # gmail
        class Gmail(Source):
            CAPABILITIES = b"IMAP4rev1 AUTH=PLAIN SASL-IR X-GM-EXT-1 UIDPLUS"
            GREETING = b"Gimap ready for requests from 127.0.0.1"
            labels = {1: rb'"\\Inbox"', 2: rb'"\\Sent" "\\Important"', 3: b'"Work"', 4: b""}

            def on_fetch(self, line, tag, arguments):
                if b"X-GM-LABELS" not in arguments:
                    return super().on_fetch(line, tag, arguments)
                for number, stored in enumerate(self.folders[line.selected], 1):
                    line.send(b"* %d FETCH (X-GM-LABELS (%s) UID %d)\r\n" % (number, self.labels[stored.uid], stored.uid))
                line.send(tag, b" OK Success\r\n")

        folders = {b"[Gmail]/All Mail": MESSAGES[:4], b"INBOX": MESSAGES[:1], b"[Gmail]/Sent Mail": MESSAGES[1:2],
                   b"Work": MESSAGES[2:3], b"[Gmail]/Chats": MESSAGES[4:5]}
        attributes = {b"[Gmail]/All Mail": b"\\All", b"[Gmail]/Sent Mail": b"\\Sent"}
        with self.tree(folders, attributes, base=Gmail) as source, Target(lambda data: None) as target:
            copy = self.copy(source, target)
            for _ in range(2):
                run = copy.run()
                self.assertEqual(run.code, 0, run.said())
                self.assertEqual(run.report["messages"]["residual"], 0, run.said())
                self.assertEqual(self.bodies(target, b"[Gmail]/All Mail"), MESSAGES[3:4], run.said())
                self.assertEqual(self.bodies(target, b"INBOX"), MESSAGES[:1])
                self.assertEqual(self.bodies(target, b"Work"), MESSAGES[2:3])
                self.assertNotIn(b"[Gmail]/Chats", target.folders)
                self.assertIn("3 messages by gmail-all-mail", run.text)
                self.assertEqual(run.report["messages"]["skipped"], 4, "the chat is left out: " + run.said())
            source.folders[b"INBOX"].clear()
            source.labels[1] = b""  # archived: now it is in All Mail only
            run = copy.run()
            self.assertEqual(self.bodies(target, b"[Gmail]/All Mail"), sorted([MESSAGES[0], MESSAGES[3]]), run.said())
            code, words, report = self.command("verify", source.port, target.port)
            self.assertEqual(report["messages"]["residual"], 0, words)
            del code


class Servers(Quirks):
    def test_163_serves_nobody_who_has_not_said_his_name(self):  # netease: ME#25
        class Netease(Source):
            CAPABILITIES = b"IMAP4rev1 AUTH=PLAIN SASL-IR XLIST ID"
            GREETING = b"Coremail System IMap Server Ready(163com[726cd87d])"

            def on_id(self, line, tag, _):
                line.named = True
                line.send(b'* ID ("name" "Coremail Imap")\r\n', tag, b" OK ID completed\r\n")

            def on_xlist(self, line, tag, _):
                line.send(b'* XLIST (\\Inbox) "/" "INBOX"\r\n', tag, b" OK\r\n")

            def on_examine(self, line, tag, arguments):
                if not getattr(line, "named", False):
                    line.send(tag, b" NO EXAMINE Unsafe Login. Please contact kefu@188.com for help\r\n")
                    return
                super().on_select(line, tag, arguments)

        with Netease(MESSAGES, {}) as source, Target(lambda data: None) as target:
            self.assert_whole(self.copy(source, target).run(), target, MESSAGES)

    def test_exchange_2003_closes_at_namespace(self):  # exchange-2003: MK#1512
        class Exchange2003(Source):
            CAPABILITIES = b"IMAP4 IMAP4rev1 IDLE LOGIN-REFERRALS NAMESPACE LITERAL+ UIDPLUS CHILDREN AUTH=PLAIN SASL-IR"
            GREETING = b"Microsoft Exchange Server 2003 IMAP4rev1 server version 6.5.7638.1 (mx.example.org) ready."

            def on_namespace(self, line, tag, arguments):
                raise Gone

        with Exchange2003(MESSAGES, {}) as source, Target(lambda data: None) as target:
            self.assert_whole(self.copy(source, target).run(), target, MESSAGES)

    def test_a_connection_too_many_is_no_wrong_password(self):  # too-many-connections
        class Crowded(Source):
            refusals = 1

            def on_authenticate(self, line, tag, arguments):
                if self.refusals > 0:
                    self.refusals -= 1
                    line.send(tag, b" NO [UNAVAILABLE] Maximum number of connections from user+IP exceeded\r\n")
                    return
                super().on_authenticate(line, tag, arguments)

        with Crowded(MESSAGES, {}) as source, Target(lambda data: None) as target:
            run = self.copy(source, target).run()
            self.assert_whole(run, target, MESSAGES)

    def test_connected_but_not_authenticated_is_a_wrong_password(self):  # connected-only
        class Exchange(Source):
            def on_lsub(self, line, tag, _):
                line.send(tag, b" BAD User is authenticated but not connected.\r\n")

            on_list = on_lsub

        with Exchange(MESSAGES, {}) as source, Target(lambda data: None) as target:
            run = self.copy(source, target).run()
            self.assertEqual(run.code, 3, run.said())
            self.assertEqual(source.logins, 1, run.said())

    def test_check_names_the_quirks_and_they_can_be_overruled(self):
        class Yahoo(Source):
            CAPABILITIES = b"IMAP4rev1 AUTH=PLAIN SASL-IR ID XYMHIGHESTMODSEQ"
            GREETING = b"IMAP4rev1 Hello"

        with Yahoo(MESSAGES, {}) as source, Target(lambda data: None) as target:
            code, words, report = self.command("check", source.port, target.port)
            self.assertEqual([quirk["name"] for quirk in report["source"]["quirks"]], ["yahoo"], words)
            self.assertIn("quirk yahoo (it offers XYMHIGHESTMODSEQ)", words)
            code, words, report = self.command("check", source.port, target.port, query="&quirks=-yahoo,one-by-one")
            self.assertEqual([quirk["name"] for quirk in report["source"]["quirks"]], ["one-by-one"], words)
            code, words, _ = self.command("check", source.port, target.port, query="&quirks=yahu")
            self.assertEqual(code, 2, words)
            self.assertRegex(words, r"no quirk \"yahu\".*gmail.*short-commands")


class Hostile(Quirks):
    def hostile(self, answer, reason: str) -> None:
        class Endless(Source):
            def on_list(self, line, tag, _):
                answer(line, tag)

        with Endless(MESSAGES, {}) as source, Target(lambda data: None) as target:
            code, words, _ = self.command("check", source.port, target.port)
            self.assertNotEqual(code, 0, words)
            self.assertRegex(words, reason)

    def test_a_line_without_end(self):  # hostile-sizes
        def endless(line, tag):
            line.send(b"* LIST () NIL ")
            for _ in range(12):
                line.send(b"x" * (1 << 20))
        self.hostile(endless, "longer than 8388608 octets")

    def test_a_literal_as_large_as_the_world(self):
        self.hostile(lambda line, tag: line.send(b"* LIST () NIL {99999999999999999999}\r\n"), "a literal of")
        self.hostile(lambda line, tag: line.send(b"* LIST () NIL {2000000000}\r\n"), "a literal of 2000000000 octets")


if __name__ == "__main__":
    unittest.main()
