"""The Python client. `sluice_client.py` is all of it, made to be copied into other projects."""
