"""Reads the devnet's chain block by block, to compare it with what the services promised."""

from collections import Counter
from typing import Any, Self

import httpx

from services.stack import Stack
from shared.tron.abi import decode_transfer_log
from shared.tron.address import address_from_hex


class ChainReader:
    """Everything that ever moved, straight from the node."""

    def __init__(self, stack: Stack) -> None:
        self._node = f"http://127.0.0.1:{stack.ports.node}"
        self._control = stack.control_url
        self._client = httpx.Client(timeout=30, trust_env=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def head(self) -> int:
        """Return the head's height."""
        block = self._post("/wallet/getnowblock", {})
        return int(block["block_header"]["raw_data"].get("number", 0))

    def pending(self) -> int:
        """Return how many transactions wait for a block."""
        return int(self._post("/wallet/getpendingsize", {}).get("pendingSize", 0))

    def usdt_transfers(self, since: int) -> Counter[tuple[str, str, int]]:
        """Count (sender, recipient, micro-USDT) of every Transfer log from a height on."""
        counted: Counter[tuple[str, str, int]] = Counter()
        for height in range(max(since, 1), self.head() + 1):
            for receipt in self._post("/wallet/gettransactioninfobyblocknum", {"num": height}):
                for log in receipt.get("log", []):
                    found = decode_transfer_log(log["address"], log["topics"], log.get("data", ""))
                    if found is not None:
                        counted[found.sender, found.recipient, found.value] += 1
        return counted

    def trx_transfers(self, since: int) -> Counter[tuple[str, str, int]]:
        """Count (sender, recipient, sun) of every TRX transfer from a height on."""
        counted: Counter[tuple[str, str, int]] = Counter()
        for height in range(max(since, 1), self.head() + 1):
            block = self._post("/wallet/getblockbynum", {"num": height})
            for transaction in block.get("transactions", []):
                contract = transaction["raw_data"]["contract"][0]
                if contract["type"] == "TransferContract":
                    value = contract["parameter"]["value"]
                    pair = (
                        address_from_hex(value["owner_address"]),
                        address_from_hex(value["to_address"]),
                    )
                    counted[*pair, int(value["amount"])] += 1
        return counted

    def control(self, method: str, path: str, body: object = None) -> Any:
        """Ask or tell the devnet's control port."""
        answer = self._client.request(method, self._control + path, json=body)
        answer.raise_for_status()
        return answer.json()

    def _post(self, path: str, body: object) -> Any:
        answer = self._client.post(self._node + path, json=body)
        answer.raise_for_status()
        return answer.json()
