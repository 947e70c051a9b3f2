"""AutoGen: AgentChat in `agentchat`, the classic `autogen` namespace in `classic`.

PYTEST_DONT_REWRITE: it holds no test's asserts, and our plugin is loaded before pytest's.
"""
