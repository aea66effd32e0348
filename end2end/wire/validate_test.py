"""The validator finds what is wrong, and only that."""

import copy

from scripted import Checks, equal
from validate import problem

checks = Checks("validator")
CACHED = {"cache_control": {"type": "ephemeral"}}
GOOD = {
    "model": "scripted",
    "max_tokens": 4096,
    "stream": True,
    "system": [{"type": "text", "text": "Be kind.", **CACHED}],
    "thinking": {"type": "enabled", "budget_tokens": 1024},
    "metadata": {"user_id": "somebody"},
    "tools": [
        {
            "name": "Bash",
            "description": "Runs a command.",
            "input_schema": {
                "type": "object",
                "properties": {"command": {"type": "string"}},
                "required": ["command"],
                "additionalProperties": False,
            },
        }
    ],
    "messages": [
        {"role": "user", "content": "hi"},
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "so", "signature": "signed"},
                {"type": "text", "text": "I look."},
                {"type": "tool_use", "id": "toolu_1", "name": "Bash", "input": {"command": "ls"}},
            ],
        },
        {
            "role": "user",
            "content": [
                {
                    "type": "tool_result",
                    "tool_use_id": "toolu_1",
                    "is_error": False,
                    "content": [
                        {"type": "text", "text": "a"},
                        {
                            "type": "image",
                            "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"},
                        },
                    ],
                    **CACHED,
                }
            ],
        },
    ],
}

WRONG = {
    "a missing field": lambda body: body.pop("max_tokens"),
    "a wrong type": lambda body: body.update(max_tokens="many"),
    "an unknown field": lambda body: body.update(colour="red"),
    "a sampling parameter": lambda body: body.update(temperature=1),
    "an unknown role": lambda body: body["messages"][0].update(role="tool"),
    "an unknown block": lambda body: body["messages"][1]["content"][1].update(type="song"),
    "an unknown field in a block": lambda body: body["messages"][1]["content"][2].update(index=2),
    "a call without input": lambda body: body["messages"][1]["content"][2].pop("input"),
    "a result without its call": lambda body: body["messages"][2]["content"][0].pop("tool_use_id"),
    "a wrong image type": lambda body: body["messages"][2]["content"][0]["content"][1]["source"].update(
        media_type="image/bmp"
    ),
    "an unknown field in a tool": lambda body: body["tools"][0].update(kind="shell"),
    "a tool without a schema": lambda body: body["tools"][0].pop("input_schema"),
    "an unknown field of the cache": lambda body: body["system"][0]["cache_control"].update(days=2),
}


def main():
    for with_beta in (False, True):
        kind = "beta" if with_beta else "plain"
        with checks.check(f"a good body passes ({kind} types)"):
            equal(problem(GOOD, with_beta), None)
        for name, change in WRONG.items():
            with checks.check(f"{name} is found ({kind} types)"):
                body = copy.deepcopy(GOOD)
                change(body)
                assert problem(body, with_beta), "nothing was found"
    with checks.check("a body that is not streamed passes"):
        equal(problem({**GOOD, "stream": False}), None)
    checks.end()


main()
