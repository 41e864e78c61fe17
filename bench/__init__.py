"""Benchmarks of Postferry against its peers and against the limit of the servers. Start with bench/run.py."""
