# For gdb: stacks through the gate and the stubs, of live processes and core dumps.
#
#   gdb -x scripts/gdb.py ...        or in gdb:  source scripts/gdb.py
#
# Without it gdb stops at each SIGSYS, and a stack that begins in the gate or in a stub ends there.
# The addresses are those of docs/memory-map.md, core/layout.rs, rt/gate.rs and rt/block.rs.

import struct

import gdb
import gdb.unwinder

GATE = 0x7E9000000000
FAST_SYSCALL, FAST_JMP, FAST_END = GATE + 0x29, GATE + 0xAC, GATE + 0xAE
GENERIC, GENERIC_END, GATE_END = GATE + 0xC0, GATE + 0x140, GATE + 0x300
SLOT, CODE, LEA = 64, 8, 7  # of a stub
FRAME, HANDLER_STACK = 0x48, 64 << 10  # of a block
SAVED = ["rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "rsp", "r8", "r9", "r10", "r12", "r13", "r14", "r15"]


def memory(address, length):
    try:
        return bytes(gdb.selected_inferior().read_memory(address, length))
    except gdb.error:
        return bytes(length)


def word(address):
    return struct.unpack("<Q", memory(address, 8))[0]


class Stub:
    """The stub that an address lies in; `site` is None if there is none."""

    def __init__(self, address):
        self.slot = address & -SLOT
        header = word(self.slot)
        site = header & (1 << 47) - 1
        self.reenter, self.tail, self.behind = header >> 47 & 63, header >> 53 & 63, header >> 59
        self.start = site - max(self.reenter - CODE, 0)
        code, target = memory(self.start, 5), 0
        if code[0] == 0xEB:  # a short jump, to a long one
            island = self.start + 2 + struct.unpack("<b", code[1:2])[0]
            code = memory(island, 5)
        else:
            island = self.start
        if code[0] == 0xE9:
            target = island + 5 + struct.unpack("<i", code[1:])[0]
        is_it = site and self.reenter >= CODE and target == self.slot + CODE
        self.site = site if is_it else None

    def place(self, offset):
        """Where the program is. The bytes of a patch are no place for a breakpoint, so after the call it
        is the end of the patch."""
        if offset < self.reenter:
            return self.start + offset - CODE
        return self.site + 2 + (self.behind if self.tail else 0)


def returns_to(address):
    """Where the program goes on, if its call returns to `address`, which may be in a stub."""
    stub = Stub(address)
    return address if stub.site is None else stub.place(address - stub.slot)


class Id:
    def __init__(self, sp, pc):
        self.sp, self.pc = sp, pc


class Unwinder(gdb.unwinder.Unwinder):
    def __init__(self):
        super().__init__("ia2shim")

    def __call__(self, frame):
        def register(name):
            try:
                return int(frame.read_register(name)) & (1 << 64) - 1
            except gdb.error:  # gdb knows segment bases of the innermost frame only
                return 0

        pc, sp, block = register("rip"), register("rsp"), register("gs_base")
        if GATE <= pc < GATE_END:
            in_block = FAST_SYSCALL <= pc < FAST_JMP or GENERIC < pc < GENERIC_END
            if pc >= GENERIC_END:
                return self.from_block(frame, block, pc, sp)
            return self.same(frame, returns_to(word(block) if in_block else register("rcx")), pc, sp)
        if block and block - HANDLER_STACK <= sp <= block:
            return self.from_block(frame, block, pc, sp)
        stub = Stub(pc)
        if stub.site is None or pc - stub.slot < CODE:
            return None
        return self.same(frame, stub.place(pc - stub.slot), stub.slot, sp)

    def same(self, frame, caller, pc, sp):
        """The registers are the program's own."""
        info = frame.create_unwind_info(Id(gdb.Value(sp), gdb.Value(pc)))
        for name in SAVED + ["r11"]:
            info.add_saved_register(name, frame.read_register(name))
        info.add_saved_register("rip", gdb.Value(caller))
        return info

    def from_block(self, frame, block, pc, sp):
        """The registers are in the block."""
        saved = struct.unpack("<15Q", memory(block + FRAME, 120))
        program = dict(zip(SAVED, saved))
        info = frame.create_unwind_info(Id(gdb.Value(program["rsp"]), gdb.Value(pc)))
        for name in SAVED:
            value = gdb.Value(program[name])
            info.add_saved_register(name, value.cast(frame.read_register(name).type))
        info.add_saved_register("rip", gdb.Value(returns_to(program["rcx"])))
        return info


gdb.unwinder.register_unwinder(None, Unwinder(), replace=True)
gdb.execute("handle SIGSYS nostop noprint pass", to_string=True)
