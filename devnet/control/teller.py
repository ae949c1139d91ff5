"""Signs and broadcasts transactions of the chain's own named accounts."""

from __future__ import annotations

from google.protobuf.message import Message

from devnet.api.builders import unsigned
from devnet.blocks import txid_of
from devnet.chain_pb2 import ProposalCreateContract, TransferContract, TriggerSmartContract
from devnet.contracts.forwarding import call_data
from devnet.contracts.usdt import USDT_CONTRACT_ADDRESS
from devnet.genesis import FAUCET
from devnet.keys import Key
from devnet.node import Node
from devnet.resources import SUN_PER_TRX

FEE_LIMIT_SUN = 100 * SUN_PER_TRX


class Teller:
    """Real transactions through the node's front door.

    Every method returns a txid and raises RejectedError if the node does not take it.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._last_timestamp_ms = 0

    def send_trx(self, sender: Key, recipient: bytes, amount_sun: int) -> str:
        """Transfer TRX."""
        transfer = TransferContract(
            owner_address=sender.address, to_address=recipient, amount=amount_sun
        )
        return self._send(sender, transfer)

    def send_usdt(self, sender: Key, recipient: bytes, amount_micro: int) -> str:
        """Transfer USDT."""
        data = call_data("transfer(address,uint256)", recipient, amount_micro)
        return self.call(sender, USDT_CONTRACT_ADDRESS, data)

    def black_list(self, address: bytes, *, listed: bool) -> str:
        """Put an address on the contract's black list, or take it off."""
        signature = "addBlackList(address)" if listed else "removeBlackList(address)"
        return self.call(FAUCET.key, USDT_CONTRACT_ADDRESS, call_data(signature, address))

    def pause(self, *, paused: bool) -> str:
        """Stop the contract's transfers, or let them go on."""
        signature = "pause()" if paused else "unpause()"
        return self.call(FAUCET.key, USDT_CONTRACT_ADDRESS, call_data(signature))

    def set_parameters(self, values: dict[int, int]) -> str:
        """Change chain parameters by their proposal numbers."""
        proposal = ProposalCreateContract(owner_address=FAUCET.key.address, parameters=values)
        return self._send(FAUCET.key, proposal)

    def call(self, caller: Key, contract: bytes, data: bytes, *, value_sun: int = 0) -> str:
        """Call a contract, and send TRX along."""
        trigger = TriggerSmartContract(
            owner_address=caller.address,
            contract_address=contract,
            call_value=value_sun,
            data=data,
        )
        return self._send(caller, trigger, fee_limit_sun=FEE_LIMIT_SUN)

    def _send(self, signer: Key, message: Message, *, fee_limit_sun: int = 0) -> str:
        """The timestamp is never used twice, so that two equal orders are two transactions."""
        transaction = unsigned(self._node, message, fee_limit_sun=fee_limit_sun)
        raw = transaction.raw_data
        self._last_timestamp_ms = max(raw.timestamp, self._last_timestamp_ms + 1)
        raw.timestamp = self._last_timestamp_ms
        transaction.signature.append(signer.sign(txid_of(transaction)))
        return self._node.broadcast(transaction).txid.hex()
