// Three hundred children, thirty alive at a time.
#include "harness.h"

int main(void) {
    pid_t children[30];
    for (int batch = 0; batch < 10; batch++) {
        int gate[2];
        char byte;
        CHECK(pipe(gate) == 0);
        for (int i = 0; i < 30; i++) {
            CHECK((children[i] = fork()) >= 0);
            if (children[i] == 0) {
                CHECK(close(gate[1]) == 0 && read(gate[0], &byte, 1) == 0);
                _exit(RAW(SYS_getpid) == getpid() ? i : 99);
            }
        }
        CHECK(close(gate[0]) == 0 && close(gate[1]) == 0);
        for (int i = 0; i < 30; i++) CHECK(ended(children[i]) == i);
    }
    done();
}
