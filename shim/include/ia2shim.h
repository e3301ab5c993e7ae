/* ia2shim: every system call of a program through one gate. Linux on x86-64.
 *
 * A program need not include or call anything: the shim starts in the first constructor, whether the
 * program is linked with libia2shim.a, preloaded with libia2shim.so, or started by `ia2 run`.
 */
#ifndef IA2SHIM_H
#define IA2SHIM_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The version of the library, as major << 16 | minor << 8 | patch. */
uint32_t ia2shim_version(void);

#ifdef __cplusplus
}
#endif

#endif
