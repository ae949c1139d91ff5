"""USDT as it is known from outside: its address, its units and its interface."""

from __future__ import annotations

from devnet.address import from_base58
from devnet.contracts.abi import Interface, Method

USDT_CONTRACT = "TTaZC4WTxTYnaGvg5PrUjkLVivsWM8GFXn"
USDT_CONTRACT_ADDRESS = from_base58(USDT_CONTRACT)
USDT_DECIMALS = 6
USDT_MICRO = 10**USDT_DECIMALS

INTERFACE = Interface(
    """
    view name() -> (string)
    deprecate(address _upgradedAddress)
    approve(address _spender, uint256 _value) -> (bool)
    view deprecated() -> (bool)
    addBlackList(address _evilUser)
    view totalSupply() -> (uint256)
    transferFrom(address _from, address _to, uint256 _value) -> (bool)
    view upgradedAddress() -> (address)
    view decimals() -> (uint8)
    view maximumFee() -> (uint256)
    view _totalSupply() -> (uint256)
    unpause()
    view getBlackListStatus(address _maker) -> (bool)
    view paused() -> (bool)
    decreaseApproval(address _spender, uint256 _subtractedValue) -> (bool)
    view balanceOf(address who) -> (uint256)
    view calcFee(uint256 _value) -> (uint256)
    pause()
    view owner() -> (address)
    view symbol() -> (string)
    transfer(address _to, uint256 _value) -> (bool)
    view oldBalanceOf(address who) -> (uint256)
    setParams(uint256 newBasisPoints, uint256 newMaxFee)
    issue(uint256 amount)
    increaseApproval(address _spender, uint256 _addedValue) -> (bool)
    redeem(uint256 amount)
    view allowance(address _owner, address _spender) -> (uint256 remaining)
    view basisPointsRate() -> (uint256)
    view isBlackListed(address) -> (bool)
    removeBlackList(address _clearedUser)
    view MAX_UINT() -> (uint256)
    view MAX_SETTABLE_BASIS_POINTS() -> (uint256)
    view MAX_SETTABLE_FEE() -> (uint256)
    transferOwnership(address newOwner)
    destroyBlackFunds(address _blackListedUser)
    event DestroyedBlackFunds(address indexed _blackListedUser, uint256 _balance)
    event Issue(uint256 amount)
    event Redeem(uint256 amount)
    event Deprecate(address newAddress)
    event AddedBlackList(address indexed _user)
    event RemovedBlackList(address indexed _user)
    event Params(uint256 feeBasisPoints, uint256 maxFee)
    event Pause()
    event Unpause()
    event OwnershipTransferred(address indexed previousOwner, address indexed newOwner)
    event Approval(address indexed owner, address indexed spender, uint256 value)
    event Transfer(address indexed from, address indexed to, uint256 value)
    """
)
TRANSFER_TOPIC = INTERFACE.topic("Transfer")


def method_named(name: str) -> Method:
    """The method of that name."""
    return INTERFACE.named(name)
