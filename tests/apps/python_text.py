"""Compares every executable mapping of a file with the file: prints `path offset length` for each
range of bytes that differs (offsets are the file's), and `mapped path` for each file compared.

Without an argument it reads its own memory, otherwise that of the process with this id.
"""
import os
import sys

pid = sys.argv[1] if len(sys.argv) > 1 else "self"
with open(f"/proc/{pid}/maps") as maps:
    mappings = [line.split(maxsplit=5) for line in maps]
memory = os.open(f"/proc/{pid}/mem", os.O_RDONLY)
for fields in mappings:
    if "x" not in fields[1] or len(fields) < 6 or not fields[5].startswith("/"):
        continue
    path = fields[5].rstrip("\n")
    if path.endswith("libia2shim.so") or path.startswith("/memfd:"):
        continue
    start, end = (int(part, 16) for part in fields[0].split("-"))
    offset = int(fields[2], 16)
    inside = b""
    while len(inside) < end - start:
        inside += os.pread(memory, end - start - len(inside), start + len(inside))
    with open(path, "rb") as file:
        file.seek(offset)
        outside = file.read(end - start)
    print("mapped", path)
    outside += bytes(len(inside) - len(outside))
    at = 0
    view = 4096
    for block in range(0, len(inside), view):
        if inside[block : block + view] == outside[block : block + view]:
            continue
        at = block
        last = min(block + view, len(inside))
        while at < last:
            if inside[at] == outside[at]:
                at += 1
                continue
            first = at
            while at < last and inside[at] != outside[at]:
                at += 1
            print(path, offset + first, at - first)
