"""The demo: one program, as it is and wrapped, in turn and in parallel, on one engine."""
