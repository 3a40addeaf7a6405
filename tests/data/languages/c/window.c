/* Maps 4 bytes of an input, lets the heap grow by 8 MiB, and returns the 4 bytes. */
#include "wrun.h"

WRUN_TASK(window) {
    const void *at = wrun_input_map(0, 0, 4);
    for (int part = 0; part < 128; part++) memset(wrun_alloc(65536), 'X', 65536);
    wrun_output_write(at, 4);
    return WRUN_OK;
}
