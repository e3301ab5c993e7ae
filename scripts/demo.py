"""Files, threads, hashing, pipes and a socket: some tens of thousands of system calls."""

import hashlib
import os
import socket
import tempfile
import threading

FILES = 400
THREADS = 8


def write_and_hash(folder, first):
    """Writes every THREADS-th file of a numbered set, reads it back, and renames it to its hash."""
    for number in range(first, FILES, THREADS):
        path = os.path.join(folder, str(number))
        with open(path, "wb", buffering=0) as file:
            for line in range(20):
                file.write(b"file %d line %d\n" % (number, line))
        with open(path, "rb") as file:
            name = hashlib.sha256(file.read()).hexdigest()
        os.rename(path, os.path.join(folder, name))


def echo(rounds):
    """Sends numbered messages to a thread over a socket pair; returns the bytes that came back."""
    here, there = socket.socketpair()

    def answer():
        while data := there.recv(64):
            there.sendall(data)

    thread = threading.Thread(target=answer)
    thread.start()
    received = 0
    for number in range(rounds):
        message = b"message %d" % number
        here.sendall(message)
        received += len(here.recv(64))
    here.shutdown(socket.SHUT_WR)
    thread.join()
    here.close()
    there.close()
    return received


def main():
    with tempfile.TemporaryDirectory() as folder:
        threads = [
            threading.Thread(target=write_and_hash, args=(folder, first)) for first in range(THREADS)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        names = sorted(os.listdir(folder))
        total = hashlib.sha256("".join(names).encode()).hexdigest()
        print(f"{len(names)} files written and hashed by {THREADS} threads: {total[:16]}")
    print(f"{echo(2000)} bytes echoed over a socket pair")
    child = os.fork()
    if child == 0:
        os._exit(7)
    print(f"a forked child exited with {os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])}")


main()
