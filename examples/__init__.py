"""Agents and uses of the client, to read and copy; each is run by the tests."""
