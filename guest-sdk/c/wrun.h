/* wrun.h: write WebAssembly tasks for wrun in C or C++. A single header, no library.
 *
 *     #include "wrun.h"
 *
 *     WRUN_TASK(shout) {
 *         char *text = wrun_arg();
 *         for (char *c = text; *c; c++)
 *             if (*c >= 'a' && *c <= 'z') *c -= 'a' - 'A';
 *         wrun_output_text(text);
 *         return WRUN_OK;
 *     }
 *
 * Build it as a WASI reactor, with clang, lld and wasi-libc:
 *
 *     clang --target=wasm32-wasi -mexec-model=reactor -O2 shout.c -o shout.wasm
 *     wrun map shout.wasm hello world
 *
 * The functions named like the contract's imports (version 1, import module `wrun_v1`) are those imports. They have no
 * error codes: an address or length outside memory, an unknown index or an impossible range traps with a message that
 * names the call and the values. Text is UTF-8 without a terminating NUL. With --target=wasm64, memory has 64-bit
 * addresses.
 */
#ifndef WRUN_H
#define WRUN_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#ifndef __wasm__
#error "wrun.h is for WebAssembly: compile with --target=wasm32-wasi"
#endif

#ifdef __cplusplus
extern "C" {
#define WRUN_C_LINKAGE extern "C"
#else
#define WRUN_C_LINKAGE
#endif

#define WRUN_CONTRACT_VERSION 1

/* What a task returns: 0 if its result is complete, any other number if it failed. */
#define WRUN_OK 0
#define WRUN_FAILED 1

/* What `wrun_input_find` and `wrun_region_find` return if nothing has the name. */
#define WRUN_NOT_FOUND (-1)

/* The maximum number of bytes to map at once, so that pointer differences fit into ptrdiff_t. */
#ifdef __wasm64__
#define WRUN_MAX_WINDOW (SIZE_MAX / 2)
#else
#define WRUN_MAX_WINDOW 0x7fffffffu
#endif

/* The bytes of a page of memory, for `wrun_input_map_at` and `wrun_region_map_at`. */
#define WRUN_PAGE 65536

/* Log levels, for `wrun_log`. */
enum wrun_level { WRUN_ERROR = 1, WRUN_WARN = 2, WRUN_INFO = 3, WRUN_DEBUG = 4, WRUN_TRACE = 5 };

/* Starts the definition of the task `name`: a function without parameters that returns an int. The module exports it
 * as `wrun:task/name`, which `wrun map --call name` calls. */
#define WRUN_TASK(name)                                                                                             \
    WRUN_C_LINKAGE __attribute__((export_name("wrun:task/" #name))) int wrun_task_##name(void);                     \
    int wrun_task_##name(void)

/* Starts the definition of the module's initializer: a function without parameters and results. It runs once, and all instances
 * begin as it has left memory and globals. It can log and fail (with `wrun_fail` and `__builtin_trap()`); it sees nothing that
 * differs between tasks or runs, and calls for that trap. */
#define WRUN_INIT                                                                                                   \
    WRUN_C_LINKAGE __attribute__((export_name("wizer-initialize"))) void wrun_initializer(void);                    \
    void wrun_initializer(void)

#define WRUN_IMPORT(name) __attribute__((import_module("wrun_v1"), import_name(name)))

/* ---- The contract's imports -------------------------------------------------------------------------------------- */

/* The position of the task's item in the job, from 0. */
WRUN_IMPORT("task_index") uint64_t wrun_task_index(void);

/* The argument's length in bytes; and a call that copies all of its bytes to `dst`. The argument is the item's text: for
 * a file its path, for a piece of a file its path and range. */
WRUN_IMPORT("arg_len") size_t wrun_arg_len(void);
WRUN_IMPORT("arg_read") void wrun_arg_read(void *dst);

/* The number of inputs: first the task's own file or piece, if its item is one, then the shared inputs in the order of
 * the command line. The inputs of a reduce task are the results that it merges, in order. */
WRUN_IMPORT("input_count") uint32_t wrun_input_count(void);

/* 1 if inputs are mapped copy-on-write (--input-mode cow), otherwise 0. If they are, what wrun_input_map returns may be
 * written, and each call returns a separate copy. */
WRUN_IMPORT("input_writable") int32_t wrun_input_writable(void);

/* The index of the input with this name, or WRUN_NOT_FOUND. */
WRUN_IMPORT("input_find") int32_t wrun_input_find(const char *name, size_t name_len);

/* The length in bytes of the part of the input that the task can see; for a piece, the piece's length. */
WRUN_IMPORT("input_len") uint64_t wrun_input_len(uint32_t input);

/* Maps a range of an input read-only, without copying it, and returns its address, which is never NULL and is congruent
 * to the range's offset in the file modulo 4096. Mapping a range again returns the same address. Writing to it ends the
 * task. */
WRUN_IMPORT("input_map") const void *wrun_input_map(uint32_t input, uint64_t offset, size_t len);

/* Copies a range of an input to `dst`. */
WRUN_IMPORT("input_read") void wrun_input_read(uint32_t input, uint64_t offset, size_t len, void *dst);

/* Maps a range of an input over memory of the program's own: whole pages of WRUN_PAGE bytes from `dst` on, which is a
 * multiple of that (aligned_alloc). Returns the address of the range, which is `dst` plus its offset in the file modulo
 * 4096. What the pages held is lost; wrun_input_unmap makes them zeroed memory of the program again. No other window may
 * lie there. For programs whose allocator takes all memory for its own, and to read through one buffer. */
WRUN_IMPORT("input_map_at") const void *wrun_input_map_at(uint32_t input, uint64_t offset, size_t len, void *dst);

/* Undoes one `wrun_input_map`, `wrun_input_map_at`, `wrun_region_map` or `wrun_region_map_at`; after the last one for a
 * range, its bytes must not be accessed. Only tasks that read more than fits into memory need it: everything is unmapped
 * when the task ends. */
WRUN_IMPORT("input_unmap") void wrun_input_unmap(const void *address);

/* Appends a copy of the bytes to the task's result. */
WRUN_IMPORT("output_write") void wrun_output_write(const void *bytes, size_t len);

/* Returns a buffer of `len` zero bytes that becomes the task's result without a copy. At most once per task, and not
 * together with `wrun_output_write`. */
WRUN_IMPORT("output_map") void *wrun_output_map(size_t len);

/* Regions: memory of files that is written in place. Region 0 is the task's output slice, if the job has one (--out,
 * --slice); shared memories (--shared) follow. Other tasks write to a shared memory at the same time: access it only with
 * atomic instructions, such as __atomic_fetch_add, and compile with -matomics (without it, clang turns them into plain
 * loads and stores).
 *
 * The calls return the number of regions; the index of the shared memory with this name, or of the output slice if the
 * name is empty, or WRUN_NOT_FOUND; a region's length in bytes; and the address of a range of it, which
 * `wrun_input_unmap` unmaps. */
WRUN_IMPORT("region_count") uint32_t wrun_region_count(void);
WRUN_IMPORT("region_find") int32_t wrun_region_find(const char *name, size_t len);
WRUN_IMPORT("region_len") uint64_t wrun_region_len(uint32_t region);
WRUN_IMPORT("region_map") void *wrun_region_map(uint32_t region, uint64_t offset, size_t len);

/* The same over memory of the program's own, as `wrun_input_map_at`. */
WRUN_IMPORT("region_map_at") void *wrun_region_map_at(uint32_t region, uint64_t offset, size_t len, void *dst);

/* Sets the error message of a task that is about to return WRUN_FAILED. */
WRUN_IMPORT("fail") void wrun_fail_bytes(const char *text, size_t len);

/* Writes a log line, attributed to the task. */
WRUN_IMPORT("log") void wrun_log_bytes(int32_t level, const char *text, size_t len);

/* ---- Helpers ----------------------------------------------------------------------------------------------------- */

/* Sets the error message and returns what the task should return:
 *     return wrun_fail("line 3: not a number"); */
static inline int wrun_fail(const char *text) {
    wrun_fail_bytes(text, strlen(text));
    return WRUN_FAILED;
}

/* Writes a log line. */
static inline void wrun_log(enum wrun_level level, const char *text) {
    wrun_log_bytes((int32_t)level, text, strlen(text));
}

/* Appends text to the task's result. */
static inline void wrun_output_text(const char *text) { wrun_output_write(text, strlen(text)); }

/* Makes malloc take its first memory before any window is mapped. At its first call, wasi-libc before 2023 (such as
 * Debian 12's) gives malloc everything up to the end of memory, which would include the windows. */
__attribute__((constructor)) static void wrun_prepare_malloc(void) {
    void *volatile memory = malloc(1);
    free(memory);
}

/* Memory from malloc; if there is none, the task ends with a message. */
static inline void *wrun_alloc(size_t len) {
    void *memory = malloc(len ? len : 1);
    if (!memory) {
        wrun_fail("out of memory: raise --memory");
        __builtin_trap();
    }
    return memory;
}

/* The argument as a NUL-terminated string, to be freed. A zero byte in the argument ends the string early. */
static inline char *wrun_arg(void) {
    size_t len = wrun_arg_len();
    char *text = (char *)wrun_alloc(len + 1);
    wrun_arg_read(text);
    text[len] = 0;
    return text;
}

/* Mapped bytes, or part of them. */
struct wrun_bytes {
    const unsigned char *first;
    size_t len;
};

/* Maps a whole input. If there is no such input, or it has more than WRUN_MAX_WINDOW bytes, the task ends with a
 * message. */
static inline struct wrun_bytes wrun_map_input(uint32_t input) {
    struct wrun_bytes bytes = {0, 0};
    uint64_t len;
    if (input >= wrun_input_count()) {
        wrun_fail("this task has no input: use --files, --split or --input");
        __builtin_trap();
    }
    len = wrun_input_len(input);
    if (len > WRUN_MAX_WINDOW) {
        wrun_fail("the input is too large to be mapped at once: use --split");
        __builtin_trap();
    }
    bytes.len = (size_t)len;
    bytes.first = (const unsigned char *)wrun_input_map(input, 0, bytes.len);
    return bytes;
}

#undef WRUN_IMPORT

#ifdef __cplusplus
}
#endif

#endif
