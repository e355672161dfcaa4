"""The ingress beside what one would write by hand: the same request, the same server, the same load."""
