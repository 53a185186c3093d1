"""A UDP service whose answer is as long as the question says: what passes an MTU one way in one datagram."""

import contextlib
import socket
import threading

from qemunet_tests.isolation.station import Station

LONGEST_BYTES = 65535


def answer_of(length: int) -> bytes:
    """What is answered to a question for so many bytes."""
    return (bytes(range(251)) * (length // 251 + 1))[:length]


class LongAnswers:
    """One thread at one address of a station, at a port of its own."""

    def __init__(self, station: Station, address: str) -> None:
        #: What came, whether or not it was a question.
        self.questions: list[bytes] = []
        self._socket = station.open_socket(socket.SOCK_DGRAM, address)
        self._socket.bind((address, 0))
        self.address, self.port = address, int(self._socket.getsockname()[1])
        self._thread = threading.Thread(target=self._serve, name="long answers", daemon=True)
        self._thread.start()

    def close(self) -> None:
        # Wakes the thread, which a close does not.
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._socket.close()

    def _serve(self) -> None:
        while True:
            try:
                question, sender = self._socket.recvfrom(LONGEST_BYTES)
            except OSError:
                return
            if not question:
                return
            self.questions.append(question)
            with contextlib.suppress(OSError, ValueError):
                self._socket.sendto(answer_of(int(question)), sender)
