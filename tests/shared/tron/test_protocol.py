import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]

BUILD_BOTH = """
import warnings
warnings.simplefilter("error")
{imports}
ours = protocol_pb2.TransferContract(owner_address=b"a", to_address=b"b", amount=3)
theirs = tron_pb2.TransferContract.FromString(ours.SerializeToString())
assert theirs.amount == 3 and theirs.DESCRIPTOR.full_name == "protocol.TransferContract"
assert ours.DESCRIPTOR.full_name == "lucid.tron.TransferContract"
"""
OURS = "from shared.tron import protocol_pb2"
THEIRS = "from tronpy.proto import tron_pb2"


def run(code: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("imports", [f"{OURS}\n{THEIRS}", f"{THEIRS}\n{OURS}"])
def test_our_messages_live_beside_another_copy_in_either_order(imports: str) -> None:
    run(BUILD_BOTH.format(imports=imports))


def test_reading_back_shares_no_code_with_building() -> None:
    run(
        "import sys, shared.tron.decoding\n"
        "shared_code = {'shared.tron.protocol_pb2', 'shared.tron.transaction', 'shared.tron.abi'}\n"
        "assert not shared_code & set(sys.modules), shared_code & set(sys.modules)\n"
        "assert 'google.protobuf' not in sys.modules\n"
    )


def test_the_generated_module_is_the_one_of_the_protocol_file(tmp_path: Path) -> None:
    source = "shared/tron/protocol.proto"
    options = ["-I.", f"--python_out={tmp_path}", f"--pyi_out={tmp_path}"]
    subprocess.run(
        [sys.executable, "-m", "grpc_tools.protoc", *options, source], cwd=ROOT, check=True
    )
    for name in ("shared/tron/protocol_pb2.py", "shared/tron/protocol_pb2.pyi"):
        assert (tmp_path / name).read_text() == (ROOT / name).read_text()
