"""Sample mailboxes, the same for the same seed, and the way into a server.

A sample is a list of folders; a folder knows its path, not its name on some server: `place()` makes that. A path's
component that begins with a backslash is a special use ("\\Sent") and gets the name that the server gives it.
"""

import collections.abc
import concurrent.futures
import dataclasses
import functools
import random

from lab.imap_client import Append, ImapError, connect, encode_name, quote
from lab.messages import Writer

_FALLBACK = {"\\Sent": "Sent", "\\Drafts": "Drafts", "\\Trash": "Trash", "\\Junk": "Junk", "\\Archive": "Archive"}
_FEW_FLAGS = ((), ("\\Seen",), ("\\Seen",), ("\\Seen",), ("\\Seen", "\\Answered"), ("\\Seen", "\\Flagged"),
              ("\\Seen", "$Label1"))


@dataclasses.dataclass
class Folder:
    """`messages` makes the folder's messages anew at each call, so that large samples need no memory."""

    path: tuple[str, ...]
    messages: collections.abc.Callable[[], collections.abc.Iterable[Append]] = tuple
    subscribed: bool = True


Sample = list[Folder]


def demo(seed: int = 1, *, scale: float = 1.0, huge_messages: bool = True) -> Sample:
    """About 400 messages and 63 MB of everything that is awkward; without huge_messages about 2 MB.

    scale multiplies the number of ordinary messages only: every oddity stays in.
    """
    writer = Writer(seed)

    def few(count: int) -> collections.abc.Callable[[], list[Append]]:
        own = writer.random.randrange(1 << 30)
        return lambda: Writer(own).ordinary(max(1, round(count * scale)))

    big = [25_000_000, 25_000_000, 8_000_000, 3_000_000] if huge_messages else [400_000]
    return [
        Folder(("INBOX",), few(160)),
        Folder(("\\Sent",), few(40)),
        Folder(("\\Drafts",), few(4)),
        Folder(("\\Trash",), few(8), subscribed=False),
        Folder(("\\Junk",), few(10), subscribed=False),
        Folder(("\\Archive",), few(25)),
        Folder(("\\Archive", "1994"), lambda: Writer(seed + 1).old(12)),
        Folder(("\\Archive", "2019", "Q3"), few(10), subscribed=False),
        # Kunden and Kunden/Nord are never made themselves: \Noselect parents.
        Folder(("Kunden", "Nord", "Alpha"), few(12)),
        Folder(("Kunden", "Nord", "Beta"), few(9), subscribed=False),
        Folder(("Été",), few(10)),
        Folder(("Été", "à la plage"), few(5), subscribed=False),
        Folder(("日本語", "メール"), few(12)),
        Folder(("📬 Post",), few(4)),
        Folder(('R&D "x" [a]',), few(6)),
        Folder(("100% sicher",), few(3)),
        Folder(("Stern*chen",), few(3), subscribed=False),
        Folder(("back\\slash",), few(2)),
        Folder(("zwei  Leerzeichen {7}",), few(2)),
        Folder(("Flags",), lambda: Writer(seed + 2).every_flag()),
        Folder(("Wiederholungen",), lambda: Writer(seed + 3).repeats()),
        Folder(("Seltsam",), lambda: Writer(seed + 4).oddities()),
        Folder(("Befehle",), lambda: Writer(seed + 5).commands()),
        Folder(("Große Anhänge",), lambda: Writer(seed + 6).sized(big)),
        Folder(("Leer",)),
        Folder(("Leer", "auch leer"), subscribed=False),
    ]


def small(seed: int = 1) -> Sample:
    """The demo's folders and oddities with few ordinary messages, about 1 MB: for tests."""
    return demo(seed, scale=0.3, huge_messages=False)


def bench(count: int = 5000, *, folders: int = 10, seed: int = 1) -> Sample:
    """`count` messages of 2 to 200 kB, 29 kB on average, in few distinct sets of flags."""
    # Stratified, so that every seed and every count has the same mean; 1.7 bends log-uniform down to 29 kB.
    sizes = [round(2000 * 100 ** (((i + 0.5) / count) ** 1.7)) for i in range(count)]
    random.Random(seed).shuffle(sizes)
    paths = [("INBOX",)] + [("Bench", f"Folder {number}") for number in range(1, folders)]
    return [Folder(path, functools.partial(_sized, seed * 1000 + index, sizes[index::folders]))
            for index, path in enumerate(paths)]


def _sized(seed: int, sizes: list[int]) -> collections.abc.Iterable[Append]:
    return Writer(seed).sized(sizes, _FEW_FLAGS)


def letters(count: int = 300, *, seed: int = 1) -> Sample:
    """`count` letters of 10 to 30 kB of plain text, 20 kB on average: what compresses well."""
    def messages() -> collections.abc.Iterable[Append]:
        writer = Writer(seed)
        return writer.letters(10_000 + (number * 7919) % 20_000 for number in range(count))

    return [Folder(("INBOX",), messages)]


def many(mailboxes: int = 1000, *, messages: int = 50, seed: int = 1) -> dict[str, Sample]:
    """user name -> a small mailbox (three folders, messages of 1 to 4 kB)."""
    def one(number: int) -> Sample:
        shares = {("INBOX",): messages - 2 * (messages // 4), ("\\Sent",): messages // 4, ("Work",): messages // 4}
        return [Folder(path, functools.partial(_small_messages, seed * 100_000 + number * 10 + index, share))
                for index, (path, share) in enumerate(shares.items())]

    return {f"user{number:05}": one(number) for number in range(mailboxes)}


def _small_messages(seed: int, count: int) -> collections.abc.Iterable[Append]:
    writer = Writer(seed)
    return writer.sized([writer.random.randrange(1000, 4000) for _ in range(count)], _FEW_FLAGS)


def huge(count: int = 200_000, *, seed: int = 1) -> Sample:
    """One folder of very many messages of 1 to 2 kB."""
    def messages() -> collections.abc.Iterable[Append]:
        writer = Writer(seed)
        return writer.sized((1000 + (number * 7919) % 1000 for number in range(count)), _FEW_FLAGS)

    return [Folder(("INBOX",)), Folder(("Huge",), messages)]


def large(count: int = 3, *, size: int = 100_000_000, seed: int = 1) -> Sample:
    """A few messages of about `size` octets each."""
    return [Folder(("INBOX",), lambda: Writer(seed).sized([size] * count))]


def place(server, path: tuple[str, ...]) -> str:
    """The full name that a path has on `server`."""
    if path == ("INBOX",):
        return "INBOX"
    names = {use: name for name, use in server.special_use.items()}
    parts = [names.get(part, _FALLBACK.get(part, part)).replace(server.delimiter, "_") for part in path]
    return server.prefix + server.delimiter.join(parts)


def fill(server, user: str, sample: Sample, password: str | None = None) -> int:
    """Creates the sample's folders, appends its messages, sets subscriptions; returns the number of messages.

    Raises ImapError when the server refuses a name; every name of the samples suits both of the lab's layouts.
    """
    names = {id(folder): place(server, folder.path) for folder in sample}
    with connect(server, user, password) as client:
        for folder in sample:
            _create(client, names[id(folder)])
        total = sum(client.append(names[id(folder)], folder.messages()) for folder in sample)
        client.run_all([b"SUBSCRIBE " + quote(encode_name(names[id(folder)])) for folder in sample
                        if folder.subscribed])
    return total


@dataclasses.dataclass
class Filled:
    """What a server took of a sample, and what not: (path, the server's words) and (path, number, the server's words)."""

    messages: int = 0
    names_refused: list[tuple[tuple[str, ...], str]] = dataclasses.field(default_factory=list)
    refused: list[tuple[tuple[str, ...], int, str]] = dataclasses.field(default_factory=list)


def fill_each(server, user: str, sample: Sample) -> Filled:
    """Like fill(), on a server that may refuse some of it: one APPEND a message, whatever is refused is named."""
    filled = Filled()
    with connect(server, user) as client:
        for folder in sample:
            name = place(server, folder.path)
            try:
                _create(client, name)
            except ImapError as error:
                filled.names_refused.append((folder.path, str(error).partition(" ")[2]))
                continue
            messages = list(folder.messages())
            refused = client.append_each(name, messages)
            filled.messages += len(messages) - len(refused)
            filled.refused += [(folder.path, number, why) for number, why in refused.items()]
            if folder.subscribed:
                client.command(b"SUBSCRIBE " + quote(encode_name(name)))
            # As any mail program has: Mailutils keeps no UIDVALIDITY before.
            client.command(b"SELECT " + quote(encode_name(name)))
    return filled


def _create(client, name: str) -> None:
    if name == "INBOX":
        return
    try:
        client.command(b"CREATE " + quote(encode_name(name)))
    except ImapError as error:
        if "[ALREADYEXISTS]" not in str(error).upper():
            raise


def fill_many(server, samples: dict[str, Sample]) -> int:
    """Makes the users (password: the name with -secret) and fills their mailboxes, a few at a time."""
    server.add_users({user: f"{user}-secret" for user in samples})
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        return sum(pool.map(lambda item: fill(server, *item), samples.items()))
