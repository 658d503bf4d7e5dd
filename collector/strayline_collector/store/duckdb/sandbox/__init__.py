"""SQL from outside: what may be said (``allowed``), whether a statement keeps to it (``rules``), how
its texts are kept short (``guarded``), and running it (``run``).

DuckDB has no memory limit for one query, and a value is built without looking at timer or limit.
So a statement is parsed, checked against lists, rewritten from its own tree, and only that is run:
nothing is executed that was not looked at.
"""
