"""Fork agents from one shared, frozen parent."""
