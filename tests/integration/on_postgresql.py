"""One PostgreSQL for a class of tests, and a fresh database for each of them."""

import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent.parent))

from lab.postgres import Postgres, Unavailable  # noqa: E402


class WithPostgresql:
    """To stand before a case among its bases: self.postgres. Where there is no PostgreSQL, the class is skipped."""

    postgres_options: dict = {}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        try:
            cls.postgres = Postgres(**cls.postgres_options)
        except Unavailable as why:
            raise unittest.SkipTest(str(why)) from why
        cls.addClassCleanup(cls.postgres.close)

    def fresh_database(self) -> str:
        """Its URL."""
        name = f"pf_{self._testMethodName}"[:63]
        self.postgres.sql(f"CREATE DATABASE {name}")
        return self.postgres.url(name)


class OnPostgresql(WithPostgresql):
    """The same, for cases whose service has its store at self.store_url."""

    def setUp(self):
        self.store_url = self.fresh_database()
        super().setUp()
