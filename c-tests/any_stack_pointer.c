// A call does not use the program's stack: rsp may be odd, 0, or point nowhere.
#include "probe.h"

#define WITH_RSP(rsp, number) "mov " rsp ", %rsp\nmov $" number ", %eax\nsyscall"
PROBE(odd_fast, "sub $13, %rsp\nmov $39, %eax\nsyscall\nadd $13, %rsp");
PROBE(odd_inspected, "sub $13, %rsp\nmov $14, %eax\nsyscall\nadd $13, %rsp");
PROBE(zero_fast, WITH_RSP("$0", "39"));
PROBE(zero_inspected, WITH_RSP("$0", "14"));
PROBE(wild_fast, WITH_RSP("$0x700000000010", "39"));
PROBE(wild_inspected, WITH_RSP("$0x700000000010", "13"));
PROBE(minus_one_unknown, "mov $-1, %rsp\nnop\nsyscall");

int main(void) {
    static uint64_t mask;
    for (int round = 0; round < 10; round++) {
        probe_fill();
        odd_fast();
        CHECK(probe_out.rax == (uint64_t)getpid() && probe_out_rsp == probe_saved_rsp);
        probe_call(0, SIG_BLOCK, 0, (long)&mask, 8, 0, 0);
        odd_inspected();
        CHECK(probe_out.rax == 0 && probe_out_rsp == probe_saved_rsp);
        zero_fast();
        CHECK(probe_out.rax == (uint64_t)getpid() && probe_out_rsp == 0);
        zero_inspected();
        CHECK(probe_out.rax == 0 && probe_out_rsp == 0);
        wild_fast();
        CHECK(probe_out.rax == (uint64_t)getpid() && probe_out_rsp == 0x700000000010);
        probe_call(0, SIGUSR1, 0, 0, 8, 0, 0);
        wild_inspected();
        CHECK(probe_out.rax == 0 && probe_out_rsp == 0x700000000010);
        probe_call(SYS_getpid, 0, 0, 0, 0, 0, 0);
        minus_one_unknown();
        CHECK(probe_out.rax == (uint64_t)getpid() && probe_out_rsp == UINT64_MAX);
    }
    done();
}
