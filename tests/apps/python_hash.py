"""Writes a file, hashes it by blocks, by a map and whole."""
import hashlib
import mmap
import os

with open("big", "wb") as out:
    for i in range(2000):
        out.write(hashlib.sha256(str(i).encode()).digest() * 64)
print(os.path.getsize("big"))
for name in ("sha256", "sha1", "md5", "blake2b"):
    digest = hashlib.new(name)
    with open("big", "rb", buffering=0) as data:
        while block := data.read(65536):
            digest.update(block)
    print(name, digest.hexdigest())
with open("big", "rb") as data, mmap.mmap(data.fileno(), 0, prot=mmap.PROT_READ) as mapped:
    print(hashlib.sha512(mapped).hexdigest())
os.rename("big", "moved")
print(sorted(os.listdir(".")) == ["moved"] or "moved" in os.listdir("."))
