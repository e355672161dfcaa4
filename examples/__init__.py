"""Agents to read and copy; each is run by the tests."""
