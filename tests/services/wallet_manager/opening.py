"""Opens keystore files with another library than the one that seals them."""

from typing import Any

from Crypto.Cipher import AES
from Crypto.Hash import keccak
from Crypto.Protocol.KDF import scrypt
from Crypto.Util import Counter


def opened_keystore(file: dict[str, Any], passphrase: bytes) -> bytes:
    """Return the private key of a keystore file, version 3; raises ValueError."""
    crypto, params = file["crypto"], file["crypto"]["kdfparams"]
    derived = scrypt(
        passphrase.decode(),
        bytes.fromhex(params["salt"]).decode("latin-1"),
        params["dklen"],
        N=params["n"],
        r=params["r"],
        p=params["p"],
    )
    assert isinstance(derived, bytes)
    ciphertext = bytes.fromhex(crypto["ciphertext"])
    mac = keccak.new(digest_bits=256, data=derived[16:32] + ciphertext).hexdigest()
    if (file["version"], mac) != (3, crypto["mac"]):
        raise ValueError("another passphrase, or it was altered")
    counter = Counter.new(128, initial_value=int(crypto["cipherparams"]["iv"], 16))
    return AES.new(derived[:16], AES.MODE_CTR, counter=counter).decrypt(ciphertext)
