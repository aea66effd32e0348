"""Checks recorded request bodies against the official SDK's own request types.

    validate.py [--beta] bodies.jsonl...

Each line is the body of a request for a message. Unknown fields are errors as well, at any depth.
With --beta the types of the SDK's beta namespace are taken, for clients that send beta headers.
"""

import argparse
import json
import sys
import warnings
from collections.abc import Iterable, Mapping
from inspect import isclass
from types import ModuleType

from anthropic.types import message_create_params
from anthropic.types.beta import message_create_params as beta_message_create_params
from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.warnings import TypedDictExtraConfigWarning
from typing_extensions import is_typeddict

checks = {}


class UnknownField(Exception):
    """A field that the API would refuse."""


def forbid_unknown_fields():
    """The SDK's types ignore what they don't know; the API does not."""
    modules = [m for name, m in sys.modules.items() if name.startswith("anthropic.types")]
    for module in modules:
        for kind in vars(module).values():
            if isclass(kind) and is_typeddict(kind) and "__pydantic_config__" not in vars(kind):
                kind.__pydantic_config__ = {"extra": "forbid"}
    # A few say themselves that they take other fields, which wins.
    warnings.simplefilter("ignore", TypedDictExtraConfigWarning)


def adapter(params: ModuleType, streaming: bool) -> TypeAdapter:
    name = "MessageCreateParamsStreaming" if streaming else "MessageCreateParamsNonStreaming"
    if (params, name) not in checks:
        checks[params, name] = TypeAdapter(getattr(params, name))
    return checks[params, name]


def consume(value: object) -> None:
    """pydantic checks the items of an Iterable only when somebody asks for them."""
    if isinstance(value, BaseModel):
        # A block may also be one of a response, and those take any field.
        if value.model_extra:
            raise UnknownField(f"{type(value).__name__}: {', '.join(value.model_extra)}")
        consume(dict(value))
    elif isinstance(value, Mapping):
        for item in value.values():
            consume(item)
    elif isinstance(value, Iterable) and not isinstance(value, str | bytes):
        for item in value:
            consume(item)


def problem(body: dict, with_beta: bool = False) -> str | None:
    """What is wrong with a body, if anything."""
    params = beta_message_create_params if with_beta else message_create_params
    streaming = bool(body.get("stream"))
    try:
        consume(adapter(params, streaming).validate_python(body, strict=True))
    except (ValidationError, UnknownField) as error:
        return str(error)
    return None


def validate(path: str, with_beta: bool) -> tuple[int, int]:
    """How many bodies of a file are valid and invalid."""
    valid = invalid = 0
    with open(path, encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            wrong = problem(json.loads(line), with_beta)
            if wrong is None:
                valid += 1
                continue
            invalid += 1
            print(f"{path}:{number}: {wrong}", file=sys.stderr)
    return valid, invalid


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--beta", action="store_true")
    parser.add_argument("bodies", nargs="+")
    arguments = parser.parse_args()
    counts = [validate(path, arguments.beta) for path in arguments.bodies]
    valid, invalid = (sum(column) for column in zip(*counts))
    print(f"{valid} valid, {invalid} invalid")
    # Nothing recorded is a mistake of the recording, not a success.
    sys.exit(1 if invalid or not valid else 0)


forbid_unknown_fields()

if __name__ == "__main__":
    main()
