"""What is measured, against what, and how to measure it again: ``python -m benchmarks``.

A benchmark times the platform as it is used, beside a limit (the least that the same work can cost with PostgreSQL's
own programs, or a plain lower bound) and beside peers, in turns, on servers of its own. What does not belong here:
tests of what is right (``tests/``); a benchmark only refuses to time work that was not done.
"""
