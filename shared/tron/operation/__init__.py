"""What a transaction is meant to do: the operations this project signs, and their anchor.

Values here cannot hold nonsense. They know nothing of the wire: ``messages`` writes them and
``parameters`` reads them, each on its own.
"""

from shared.tron.operation.base import (
    INT64_MAX,
    SUN_PER_TRX,
    InvalidOperation,
    ReferenceBlock,
    Resource,
    require_amount,
)
from shared.tron.operation.permissions import Permission, UpdatePermissions, WeightedKey
from shared.tron.operation.stakes import (
    CancelUnfreezes,
    ClaimRewards,
    DelegateResource,
    FreezeBalance,
    UndelegateResource,
    UnfreezeBalance,
    Votes,
    VoteWitnesses,
    WithdrawUnfrozen,
)
from shared.tron.operation.transfers import (
    SELECTOR_BYTES,
    ApproveTrc20,
    CallContract,
    CreateAccount,
    TransferTrc20,
    TransferTrx,
)

ContractCall = TransferTrc20 | ApproveTrc20 | CallContract
"""Operations that run a contract: they alone take energy and a fee limit."""

Operation = (
    TransferTrx
    | TransferTrc20
    | ApproveTrc20
    | CallContract
    | CreateAccount
    | FreezeBalance
    | UnfreezeBalance
    | CancelUnfreezes
    | WithdrawUnfrozen
    | DelegateResource
    | UndelegateResource
    | VoteWitnesses
    | ClaimRewards
    | UpdatePermissions
)
"""Everything this project signs."""

__all__ = [
    "INT64_MAX",
    "SELECTOR_BYTES",
    "SUN_PER_TRX",
    "ApproveTrc20",
    "CallContract",
    "CancelUnfreezes",
    "ClaimRewards",
    "ContractCall",
    "CreateAccount",
    "DelegateResource",
    "FreezeBalance",
    "InvalidOperation",
    "Operation",
    "Permission",
    "ReferenceBlock",
    "Resource",
    "TransferTrc20",
    "TransferTrx",
    "UndelegateResource",
    "UnfreezeBalance",
    "UpdatePermissions",
    "VoteWitnesses",
    "Votes",
    "WeightedKey",
    "WithdrawUnfrozen",
    "require_amount",
]
