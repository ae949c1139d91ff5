"""The energy of one transaction, counted operation by operation."""

from __future__ import annotations

from devnet.chain_pb2 import Transaction
from devnet.contracts import energy_cost
from devnet.contracts.energy_cost import FACTOR_UNIT, Code
from devnet.contracts.halt import AbortError, aborted

_FIRST_OPERATION = "PUSH1"
_FIRST_OPERATION_PRICE = 3


class Meter:
    """Energy spent by a call and all calls within it.

    Attributes:
        limit: At which the call breaks off.
        spent: So far, penalty included.
        penalty: The part of it that dynamic energy adds.
    """

    __slots__ = ("limit", "penalty", "spent")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.spent = 0
        self.penalty = 0

    def spend(self, operation: str, price: int, factor: int) -> None:
        """Pay for one operation.

        Raises:
            AbortError: There is not enough energy left.
        """
        total = energy_cost.of_operation(price, factor)
        if total > self.limit - self.spent:
            raise self._starved(operation, price, factor)
        self.spent += total
        self.penalty += total - price

    def spend_code(self, code: Code, factor: int) -> None:
        """Pay for a stretch of code.

        Raises:
            AbortError: There is not enough energy left for all of it.
        """
        energy = energy_cost.of_code(code, factor)
        if energy.total > self.limit - self.spent:
            self._spend_part(factor)
            raise self._starved(_FIRST_OPERATION, _FIRST_OPERATION_PRICE, factor)
        self.spent += energy.total
        self.penalty += energy.penalty

    def spend_flat(self, price: int) -> None:
        """Pay for the storing of new code.

        Raises:
            AbortError: There is not enough energy left.
        """
        left = self.limit - self.spent
        if price > left:
            raise aborted(
                Transaction.Result.OUT_OF_ENERGY,
                "Not enough energy for 'save just created contract code' executing: "
                f"needEnergy[{price}], leftEnergy[{left}];",
            )
        self.spent += price

    def exhaust(self) -> None:
        """Lose what is left."""
        self.spent = self.limit

    def _spend_part(self, factor: int) -> None:
        """Come as far into a stretch of code as the energy reaches."""
        total = energy_cost.of_operation(_FIRST_OPERATION_PRICE, factor)
        count = (self.limit - self.spent) // total
        self.spent += count * total
        self.penalty += count * (total - _FIRST_OPERATION_PRICE)

    def _starved(self, operation: str, price: int, factor: int) -> AbortError:
        penalty = energy_cost.of_operation(price, factor) - price
        extra = f" penaltyEnergy[{penalty}]," if factor > FACTOR_UNIT else ""
        return aborted(
            Transaction.Result.OUT_OF_ENERGY,
            f"Not enough energy for '{operation}' operation executing: "
            f"curInvokeEnergyLimit[{self.limit}], curOpEnergy[{price}],{extra} "
            f"usedEnergy[{self.spent}]",
        )
