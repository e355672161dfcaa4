"""The ingress: takes jobs over HTTP, answers 202 after one atomic write, sheds what is too much."""
