"""`agentcache breaks`, `diff` and `report`: what recorded calls show, for people and for CI."""
