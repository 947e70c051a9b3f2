"""AutoGen: AgentChat in `agentchat`, the classic `autogen` namespace in `classic`."""
