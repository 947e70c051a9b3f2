"""SDK clients: the calls in which a fork is written, for any framework that calls an SDK."""
