"""The nature of a change of a text, in several languages, ids, orders and figures."""

import pytest

from agentcache.breaks.texts import change_of

CHANGES = {
    "timestamp": [
        ("Le 3 août, tout va bien.", "Le 1er décembre, tout va bien."),
        ("Aujourd'hui: 12 février 2026", "Aujourd'hui: 1er mars 2026"),
        ("Hoy es 3 de agosto de 2026.", "Hoy es 14 de diciembre de 2026."),
        ("Oggi è il 3 agosto 2026 alle 14:05", "Oggi è il 4 settembre 2026 alle 9:12"),
        ("Heute ist Dienstag, der 3. März", "Heute ist Mittwoch, der 4. März"),
        ("Heute: Montag, 3. August 2026, 14:05 Uhr", "Heute: Dienstag, 4. August 2026, 9:05 Uhr"),
        ("今日は2026年11月23日です", "今日は2026年11月24日です"),
        ("Сегодня 3 августа 2026", "Сегодня 14 декабря 2026"),
        ("Il est 14h05.", "Il est 14h37."),
        ("Dzisiaj jest 3 sierpnia 2026", "Dzisiaj jest 4 września 2026"),
        ("now=1763889247", "now=1763889312"),
        ("ts: 1763889247123", "ts: 1763889312991"),
        ("Mon, 23 Nov 2026 09:14:07 GMT", "Tue, 24 Nov 2026 10:00:00 GMT"),
        ("Mon Nov 23 15:01:20 UTC 2026", "Mon Nov 23 15:01:21 UTC 2026"),
        ("[23/Nov/2026:09:14:07 +0000]", "[23/Nov/2026:09:15:09 +0000]"),
        ("It is 3 PM.", "It is 4 PM."),
        ("Last seen 3 minutes ago", "Last seen 5 minutes ago"),
        ("as of Q3 2026", "as of Q4 2026"),
        ("generated 2026-11", "generated 2026-12"),
        ("built 20261123T091407Z", "built 20261123T101407Z"),
        ("date: 11/23/2026", "date: 11/24/2026"),
        ("date: 23.11.2026", "date: 24.11.2026"),
        ("Today is Sunday", "Today is Monday"),
        ("Aujourd'hui nous sommes lundi", "Aujourd'hui nous sommes mardi"),
        ("Hoje é 3 de março de 2026", "Hoje é 12 de outubro de 2026"),
        ("2026-11-23T09:14:07.123456+01:00 go", "2026-11-23T09:14:08.9+01:00 go"),
        ("오늘은 2026년 11월 23일", "오늘은 2026년 12월 1일"),
        ("Current time: 09:14:07.\nYour session: a1", "Current time: 10:14:07.\nYour session: b2"),
        ("Timestamp 2026-11-23 and then we said foo", "Timestamp 2026-11-24 and then we said bar"),
        ("Today is 3rd of March, 2026", "Today is 4th of March, 2026"),
        ("May 4, 2026", "June 14, 2026"),
        ("juillet 2026", "août 2026"),
        ("Vandaag is 3 maart 2026", "Vandaag is 12 oktober 2026"),
    ],
    "random_id": [
        (
            "session 018f6e2a-9c1b-7d43-b0e5-2f4a6c8e1d37",
            "session 018f6e2b-03ef-7a10-8c2d-915be7f40a66",
        ),
        ("trace=4bf92f3577b34da6a3ce929d0e0e4736", "trace=00f067aa0ba902b70af7651916cd43dd"),
        ("id 01HZX3T9Q4J8M2N5P7R0S6V1WB", "id 01HZX3VB2D6F8H1K4M7P9R3T5X"),
        ("req V1StGXR8_Z5jdHi6B-myT", "req FyPfQ1r3_kLmN8sT-2abZ"),
        ("run_id: run_8f3kz92ma1", "run_id: run_0q9xp37bd4"),
        ("call_Yw7bHk3nUe5SxD", "call_Jd4vNq9aRt6OgB"),
        ("commit 3f2a9bc", "commit 1234567"),
        ("session id: 48213", "session id: 90412"),
        ('<ctx id="841403">', '<ctx id="992011">'),
        ("nonce: x7Gh", "nonce: p2Kd"),
        ("token YWxhZGRpbjpvcGVuMg==", "token c2VzYW1lOm9wZW40Mw=="),
        ("key 0xdeadbeef", "key 0xcafebabe"),
        ("/tmp/tmpab3k9x2q/out.txt", "/tmp/tmpzz81mw0d/out.txt"),
        ("object at 0x7f3a2c1b9d30", "object at 0x7f3a2c4471e0"),
        ("Conversation 6650a1f2e4b0c3d5e6f70812", "Conversation 6650a1f9a3b1c4d2e5f60913"),
        ("msg_01XFDUDYJgAACzvnptvVoYEL", "msg_01AbcDEFghIJKlmnOPQrstUV"),
    ],
    "counter": [
        ("Step 3 of 10", "Step 4 of 10"),
        ("turn: 9", "turn: 10"),
        ("This is request no. 17.", "This is request no. 18."),
        ("Schritt 3 von 10", "Schritt 4 von 10"),
        ("You have 5 attempts left.", "You have 3 attempts left."),
        ("Remaining budget: 1200 tokens", "Remaining budget: 950 tokens"),
        ('{"step": 3, "goal": "x"}', '{"step": 4, "goal": "x"}'),
        ("Tokens used: 1,204", "Tokens used: 3,978"),
        ("(3/10)", "(4/10)"),
        ("[12]\nhello", "[13]\nhello"),
        ("iteration=7", "iteration=8"),
        ("Round 2:", "Round 3:"),
        ("Il reste 5: essai 2 sur 5", "Il reste 5: essai 3 sur 5"),
        ("Message #41", "Message #57"),
        ("You may send 12 more messages.", "You may send 11 more messages."),
        ("Call count: 4", "Call count: 9"),
        ("retry_count: 1", "retry_count: 2"),
        ("Paso 2 de 5", "Paso 3 de 5"),
    ],
    "text_edit": [
        ("Refunds up to 150 EUR are free.", "Refunds up to 200 EUR are free."),
        ("within 14 days", "within 15 days"),
        ("Use at most 5 tool calls.", "Use at most 8 tool calls."),
        ("part 7714 and", "part 7720 and"),
        ("See section 3.", "See section 4."),
        ("v1.2.10 of the API", "v1.3.11 of the API"),
        ("Use gpt-4.1-mini here", "Use claude-haiku-5-5 here"),
        ("The base weighs 6.5 kg", "The base weighs 7.5 kg"),
        ("You are helpful.", "You are kind."),
        ("Market 12 is big", "Market 13 is big"),
        ("Run 3 checks", "Run 4 checks"),
        ("Ask up to 3 questions", "Ask up to 5 questions"),
        ("Retry 3 times", "Retry 5 times"),
        ("discount of 10 %", "discount of 15 %"),
        ("in 24 h", "in 48 h"),
        ("port 8080", "port 9090"),
        ("Temperature 20 degrees", "Temperature 21 degrees"),
        ("up to 500 words", "up to 300 words"),
        ("model gpt-6-luna", "model gpt-6-sol"),
        ("Use the mon command", "Use the sun command"),
        ("IP 10.0.0.12", "IP 10.0.0.13"),
        ("There are 30 seats", "There are 31 seats"),
    ],
    "order": [
        ("Tools: a1, b2, c3.", "Tools: c3, a1, b2."),
        ("- red\n- blue\n- green", "- green\n- red\n- blue"),
        ("1. red\n2. blue", "1. blue\n2. red"),
        ("First do x. Then y. Stop!", "Then y. First do x. Stop!"),
        ('["a","b","c"]', '["c","a","b"]'),
        ("a | b | c", "b | a | c"),
        ("A、B、C", "C、A、B"),
        ("<d>one</d><d>two</d>", "<d>two</d><d>one</d>"),
        ("red, green and blue", "blue, red and green"),
    ],
    "key_order": [
        ('{"a":1,"b":2}', '{"b":2,"a":1}'),
        ('x: {"k": {"a": 1.50, "b": [1, 2]}} end', 'x: {"k": {"b": [1, 2], "a": 1.50}} end'),
        ('{"a":"ä","b":{"c":1,"d":2}}', '{"a":"ä","b":{"d":2,"c":1}}'),
    ],
    "whitespace": [
        ("a b", "a  b"),
        ("a\nb", "a\r\nb"),
        ("a", "a "),
        ("a\tb", "a  b"),
        ("a\n\nb", "a\nb"),
    ],
    "invisible": [
        ("ab", "a\u200bb"),
        ("a b", "a\xa0b"),
        ("\xe9", "e\u0301"),
        ("\ufeffa", "a"),
        ("a\xadb", "ab"),
        ("\u260e\ufe0f x", "\u260e x"),
    ],
}
CASES = [(kind, *sides) for kind, rows in CHANGES.items() for sides in rows]


@pytest.mark.parametrize(("kind", "before", "after"), CASES)
def test_a_change_is_told_by_itself_and_within_other_text(
    kind: str, before: str, after: str
) -> None:
    inside = [f"Rules:\n\n{text}\nMore text. 5 EUR." for text in (before, after)]

    for one, other in ((before, after), (after, before), inside):
        change = change_of(one, other)
        assert change is not None
        assert change.kind == kind


@pytest.mark.parametrize(("kind", "before", "after"), CASES)
def test_a_change_in_the_middle_of_a_long_text_is_the_same(
    kind: str, before: str, after: str
) -> None:
    rest = "The parcel was scanned on its way.\n" * 1000
    one, other = (f"{rest}\n{text}\n{rest}" for text in (before, after))
    change = change_of(one, other)
    assert change is not None
    assert change.kind == kind
