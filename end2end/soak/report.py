"""Numbers that are shown, and lists that have to be empty."""

# What is shown of a list that should be empty, and of a long line in it.
EXAMPLES = 20
WIDTH = 46


class Report:
    def __init__(self):
        self._lines: list[str] = []
        self._broken: list[str] = []

    def heading(self, text: str) -> None:
        self._lines += ["", text]

    def say(self, name: str, value) -> None:
        self._lines.append(f"  {name:<{WIDTH}} {value}")

    def none_of(self, name: str, found: list[str]) -> None:
        """Something of which there must be nothing."""
        self.say(name, f"{len(found)}{'  VIOLATED' if found else ''}")
        if not found:
            return
        self._broken.append(name)
        self._lines += [f"      {line}" for line in found[:EXAMPLES]]
        if len(found) > EXAMPLES:
            self._lines.append(f"      and {len(found) - EXAMPLES} more")

    @property
    def holds(self) -> bool:
        return not self._broken

    def text(self) -> str:
        verdict = "every invariant holds" if self.holds else f"VIOLATED: {'; '.join(self._broken)}"
        return "\n".join([*self._lines, "", verdict, ""])
