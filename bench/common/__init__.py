"""What every Python contender shares: the command line and the job body. Runs in the peers' own environments, so it
needs nothing but the standard library; this folder itself is on their path."""
