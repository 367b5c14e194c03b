// Stacks of their own for the threads of cuda_on_cpu.h, and the arithmetic mode of a device.
#pragma once
#include <stdint.h>
#include <sys/mman.h>

#if defined(__SANITIZE_ADDRESS__)
#define CPU_ADDRESS_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define CPU_ADDRESS_SANITIZER 1
#endif
#endif

#if defined(CPU_UCONTEXT) || !defined(__x86_64__)
#undef CPU_UCONTEXT
#define CPU_UCONTEXT 1
#include <ucontext.h>
#endif

namespace cpu {

constexpr size_t STACK = 256 << 10, PAGE = 4096;

// --- Switching stacks: a few instructions on x86-64, ucontext (slower, some system calls) elsewhere.

#if defined(CPU_UCONTEXT)
using Context = ucontext_t;
inline void change(Context& from, Context& to) { swapcontext(&from, &to); }
inline void prepare(Context& context, char* stack, void (*entry)()) {
    getcontext(&context);
    context.uc_stack.ss_sp = stack;
    context.uc_stack.ss_size = STACK;
    context.uc_link = nullptr;
    makecontext(&context, entry, 0);
}
#else
asm(R"(
.text
.type cpu_change,@function
cpu_change:
    pushq %rbp; pushq %rbx; pushq %r12; pushq %r13; pushq %r14; pushq %r15
    movq %rsp, (%rdi); movq %rsi, %rsp
    popq %r15; popq %r14; popq %r13; popq %r12; popq %rbx; popq %rbp
    ret
.size cpu_change, .-cpu_change
)");
extern "C" __attribute__((visibility("hidden"))) void cpu_change(void** save, void* load);
using Context = void*;
inline void change(Context& from, Context& to) { cpu_change(&from, to); }
inline void prepare(Context& context, char* stack, void (*entry)()) {
    void** top = (void**)(stack + STACK);
    *--top = nullptr;  // as if `entry` had been called: its frame is 16-byte aligned
    *--top = (void*)entry;
    for (int saved = 0; saved < 6; ++saved) *--top = nullptr;
    context = top;
}
#endif

#if defined(CPU_ADDRESS_SANITIZER)
extern "C" void __asan_unpoison_memory_region(void const volatile* address, size_t size);
inline void forget(char* stack) { __asan_unpoison_memory_region(stack, STACK); }
#else
inline void forget(char*) {}
#endif

struct Fiber {
    Context context;
    char* stack;
};

// A fiber that begins with `entry`; what it did before is forgotten.
inline void renew(Fiber& fiber, void (*entry)()) {
    if (fiber.stack) {
        forget(fiber.stack);
    } else {
        const int kind = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
        char* const memory = (char*)mmap(nullptr, PAGE + STACK, PROT_READ | PROT_WRITE, kind, -1, 0);
        mprotect(memory, PAGE, PROT_NONE);  // a stack that runs over faults
        fiber.stack = memory + PAGE;
    }
    prepare(fiber.context, fiber.stack, entry);
}

// --- Subnormal numbers are flushed to zero, as CuPy's -ftz=true does on the device.

#if defined(__x86_64__)
inline unsigned flush() {
    const unsigned before = __builtin_ia32_stmxcsr();
    __builtin_ia32_ldmxcsr(before | 0x8040);
    return before;
}
inline void restore(unsigned before) { __builtin_ia32_ldmxcsr(before); }
#else
inline uint64_t flush() {
    uint64_t before;
    asm volatile("mrs %0, fpcr" : "=r"(before));
    asm volatile("msr fpcr, %0" : : "r"(before | 1 << 24));
    return before;
}
inline void restore(uint64_t before) { asm volatile("msr fpcr, %0" : : "r"(before)); }
#endif

} // namespace cpu
