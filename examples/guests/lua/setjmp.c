// What Lua's errors need of setjmp.h, which neither Rust nor Debian has for WASI. The compiler makes the jumps of exceptions of
// WebAssembly, and calls these functions: `__wasm_setjmp` marks a place, `__wasm_longjmp` throws, and `__wasm_setjmp_test` says
// whether an exception belongs to a place of this call of a function.
//
// https://github.com/llvm/llvm-project/pull/84137 describes them.
#include <stdint.h>

// The tag of the exceptions, whose value is an address.
__asm__(".tagtype __c_longjmp i32\n"
        ".globl __c_longjmp\n"
        "__c_longjmp:\n");

struct place {
    void *call;
    uint32_t label;
    // What a jump takes with it: the code after the exception reads these two.
    struct jump {
        void *place;
        int value;
    } jump;
};

void __wasm_setjmp(void *at, uint32_t label, void *call) {
    struct place *place = at;
    place->call = call;
    place->label = label;
}

uint32_t __wasm_setjmp_test(void *at, void *call) {
    const struct place *place = at;
    return place->call == call ? place->label : 0;
}

void __wasm_longjmp(void *at, int value) {
    struct place *place = at;
    // `longjmp` never makes `setjmp` return 0.
    place->jump = (struct jump){at, value ? value : 1};
    // 1 is the tag above.
    __builtin_wasm_throw(1, &place->jump);
}
