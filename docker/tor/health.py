"""Ask the proxy in this container whether it takes connections; what it reaches is for its users to say."""
# ruff: noqa: INP001 - a program in the image, not a package

import _socket
import sys

GREETING = b"\x05\x01\x00"
WELCOME = b"\x05\x00"
PORT = 9050
TIMEOUT_S = 4


def main(port: int = PORT) -> int:
    """Return 0 if the proxy answers a greeting, else 1."""
    connection = _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM)
    connection.settimeout(TIMEOUT_S)
    try:
        connection.connect(("127.0.0.1", port))
        connection.sendall(GREETING)
        answer = connection.recv(2)
    except OSError as error:
        sys.stdout.write(f"{error}\n")
        return 1
    finally:
        connection.close()
    return 0 if answer == WELCOME else 1


if __name__ == "__main__":
    sys.exit(main())
