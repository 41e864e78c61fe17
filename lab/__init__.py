"""Throw-away real mail servers and sample mailboxes for Postferry's demo, tests and benchmarks.

Import with the repository's root on sys.path: `from lab.dovecot import Dovecot, start_pair`.
Python's standard library only. Everything listens on loopback and dies with the process that started it.
"""
