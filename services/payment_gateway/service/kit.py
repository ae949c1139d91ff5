"""What making invoices and crediting them both work with."""

from dataclasses import dataclass

from services.payment_gateway.domain.invoices import InvoiceRules
from services.payment_gateway.service.announcer import Announcer, Bell
from services.payment_gateway.store import GatewayStore
from shared.clock import Clock


@dataclass(frozen=True, slots=True, kw_only=True)
class Kit:
    """The collaborators of whoever changes invoices."""

    store: GatewayStore
    announcer: Announcer
    bell: Bell
    clock: Clock
    rules: InvoiceRules
