"""SQLAlchemy's own tests of dialects, run on ours by tests/test_pg_sqlalchemy_suite.py, in a process of their own."""
