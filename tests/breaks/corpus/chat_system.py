"""Chat Completions: texts that changed in the system prompt."""

from .chat import desk
from .pair import Expect, Pair
from .prose_desk import LEAFLETS, MEMORY, RULES, SETTINGS, SUPPORT

VLLM = {"provider": "vllm"}


def _system(name: str, a: str, b: str, kind: str, offset: int, **more: str) -> Pair:
    """The next turn of a conversation whose system prompt changed."""
    expect = Expect(kind, "system", "messages[0].content", offset=offset, relation="follows")
    options = VLLM if more.get("model", "").startswith("Qwen") else {}
    return Pair(
        f"chat: {name}",
        "openai.chat",
        desk(5, system=a, **more),
        desk(9, system=b, **more),
        expect,
        options,
    )


PAIRS = (
    _system(
        "an ISO time at the end of the system prompt",
        f"{SUPPORT}\n\nCurrent time: 2026-11-23T09:14:07Z",
        f"{SUPPORT}\n\nCurrent time: 2026-11-23T09:15:41Z",
        "timestamp",
        5516,
    ),
    _system(
        "a date that changes only the day, in the first line",
        f"Today is 2026-11-23.\n\n{SUPPORT}",
        f"Today is 2026-11-24.\n\n{SUPPORT}",
        "timestamp",
        18,
        model="gpt-6-luna",
    ),
    _system(
        "epoch seconds",
        f"{SUPPORT}\n\nrequest_time={1795428847}",
        f"{SUPPORT}\n\nrequest_time={1795428941}",
        "timestamp",
        5507,
    ),
    _system(
        "a German date with its weekday",
        f"{SUPPORT}\n\nHeute ist Montag, der 23. November 2026.",
        f"{SUPPORT}\n\nHeute ist Dienstag, der 24. November 2026.",
        "timestamp",
        5497,
        model="gpt-4o-mini",
    ),
    _system(
        "a session id",
        f"Session 6f1c2f9e-52b4-4f0e-9d0c-3f1d2f6b7a11\n\n{SUPPORT}",
        f"Session c2a7be04-1f57-4c63-8a9e-90e1b6d4f3c8\n\n{SUPPORT}",
        "random_id",
        8,
    ),
    _system(
        "a ULID as trace id",
        f"{SUPPORT}\n\ntrace: 01JD9Q6V0C9Z3T6T3W1B8X4K2N",
        f"{SUPPORT}\n\ntrace: 01JD9QA4M7E1H5R0P2Y6S8V3GD",
        "random_id",
        5500,
        model="deepseek-flash",
    ),
    _system(
        "a counter, Step 2/10",
        f"{SUPPORT}\n\nStep 2/10",
        f"{SUPPORT}\n\nStep 3/10",
        "counter",
        5492,
    ),
    _system(
        "a counter that gains a digit",
        f"{SUPPORT}\n\nThis is turn 9 of at most 20.",
        f"{SUPPORT}\n\nThis is turn 10 of at most 20.",
        "counter",
        5500,
        model="gpt-5.6-luna",
    ),
    _system(
        "a space at the end of the system prompt",
        SUPPORT,
        f"{SUPPORT} ",
        "whitespace",
        5485,
    ),
    _system(
        "CRLF instead of LF",
        SUPPORT,
        SUPPORT.replace("\n", "\r\n"),
        "whitespace",
        97,
        model="gpt-6-luna",
    ),
    _system(
        "a non-breaking space in an amount",
        SUPPORT,
        SUPPORT.replace("up to 150 EUR", "up to 150\u00a0EUR"),
        "invisible",
        2200,
    ),
    _system(
        "NFD instead of NFC",
        f"{SUPPORT}\n\nThe customer lives in Z\u00fcrich.",
        f"{SUPPORT}\n\nThe customer lives in Zu\u0308rich.",
        "invisible",
        5510,
    ),
    _system(
        "a byte order mark before the system prompt",
        SUPPORT,
        f"\ufeff{SUPPORT}",
        "invisible",
        0,
    ),
    _system(
        "the memory in the middle of the system prompt grew",
        f"{SUPPORT}\n\n{MEMORY}\n\n{RULES}",
        f"{SUPPORT}\n\n{MEMORY}\n- Keeps a damaged lamp for 12.50 EUR.\n\n{RULES}",
        "text_edit",
        5598,
    ),
    _system(
        "one word of the policy was edited",
        SUPPORT,
        SUPPORT.replace("within 30 days of delivery", "within 14 days of delivery"),
        "text_edit",
        1407,
        model="gpt-5.6-luna",
    ),
    _system(
        "the same amount with a separator for thousands",
        f"{SUPPORT}\n\nNever refund more than 1000 EUR per customer and year.",
        f"{SUPPORT}\n\nNever refund more than 1,000 EUR per customer and year.",
        "text_edit",
        5511,
    ),
    _system(
        "curly quotes instead of straight ones",
        SUPPORT,
        SUPPORT.replace('"rest assured"', "\u201crest assured\u201d"),
        "text_edit",
        3776,
        model="Qwen/Qwen3-32B",
    ),
    _system(
        "retrieved documents in another order",
        "\n".join((SUPPORT, LEAFLETS[0], LEAFLETS[1], LEAFLETS[2])),
        "\n".join((SUPPORT, LEAFLETS[2], LEAFLETS[0], LEAFLETS[1])),
        "order",
        5513,
    ),
    _system(
        "house rules as a list in another order",
        f"{SUPPORT}\n\n{RULES}",
        f"{SUPPORT}\n\n## House rules\n- Offer parts before whole goods.\n"
        "- Thank the customer for photos.\n- Check stock before you offer a replacement.\n"
        "- Name the carrier when a parcel is late.",
        "order",
        5504,
        model="gpt-6-luna",
    ),
    _system(
        "settings as JSON with its keys in another order",
        f"{SUPPORT}\n\n{SETTINGS}",
        f'{SUPPORT}\n\n## Settings\n{{"currency": "EUR", "languages": ["de", "en", "fr"], '
        '"refund_limit": 150, "region": "eu-central"}',
        "key_order",
        5501,
    ),
)
