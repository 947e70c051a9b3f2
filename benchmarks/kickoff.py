"""A wrapped CrewAI kickoff beside a plain one, on a provider that answers at once.

The model's HTTP client is answered in this process, so that a kickoff is all framework and SDK:
against a real provider the same milliseconds are a smaller share.
"""

import os
import statistics
import tempfile
from typing import Any

from rows import Row, SkippedError, busy_ms
from transcripts import text_of

__all__ = ["kickoff"]

_ROUNDS = 40
_WARM = 5
# As the tests set them; CrewAI reads them when it is imported.
_ENVIRONMENT = {
    "ANTHROPIC_API_KEY": "dummy",
    "CREWAI_DISABLE_TELEMETRY": "true",
    "CREWAI_TESTING": "true",
    "CREWAI_TRACING_ENABLED": "false",
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "OPENAI_API_KEY": "dummy",
    "OTEL_SDK_DISABLED": "true",
}
_BRIEF = text_of(2500, 1)
_USAGE = {"prompt_tokens": 2000, "completion_tokens": 9, "total_tokens": 2009}


def kickoff() -> list[Row]:
    """Three agents, three tasks, two tool loops: five calls a kickoff, in turn with plain ones.

    A second plain crew tells how much two equal crews differ here. Processor time, because a busy
    machine does not stretch it.
    """
    os.environ.update(_ENVIRONMENT)
    os.environ.pop("OPENAI_BASE_URL", None)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["CREWAI_STORAGE_DIR"] = folder
        try:
            import crewai  # noqa: F401
        except ImportError:
            raise SkippedError(
                "CrewAI is not installed: pip install 'agentcache[crewai]'"
            ) from None
        return _compared()


def _compared() -> list[Row]:
    import agentcache

    crews = {name: _crew() for name in ("plain", "plain again", "wrapped", "wrapped, local count")}
    agentcache.wrap(crews["wrapped"], layout="fork")
    agentcache.wrap(crews["wrapped, local count"], layout="fork", preflight="local")
    spent: dict[str, list[float]] = {name: [] for name in crews}
    for number in range(_WARM + _ROUNDS):
        names = list(crews) if number % 2 else list(reversed(crews))
        for name in names:
            spent[name].append(busy_ms(crews[name].kickoff))
    _check(agentcache.report(crews["wrapped"]))
    ms = {name: statistics.median(times[_WARM:]) for name, times in spent.items()}
    return [
        Row("kickoff, plain again", ms["plain again"], "ms", "plain", ms["plain"]),
        *(
            Row(f"kickoff, {name}", ms[name], "ms", "plain", ms["plain"], 1.02, "ratio")
            for name in crews
            if name.startswith("wrapped")
        ),
    ]


def _check(report: Any) -> None:
    expected = 5 * (_WARM + _ROUNDS)
    if report.total.calls != expected or report.passed_through:
        raise RuntimeError(f"this benchmark measures something else: {report}")


def _crew() -> Any:
    import httpx
    import openai
    from crewai import LLM, Agent, Crew, Task
    from crewai.tools import tool

    @tool
    def search(query: str) -> str:
        """Search the records."""
        return f"record of {query}"

    llm: Any = LLM(model="openai/gpt-6-luna", api_key="dummy")
    transport = httpx.MockTransport(lambda asked: _answered(httpx, asked))
    # Not in client_params: CrewAI would give the same HTTP client to its asynchronous twin.
    client = httpx.Client(transport=transport)
    llm._client = openai.OpenAI(api_key="dummy", http_client=client)  # noqa: SLF001
    agents = [
        Agent(role=role, goal=goal, backstory="Thorough.", tools=tools, llm=llm)
        for role, goal, tools in (
            ("Researcher", "facts", [search]),
            ("Analyst", "prices", [search]),
            ("Writer", "one page", []),
        )
    ]
    tasks = [
        Task(description=f"{_BRIEF}\n\nDo your part.", expected_output="text", agent=agent)
        for agent in agents
    ]
    return Crew(agents=agents, tasks=tasks, verbose=False)


def _answered(httpx: Any, asked: Any) -> Any:
    """A tool call first, where there are tools and no result yet; then a text."""
    if asked.url.path.endswith("/input_tokens"):  # CrewAI >= 1.15.29 counts before it calls
        count = {"object": "response.input_tokens", "input_tokens": _USAGE["prompt_tokens"]}
        return httpx.Response(200, json=count)
    body = asked.content
    may = b'"tools":' in body and b'"tool_choice":"none"' not in body
    call = may and b'"role":"tool"' not in body
    function = {"name": "search", "arguments": '{"query": "price"}'}
    calls = [{"id": "call_1", "type": "function", "function": function}] if call else None
    message = {"role": "assistant", "content": None if call else "Done.", "tool_calls": calls}
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls" if call else "stop"}
    answer = {"id": "1", "object": "chat.completion", "created": 1, "model": "gpt-6-luna"}
    return httpx.Response(200, json={**answer, "choices": [choice], "usage": _USAGE})
