"""What a proof found."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Check:
    """One comparison.

    Attributes:
        name: What was compared.
        value: What was found.
        bound: What it may be; None for what is only measured.
        passed: Whether it is within the bound.
        detail: What a reader needs to find the cause, such as a table and a row; often empty.
    """

    name: str
    value: float
    bound: float | None = None
    passed: bool = True
    detail: str = ""


@dataclass
class Verification:
    """All comparisons of a file with its model."""

    checks: list[Check] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """Whether every bounded comparison is within its bound."""
        return all(check.passed for check in self.checks)

    def measured(self, name: str, value: float, detail: str = "") -> None:
        """Adds a value without a bound."""
        self.checks.append(Check(name, float(value), detail=detail))

    def bounded(self, name: str, value: float, bound: float, detail: str = "") -> None:
        """Adds a value and its bound; no number is within none."""
        within = bool(value <= bound)
        self.checks.append(Check(name, float(value), float(bound), within, detail))

    def value(self, name: str) -> float:
        """The value of the comparison of that name."""
        return next(check.value for check in self.checks if check.name == name)
