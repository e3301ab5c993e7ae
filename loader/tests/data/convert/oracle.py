#!/usr/bin/env python3
"""Writes NAME.bpf beside the samples of OCI and systemd: the filters that libseccomp and systemd make.

The tests run them beside the converted policies. The files are checked in; this is how they were
made, on Debian 12 (libseccomp 2.5.4, systemd 252; needs gcc for systemd):

    python3 oracle.py oci/*.json systemd/*.service

OCI profiles are built as runc builds them (libcontainer/seccomp), for x86-64 alone. systemd's filters
are made by its own library, with `seccomp_load` replaced by one that writes the program out.

A file has one instruction a line, "code jt jf k"; `filter` begins each filter, in the order of loading.
"""
import ctypes
import json
import os
import struct
import subprocess
import sys
import tempfile

ALLOW, LOG, TRACE, ERRNO, TRAP = 0x7FFF0000, 0x7FFC0000, 0x7FF00000, 0x00050000, 0x00030000
KILL_THREAD, KILL_PROCESS = 0, 0x80000000


class Cmp(ctypes.Structure):
    _fields_ = [("arg", ctypes.c_uint), ("op", ctypes.c_int), ("a", ctypes.c_uint64), ("b", ctypes.c_uint64)]


OPS = {"SCMP_CMP_NE": 1, "SCMP_CMP_LT": 2, "SCMP_CMP_LE": 3, "SCMP_CMP_EQ": 4, "SCMP_CMP_GE": 5,
       "SCMP_CMP_GT": 6, "SCMP_CMP_MASKED_EQ": 7}


def write(path, filters):
    with open(path, "w") as out:
        for code in filters:
            out.write("filter\n")
            for at in range(0, len(code), 8):
                out.write("%x %d %d %x\n" % struct.unpack_from("<HBBI", code, at))


# ---- OCI

def oci_action(entry, name, number, errno):
    data = entry.get(number)
    if entry.get(errno):
        import errno as numbers
        data = getattr(numbers, entry[errno])
    data = 1 if data is None else data
    return {"SCMP_ACT_KILL": KILL_THREAD, "SCMP_ACT_KILL_THREAD": KILL_THREAD,
            "SCMP_ACT_KILL_PROCESS": KILL_PROCESS, "SCMP_ACT_TRAP": TRAP, "SCMP_ACT_ERRNO": ERRNO | data,
            "SCMP_ACT_TRACE": TRACE | data, "SCMP_ACT_LOG": LOG, "SCMP_ACT_ALLOW": ALLOW}[entry[name]]


def applies(entry, caps):
    includes, excludes = entry.get("includes") or {}, entry.get("excludes") or {}
    if "amd64" in (excludes.get("arches") or []):
        return False
    if any(cap in caps for cap in excludes.get("caps") or []):
        return False
    if includes.get("arches") and "amd64" not in includes["arches"]:
        return False
    return all(cap in caps for cap in includes.get("caps") or [])


def oci(path, caps=()):
    lib = ctypes.CDLL("libseccomp.so.2")
    lib.seccomp_init.restype = ctypes.c_void_p
    lib.seccomp_init.argtypes = [ctypes.c_uint32]
    lib.seccomp_rule_add_array.argtypes = [ctypes.c_void_p, ctypes.c_uint32, ctypes.c_int, ctypes.c_uint,
                                           ctypes.POINTER(Cmp)]
    lib.seccomp_export_bpf.argtypes = [ctypes.c_void_p, ctypes.c_int]
    profile = json.load(open(path))
    default = oci_action(profile, "defaultAction", "defaultErrnoRet", "defaultErrno")
    context = lib.seccomp_init(default)
    last = -1
    for entry in profile["syscalls"]:
        if not applies(entry, caps):
            continue
        action = oci_action(entry, "action", "errnoRet", "errno")
        for name in entry.get("names") or [entry["name"]]:
            number = lib.seccomp_syscall_resolve_name(name.encode())
            last = max(last, number)
            if number == -1 or action == default:
                continue
            args = [Cmp(arg["index"], OPS[arg["op"]], arg["value"], arg.get("valueTwo", 0))
                    for arg in entry.get("args") or []]
            twice = len({arg.arg for arg in args}) != len(args)
            for some in [[arg] for arg in args] if twice else [args]:
                done = lib.seccomp_rule_add_array(context, action, number, len(some), (Cmp * len(some))(*some))
                assert done in (0, -17), (name, done)
    with tempfile.TemporaryFile() as file:
        assert lib.seccomp_export_bpf(context, file.fileno()) == 0
        file.seek(0)
        code = file.read()
    if default & 0xFFFF0000 not in (ALLOW, LOG, TRACE) and default != ERRNO | 38:
        # The stub of runc: numbers above the highest named one; those of x32 are not ours to compare.
        stub = [(0x20, 0, 0, 0), (0x25, 0, 1, last), (0x06, 0, 0, ERRNO | 38)]
        code = b"".join(struct.pack("<HBBI", *one) for one in stub) + code
    return [code]


# ---- systemd

LOAD = """
#include <stdlib.h>
#include <unistd.h>
int seccomp_arch_exist(const void *context, unsigned arch);
int seccomp_export_bpf(const void *context, int fd);
/* systemd loads each filter once for every architecture. */
int seccomp_load(const void *context) {
    int fd = atoi(getenv("ORACLE_FD"));
    if (seccomp_arch_exist(context, 0xc000003e) != 0)
        return 0;
    int done = seccomp_export_bpf(context, fd);
    (void)!write(fd, "\\0\\0\\0\\0\\0\\0\\0\\0", 8);
    return done;
}
"""


def systemd(path):
    """Runs itself again with seccomp_load replaced."""
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile() as file:
        source, shim = os.path.join(folder, "load.c"), os.path.join(folder, "load.so")
        open(source, "w").write(LOAD)
        subprocess.run(["gcc", "-shared", "-fPIC", "-o", shim, source, "-l:libseccomp.so.2"], check=True)
        env = dict(os.environ, LD_PRELOAD=shim, ORACLE_FD=str(file.fileno()))
        subprocess.run([sys.executable, __file__, "--load", path], env=env, check=True,
                       pass_fds=[file.fileno()])
        file.seek(0)
        code = file.read()
    filters, now = [], b""
    for at in range(0, len(code), 8):
        if code[at:at + 8] == bytes(8):
            filters.append(now)
            now = b""
        else:
            now += code[at:at + 8]
    return filters


def settings(path):
    found, text = [], open(path).read().replace("\\\n", " ")
    for line in text.splitlines():
        if "=" in line and line[0] not in "#;":
            name, value = line.split("=", 1)
            found.append((name.strip(), value.strip()))
    return found


def load(path):
    lib = ctypes.CDLL("/usr/lib/x86_64-linux-gnu/systemd/libsystemd-shared-252.so")
    for name in ("_hashmap_new",):
        getattr(lib, name).restype = ctypes.c_void_p
    pointer = ctypes.c_void_p
    lib.seccomp_load_syscall_filter_set_raw.argtypes = [ctypes.c_uint32, pointer, ctypes.c_uint32, ctypes.c_bool]
    lib.seccomp_load_syscall_filter_set.argtypes = [ctypes.c_uint32, pointer, ctypes.c_uint32, ctypes.c_bool]
    lib.syscall_filter_set_find.restype = pointer
    lib.seccomp_parse_syscall_filter.argtypes = [ctypes.c_char_p, ctypes.c_int, pointer, ctypes.c_int,
                                                 ctypes.c_char_p, ctypes.c_char_p, ctypes.c_uint]
    lib.seccomp_restrict_address_families.argtypes = [pointer, ctypes.c_bool]
    lib.seccomp_restrict_namespaces.argtypes = [ctypes.c_ulong]
    lib.seccomp_lock_personality.argtypes = [ctypes.c_ulong]
    lib._set_ensure_put.argtypes = [pointer, pointer, pointer]
    flags = {"cgroup": 0x02000000, "ipc": 0x08000000, "net": 0x40000000, "mnt": 0x20000, "pid": 0x20000000,
             "user": 0x10000000, "time": 0x80, "uts": 0x04000000}
    every = sum(flags.values())
    on, lists, families, namespaces, errno = {}, {}, None, None, -2
    import errno as numbers
    yes, no = ("1", "yes", "true", "on"), ("0", "no", "false", "off", "")
    for name, value in settings(path):
        invert = value.startswith("~")
        words = value.lstrip("~").split()
        if name in ("SystemCallFilter", "SystemCallLog"):
            if not value:
                lists.pop(name, None)
                continue
            if name not in lists:
                lists[name] = (not invert, lib._hashmap_new(None))
                if not invert and name == "SystemCallFilter":
                    lib.seccomp_parse_syscall_filter(b"@default", -1, lists[name][1], 8 | 2, None, None, 0)
            allow, calls = lists[name]
            for word in words:
                call, _, error = word.partition(":")
                if error and not invert:
                    continue
                number = -1 if not error else -2 if error == "kill" else getattr(numbers, error)
                # SECCOMP_ERROR_NUMBER_KILL is INT_MAX - 1.
                number = 0x7FFFFFFE if number == -2 else number
                lib.seccomp_parse_syscall_filter(call.encode(), number, calls, 8 | invert | 2 * allow, None, None, 0)
        elif name == "SystemCallErrorNumber":
            errno = -2 if value in ("", "kill") else getattr(numbers, value)
        elif name == "RestrictAddressFamilies":
            if not value:
                families = None
            elif value == "none":
                families = (True, set())
            else:
                allow, known = families or (not invert, set())
                for word in words:
                    number = lib.af_from_name(word.encode())
                    known.add(number) if invert != allow else known.discard(number)
                families = (allow, known)
        elif name == "RestrictNamespaces":
            if not value:
                namespaces = None
            elif value in yes + no:
                namespaces = 0 if value in yes else every
            else:
                these = sum(flags[word] for word in words)
                if namespaces is None:
                    namespaces = every & ~these if invert else these
                else:
                    namespaces = namespaces & ~these if invert else namespaces | these
        else:
            on[name] = value in yes
    errno_eperm = ERRNO | 1
    deny = lambda name: lib.seccomp_load_syscall_filter_set(ALLOW, lib.syscall_filter_set_find(name), errno_eperm, False)
    # The order of src/core/execute.c.
    if on.get("ProtectHostname"):
        lib.seccomp_protect_hostname()
    if families:
        these = ctypes.c_void_p()
        for number in families[1]:
            lib._set_ensure_put(ctypes.byref(these), None, number)
        if families[0] or families[1]:
            lib.seccomp_restrict_address_families(these, families[0])
    if on.get("MemoryDenyWriteExecute"):
        lib.seccomp_memory_deny_write_execute()
    if on.get("RestrictRealtime"):
        lib.seccomp_restrict_realtime_full(1)
    if on.get("RestrictSUIDSGID") or on.get("DynamicUser"):
        lib.seccomp_restrict_suid_sgid()
    if namespaces is not None and namespaces != every:
        lib.seccomp_restrict_namespaces(namespaces)
    if on.get("ProtectKernelTunables"):
        lib.seccomp_protect_sysctl()
    if on.get("ProtectKernelModules"):
        deny(b"@module")
    if on.get("ProtectKernelLogs"):
        lib.seccomp_protect_syslog()
    if on.get("ProtectClock"):
        deny(b"@clock")
    if on.get("PrivateDevices"):
        deny(b"@raw-io")
    if on.get("LockPersonality"):
        lib.seccomp_lock_personality(0)
    if "SystemCallLog" in lists:
        allow, calls = lists["SystemCallLog"]
        lib.seccomp_load_syscall_filter_set_raw(ALLOW if allow else LOG, calls, LOG if allow else ALLOW, False)
    if "SystemCallFilter" in lists:
        allow, calls = lists["SystemCallFilter"]
        refuse = KILL_PROCESS if errno == -2 else ERRNO | errno
        done = lib.seccomp_load_syscall_filter_set_raw(refuse if allow else ALLOW, calls,
                                                       ALLOW if allow else refuse, False)
        assert done == 0, done


def main(arguments):
    if arguments[:1] == ["--load"]:
        return load(arguments[1])
    for path in arguments:
        if path.endswith("containers.json"):
            caps = ("CAP_SYS_ADMIN", "CAP_AUDIT_WRITE", "CAP_SYS_CHROOT")
            write(path.replace(".json", "-capable.bpf"), oci(path, caps))
        filters = oci(path) if path.endswith(".json") else systemd(path)
        write(os.path.splitext(path)[0] + ".bpf", filters)


main(sys.argv[1:])
