"""Proof of identity: what a mailbox holds, whether two mailboxes hold the same, whether a store was touched."""

import calendar
import collections
import collections.abc
import dataclasses
import hashlib
import os
import pathlib
import typing

from lab.imap_client import connect, decode_name, encode_name, parse, quote

_MONTHS = {name: number for number, name in enumerate(
    b"Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(), start=1)}

_USES = (b"\\All", b"\\Archive", b"\\Drafts", b"\\Flagged", b"\\Junk", b"\\Sent", b"\\Trash", b"\\Important")


class Message(typing.NamedTuple):
    """One message as a server shows it."""

    sha256: str             # of BODY[]
    flags: tuple[str, ...]  # sorted, keywords included, \\Recent left out
    instant: int            # INTERNALDATE in seconds since 1970
    uid: int
    size: int


@dataclasses.dataclass
class Content:
    """A mailbox. Folder names are the server's own (with prefix and delimiter), decoded."""

    folders: dict[str, list[Message]] = dataclasses.field(default_factory=dict)
    no_select: set[str] = dataclasses.field(default_factory=set)
    subscribed: set[str] = dataclasses.field(default_factory=set)
    special_use: dict[str, str] = dataclasses.field(default_factory=dict)  # use, e.g. \\Sent -> folder

    def messages(self) -> int:
        return sum(len(messages) for messages in self.folders.values())


def tree_digest(maildir) -> str:
    """SHA-256 over the names and contents of every file in cur/ and new/ of a Maildir and its folders."""
    total = hashlib.sha256()
    for folder, folders, files in os.walk(os.fsencode(str(maildir))):
        folders.sort()
        if os.path.basename(folder) not in (b"cur", b"new"):
            continue
        for name in sorted(files):
            path = os.path.join(folder, name)
            with open(path, "rb") as file:
                content = hashlib.file_digest(file, "sha256").digest()
            total.update(os.path.relpath(path, os.fsencode(str(maildir))) + b"\0" + content)
    return total.hexdigest()


def instant(date: bytes) -> int:
    """An INTERNALDATE such as `17-Jul-1996 02:44:25 -0700` in seconds since 1970."""
    day, month, year = date[:11].strip().split(b"-")
    hour, minute, second = date[12:20].split(b":")
    sign = -1 if date[21:22] == b"-" else 1
    offset = sign * (int(date[22:24]) * 3600 + int(date[24:26]) * 60)
    return calendar.timegm((int(year), _MONTHS[month], int(day), int(hour), int(minute), int(second))) - offset


def _list(client, content: Content) -> None:
    able = client.capabilities()
    extended = b"LIST-EXTENDED" in able
    for parts in client.command(b'LIST (SUBSCRIBED) "" "*"' if extended else b'LSUB "" "*"'):
        name = _name(parts)
        # LSUB also names the parents of what is subscribed, as \Noselect.
        if name is not None and (extended or b"\\noselect" not in {word.lower() for word in parse(parts)[2]}):
            content.subscribed.add(name)
    uses = b'LIST (SPECIAL-USE) "" "*" RETURN (SPECIAL-USE)'
    for parts in client.command(uses) if extended and b"SPECIAL-USE" in able else ():
        response = parse(parts)
        for attribute in response[2]:
            if attribute in _USES:
                content.special_use[attribute.decode()] = decode_name(response[4])
    for parts in client.command(b'LIST "" "*"'):
        name = _name(parts)
        if name is None:
            continue
        attributes = {attribute.lower() for attribute in parse(parts)[2]}
        if attributes & {b"\\noselect", b"\\nonexistent"}:
            content.no_select.add(name)
        else:
            content.folders[name] = []


def _name(parts: list[bytes]) -> str | None:
    response = parse(parts)
    return decode_name(response[4]) if response[:2] in ([b"*", b"LIST"], [b"*", b"LSUB"]) else None


def _read_folder(client, folder: str, as_stored=None) -> list[Message]:
    client.command([b"EXAMINE ", quote(encode_name(folder))])
    messages = []
    # On an empty folder 1:* is an error for sequence numbers, but not for UIDs.
    for parts in client.responses(client.send(b"UID FETCH 1:* (UID FLAGS INTERNALDATE BODY.PEEK[])")):
        if b" FETCH (" not in parts[0] or len(parts) < 3:
            continue
        items = parse(parts)[3]
        fields = dict(zip(items[::2], items[1::2]))
        body = fields[b"BODY[]"]
        if as_stored:
            body = as_stored(body, fields[b"INTERNALDATE"].decode())
            if body is None:
                continue
        flags = tuple(sorted(flag.decode() for flag in fields[b"FLAGS"] if flag != b"\\Recent"))
        messages.append(Message(hashlib.sha256(body).hexdigest(), flags, instant(fields[b"INTERNALDATE"]),
                                int(fields[b"UID"]), len(body)))
    return messages


def mailbox_content(server, user: str, password: str | None = None, *, as_stored=None) -> Content:
    """Reads everything `user` has on `server` over IMAP without changing anything (EXAMINE, BODY.PEEK).

    as_stored: what some other server makes of a message, given its octets and INTERNALDATE; None: it refuses that one.
    """
    content = Content()
    with connect(server, user, password) as client:
        _list(client, content)
        for folder in content.folders:
            content.folders[folder] = _read_folder(client, folder, as_stored)
    return content


def default_map(source, target) -> collections.abc.Callable[[str], str]:
    """Where a folder of `source` is expected on `target`: prefix and delimiter translated, special-use folders
    under the target's names."""
    special = {name: use for name, use in source.special_use.items()}
    by_use = {use: name for name, use in target.special_use.items()}

    def translate(folder: str) -> str:
        if folder.upper() == "INBOX":
            return "INBOX"
        path = folder.removeprefix(source.prefix).split(source.delimiter)
        path[0] = by_use.get(special.get(path[0], ""), path[0])
        return target.prefix + target.delimiter.join(path)

    return translate


def compare(source: Content, target: Content, folder_map=None, *, flags: bool = True, dates: bool = True,
            subscriptions: bool = False, extra_folders: bool = True) -> list[str]:
    """Says in words what is missing, twice or different on the target; an empty list means identical.

    folder_map: function or dict from source names to target names; None: the same names.
    extra_folders: whether a non-empty target folder that no source folder maps to is a difference.
    """
    translate = folder_map.__getitem__ if isinstance(folder_map, dict) else (folder_map or (lambda name: name))
    expected: dict[str, list[Message]] = {}
    origins: dict[str, str] = {}
    for folder, messages in source.folders.items():
        expected.setdefault(translate(folder), []).extend(messages)
        origins[translate(folder)] = folder
    differences = []
    for folder, messages in expected.items():
        where = folder if origins[folder] == folder else f"{origins[folder]} -> {folder}"
        if folder not in target.folders:
            differences.append(f"{where}: the folder is missing ({len(messages)} messages)")
        else:
            differences += _compare_folder(where, messages, target.folders[folder], flags, dates)
    if extra_folders:
        differences += [f"{folder}: not expected, holds {len(messages)} messages"
                        for folder, messages in target.folders.items() if messages and folder not in expected]
    if subscriptions:
        wanted = {translate(folder) for folder in source.subscribed}
        differences += [f"{folder}: subscription is missing" for folder in sorted(wanted - target.subscribed)]
        differences += [f"{folder}: subscription is not expected" for folder in sorted(target.subscribed - wanted)]
    return differences


def _compare_folder(where: str, expected: list[Message], found: list[Message], flags: bool, dates: bool) -> list[str]:
    differences = []
    ours, theirs = _by_content(expected), _by_content(found)
    for sha256 in list(ours) + [sha256 for sha256 in theirs if sha256 not in ours]:
        left, right = ours.get(sha256, []), theirs.get(sha256, [])
        one = (left or right)[0]
        what = f"{where}: message {sha256[:12]} ({one.size} octets, " + (
            f"source UID {one.uid})" if left else f"target UID {one.uid})")
        if not right:
            differences.append(f"{what} is missing, {len(left)} time(s)")
        elif not left:
            differences.append(f"{what} was never on the source, found {len(right)} time(s)")
        elif len(left) != len(right):
            differences.append(f"{what} is there {len(right)} times, expected {len(left)}")
        else:
            differences += _compare_metadata(what, left, right, flags, dates)
    return differences


def _compare_metadata(what: str, left: list[Message], right: list[Message], flags: bool, dates: bool) -> list[str]:
    def seen(messages: list[Message]) -> collections.Counter:
        return collections.Counter((m.flags if flags else (), m.instant if dates else 0) for m in messages)

    missing, extra = seen(left) - seen(right), seen(right) - seen(left)
    if not missing:
        return []
    return [f"{what} has (flags, instant) {sorted(extra.elements())}, expected {sorted(missing.elements())}"]


def _by_content(messages: list[Message]) -> dict[str, list[Message]]:
    groups: dict[str, list[Message]] = {}
    for message in messages:
        groups.setdefault(message.sha256, []).append(message)
    return groups
