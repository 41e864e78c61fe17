"""Writes the configuration of a private Dovecot 2.3."""

import dataclasses
import pathlib

# What Dovecot 2.3.19 announces after login; hiding a capability means announcing this list without it.
CAPABILITIES = (
    "IMAP4rev1 SASL-IR LOGIN-REFERRALS ID ENABLE IDLE SORT SORT=DISPLAY THREAD=REFERENCES THREAD=REFS "
    "THREAD=ORDEREDSUBJECT MULTIAPPEND URL-PARTIAL CATENATE UNSELECT CHILDREN NAMESPACE UIDPLUS LIST-EXTENDED "
    "I18NLEVEL=1 CONDSTORE QRESYNC ESEARCH ESORT SEARCHRES WITHIN CONTEXT=SEARCH LIST-STATUS BINARY MOVE "
    "SNIPPET=FUZZY PREVIEW=FUZZY PREVIEW STATUS=SIZE SAVEDATE LITERAL+ NOTIFY SPECIAL-USE"
).split()

ENGLISH = {"Drafts": "\\Drafts", "Sent": "\\Sent", "Trash": "\\Trash", "Junk": "\\Junk", "Archive": "\\Archive"}
GERMAN = {"Entwürfe": "\\Drafts", "Gesendete Objekte": "\\Sent", "Papierkorb": "\\Trash", "Spam": "\\Junk",
          "Archiv": "\\Archive"}


@dataclasses.dataclass
class Options:
    """How a private server differs from the plain one. The defaults suit tests."""

    storage: str = "maildir"                # maildir, mdbox, sdbox or mbox
    delimiter: str | None = None            # default: "." for maildir, "/" otherwise
    prefix: str | None = None               # default: "INBOX." for maildir, none otherwise
    mechanisms: tuple[str, ...] = ("plain", "login", "cram-md5", "scram-sha-1", "scram-sha-256")
    plaintext_without_tls: bool = True      # False: LOGINDISABLED until STARTTLS; host is 127.0.0.2 then
    starttls: bool = True                   # False: the server offers no TLS at all on either port
    certificate: str = "valid"              # see tls.CERTIFICATES
    special_use: dict[str, str] = dataclasses.field(default_factory=lambda: dict(ENGLISH))
    special_auto: str = "no"                # no, create or subscribe: whether those folders exist from the start
    fsync: str = "never"                    # never, optimized or always
    hide: tuple[str, ...] = ()              # capabilities that are not announced, e.g. ("LITERAL+", "UIDPLUS")
    quota: bool = False                     # the QUOTA extension; limits per user with Dovecot.set_quota()
    quota_bytes: int = 0                    # limit for every user, 0 = none; implies quota
    max_message_bytes: int = 0              # larger messages are refused on APPEND, 0 = no limit; implies quota
    fast_login: bool = False                # login processes are reused; the benchmarks use it for every tool
    idle_processes: int = 0                 # how many imap processes wait ready for a login
    pop3: bool = False                      # also on pop3_port (STLS) and pop3s_port
    lmtp: bool = False                      # delivers to its users on lmtp_port
    compress: bool = False                  # COMPRESS=DEFLATE
    extra: str = ""                         # appended to the configuration as it is


@dataclasses.dataclass
class Places:
    """Where one server lives."""

    folder: pathlib.Path
    run: pathlib.Path
    imap_port: int
    imaps_port: int
    addresses: tuple[str, ...]
    certificate: pathlib.Path
    key: pathlib.Path
    uid: int
    gid: int
    pop3_port: int = 0
    pop3s_port: int = 0
    lmtp_port: int = 0


def layout(options: Options) -> tuple[str, str]:
    """The delimiter and the personal namespace's prefix that `options` lead to."""
    maildir = options.storage == "maildir"
    delimiter = options.delimiter if options.delimiter is not None else ("." if maildir else "/")
    prefix = options.prefix if options.prefix is not None else ("INBOX." if maildir else "")
    return delimiter, prefix


def _namespace(options: Options) -> str:
    delimiter, prefix = layout(options)
    mailboxes = "".join(
        f'  mailbox "{name}" {{\n    special_use = {use}\n    auto = {options.special_auto}\n  }}\n'
        for name, use in options.special_use.items())
    return (f"namespace inbox {{\n  type = private\n  inbox = yes\n  separator = {delimiter}\n"
            f'  prefix = "{prefix}"\n{mailboxes}}}\n')


def _auth(options: Options, folder: pathlib.Path) -> str:
    # No "result_success = continue": CRAM-MD5 and SCRAM would then be checked against the user's own password.
    return f"""
auth_mechanisms = {' '.join(options.mechanisms)}
disable_plaintext_auth = {'no' if options.plaintext_without_tls else 'yes'}
auth_username_chars =
auth_failure_delay = 0
auth_master_user_separator = *
passdb {{
  driver = passwd-file
  args = scheme=PLAIN {folder}/master-users
  master = yes
}}
passdb {{
  driver = passwd-file
  args = scheme=PLAIN {folder}/users
}}
userdb {{
  driver = passwd-file
  args = {folder}/users
}}
"""


def _services(options: Options, places: Places) -> str:
    login = "service_count = 0\n  client_limit = 1000\n  process_min_avail = 2" if options.fast_login else (
        "service_count = 1")
    ssl_listener = f"port = {places.imaps_port}\n    ssl = yes" if options.starttls else "port = 0"
    return f"""
default_process_limit = 1000
default_client_limit = 8000
default_vsz_limit = 4G
mail_max_userip_connections = 0
service imap-login {{
  {login}
  process_limit = 1000
  inet_listener imap {{
    port = {places.imap_port}
  }}
  inet_listener imaps {{
    {ssl_listener}
  }}
}}
service imap {{
  process_limit = 1000
  process_min_avail = {options.idle_processes}
}}
{_pop3_services(options, places, login)}{_lmtp_service(options, places)}service anvil {{
  client_limit = 8000
  # Without this listener a wrong password costs its address up to 15 seconds at each later login.
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
"""


def _lmtp_service(options: Options, places: Places) -> str:
    if not options.lmtp:
        return ""
    return f"service lmtp {{\n  inet_listener lmtp {{\n    port = {places.lmtp_port}\n  }}\n}}\n"


def _pop3_services(options: Options, places: Places, login: str) -> str:
    if not options.pop3:
        return ""
    ssl_listener = f"port = {places.pop3s_port}\n    ssl = yes" if options.starttls else "port = 0"
    return f"""service pop3-login {{
  {login}
  process_limit = 1000
  inet_listener pop3 {{
    port = {places.pop3_port}
  }}
  inet_listener pop3s {{
    {ssl_listener}
  }}
}}
service pop3 {{
  process_limit = 1000
  process_min_avail = {options.idle_processes}
}}
"""


def _capability(options: Options) -> str:
    if not options.hide:
        return ""
    hidden = {name.upper() for name in options.hide}
    shown = [name for name in CAPABILITIES if name.upper() not in hidden]
    if options.quota:
        shown += [] if "QUOTA" in hidden else ["QUOTA"]
    return f"imap_capability = {' '.join(shown)}\n"


def _quota(options: Options) -> str:
    if not (options.quota or options.quota_bytes or options.max_message_bytes):
        return ""
    rules = "  quota = count:User quota\n  quota_vsizes = yes\n  quota_grace = 0\n"
    if options.quota_bytes:
        rules += f"  quota_rule = *:bytes={options.quota_bytes}\n"
    if options.max_message_bytes:
        rules += f"  quota_max_mail_size = {options.max_message_bytes}\n"
    return ("mail_plugins = $mail_plugins quota\n"
            "protocol imap {\n  mail_plugins = $mail_plugins imap_quota\n}\n"
            "protocol lmtp {\n  mail_plugins = $mail_plugins\n}\n"
            f"plugin {{\n{rules}}}\n")


def _compress(options: Options) -> str:
    if not options.compress:
        return ""
    return "mail_plugins = $mail_plugins zlib\nprotocol imap {\n  mail_plugins = $mail_plugins imap_zlib\n}\n"


def configuration(options: Options, places: Places) -> str:
    """The whole dovecot.conf."""
    if options.starttls:
        tls = f"ssl = yes\nssl_cert = <{places.certificate}\nssl_key = <{places.key}\n"
    else:
        tls = "ssl = no\n"
    return f"""# written by Postferry's lab
protocols = imap{' pop3' if options.pop3 else ''}{' lmtp' if options.lmtp else ''}
listen = {', '.join(places.addresses)}
base_dir = {places.run}
state_dir = {places.run}
log_path = {places.folder}/dovecot.log
default_internal_user = dovecot
default_login_user = dovenull
first_valid_uid = {places.uid}
last_valid_uid = {places.uid}
first_valid_gid = {places.gid}
last_valid_gid = {places.gid}
mail_location = {options.storage}:~/{options.storage}
mail_fsync = {options.fsync}
shutdown_clients = yes
verbose_proctitle = no
{tls}{_auth(options, places.folder)}{_services(options, places)}{_namespace(options)}{_capability(options)}\
{_quota(options)}{_compress(options)}{options.extra}
"""
