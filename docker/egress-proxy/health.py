"""Ask the proxy in this container whether it takes connections: it must refuse an unlisted host."""
# ruff: noqa: INP001 - a program in the image, not a package

import _socket
import sys

CALL = b"CONNECT unlisted.invalid:443 HTTP/1.1\r\nHost: unlisted.invalid\r\n\r\n"
TIMEOUT_S = 4


def main() -> int:
    """Return 0 if the answer is 403, else 1."""
    connection = _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM)
    connection.settimeout(TIMEOUT_S)
    try:
        connection.connect(("127.0.0.1", 8888))
        connection.sendall(CALL)
        answer = connection.recv(64)
    except OSError as error:
        sys.stdout.write(f"{error}\n")
        return 1
    finally:
        connection.close()
    return 0 if answer.split(b" ")[1:2] == [b"403"] else 1


if __name__ == "__main__":
    sys.exit(main())
