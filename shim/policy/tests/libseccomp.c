/* Reads the level of optimisation, the errno, and lines of number, count, and for each test the argument,
   the operation (of the table below), mask and value; writes what libseccomp makes of them. */
#include <errno.h>
#include <seccomp.h>
#include <stdio.h>
#include <unistd.h>

int main(void) {
    unsigned level, refused, nr, count;
    if (scanf("%u %u", &level, &refused) != 2) return 2;
    scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ERRNO(refused));
    if (!ctx || seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, level)) return 3;
    while (scanf("%u %u", &nr, &count) == 2) {
        struct scmp_arg_cmp tests[6];
        static const enum scmp_compare ops[] = {
            SCMP_CMP_EQ, SCMP_CMP_NE, SCMP_CMP_LT, SCMP_CMP_LE, SCMP_CMP_GT, SCMP_CMP_GE,
            SCMP_CMP_MASKED_EQ,
        };
        for (unsigned i = 0; i < count; i++) {
            unsigned arg, op;
            unsigned long long mask, value;
            if (scanf("%u %u %llu %llu", &arg, &op, &mask, &value) != 4) return 4;
            tests[i] = (struct scmp_arg_cmp){ arg, ops[op], value, 0 };
            if (ops[op] == SCMP_CMP_MASKED_EQ)
                tests[i] = (struct scmp_arg_cmp){ arg, ops[op], mask, value };
        }
        if (seccomp_rule_add_array(ctx, SCMP_ACT_ALLOW, nr, count, tests)) return 5;
    }
    return seccomp_export_bpf(ctx, STDOUT_FILENO) ? 6 : 0;
}
