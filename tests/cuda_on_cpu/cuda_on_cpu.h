// Compile a CUDA source, unmodified, with a host C++17 compiler, and run its kernels on the CPU.
//
// Blocks run one after another. The threads of a block run on fibers (small stacks of their own): a thread goes on
// until it returns or meets a barrier, and the rest go on once all have met it. The order of threads and blocks is a
// parameter: a result that depends on it is a race. Shared memory is filled with 0xFF bytes (NaN as floats) before
// each block, so that reading what nobody wrote shows.
#pragma once
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <type_traits>
#include <utility>

#include "fibers.h"

#define __global__
#define __device__
#define __host__
#define __constant__
#define __forceinline__ inline
#define __noinline__ __attribute__((noinline))
#define __grid_constant__
#define __launch_bounds__(...)
#if defined(CPU_ADDRESS_SANITIZER)
#define __shared__ static  // the sanitizer guards only what lies in the usual sections
#else
#define __shared__ static __attribute__((section("cuda_shared"), used))
extern "C" char __start_cuda_shared[] __attribute__((weak, visibility("hidden")));
extern "C" char __stop_cuda_shared[] __attribute__((weak, visibility("hidden")));
#endif

struct uint3 {
    unsigned x, y, z;
};
using dim3 = uint3;

namespace cpu {

constexpr unsigned MAX_THREADS = 1024;

// --- Threads and barriers

struct Thread {
    uint3 index;
    int barrier;  // number of the barrier in the source at which it waits, 0: none
    Fiber* fiber;
};

inline uint3 grid, block, block_index;
inline Thread threads[MAX_THREADS];
inline unsigned turns[MAX_THREADS], count, next_turn;
inline Thread* self;
inline Fiber fibers[MAX_THREADS];
inline Fiber* own;
inline Context scheduler;
inline void (*body)(void*);
inline void* body_arguments;
inline char error[256];

// What a fiber does: thread after thread, until one meets a barrier or none is left.
inline void entry() {
    for (;;) {
        while (next_turn < count) {
            self = &threads[turns[next_turn++]];
            self->fiber = own;
            body(body_arguments);
        }
        change(own->context, scheduler);
    }
}

inline void wait(int barrier) {
    Thread* const thread = self;
    thread->barrier = barrier;
    change(thread->fiber->context, scheduler);
}

inline void resume(Fiber& fiber) {
    own = &fiber;
    change(scheduler, fiber.context);
}

inline void swap(unsigned& a, unsigned& b) {
    const unsigned kept = a;
    a = b;
    b = kept;
}

// 0: up, 1: down, above: a shuffle that goes on from `seed`.
inline void arrange(unsigned* list, unsigned length, unsigned order, uint32_t& seed) {
    for (unsigned i = 0; i < length; ++i) list[i] = order == 1 ? length - 1 - i : i;
    for (unsigned i = length; order > 1 && i > 1; --i) {
        seed = seed * 1664525u + 1013904223u;
        swap(list[i - 1], list[(seed >> 8) % i]);
    }
}

// All threads wait at one barrier, or none does; threads that have returned never come.
inline bool together(unsigned& waiting) {
    waiting = 0;
    int first = 0, other = 0;
    for (unsigned t = 0; t < count; ++t) {
        const int barrier = threads[t].barrier;
        waiting += barrier != 0;
        if (barrier && !first) first = barrier;
        if (barrier && barrier != first) other = barrier;
    }
    if (!waiting || (waiting == count && !other)) return true;
    snprintf(
        error, sizeof error,
        "divergent barrier in block (%u, %u, %u): %u of %u threads wait at __syncthreads%s, %u have returned",
        block_index.x, block_index.y, block_index.z, waiting, count, other ? " in different places" : "",
        count - waiting);
    return false;
}

inline bool run_block(unsigned order, uint32_t& seed) {
#if !defined(CPU_ADDRESS_SANITIZER)
    if (__start_cuda_shared) memset(__start_cuda_shared, 0xFF, __stop_cuda_shared - __start_cuda_shared);
#endif
    arrange(turns, count, order, seed);
    next_turn = 0;
    for (unsigned f = 0; next_turn < count; ++f) {
        if (!fibers[f].stack) renew(fibers[f], entry);
        resume(fibers[f]);
    }
    for (unsigned waiting;;) {
        if (!together(waiting)) return false;
        if (!waiting) return true;
        arrange(turns, count, order, seed);
        for (unsigned i = 0; i < count; ++i) {
            self = &threads[turns[i]];
            self->barrier = 0;
            resume(*self->fiber);
        }
    }
}

// Every block of a grid; 1 if a barrier failed, with `error` set.
inline int run(const unsigned* blocks, unsigned order) {
    const auto before = flush();
    const unsigned total = grid.x * grid.y * grid.z;
    uint32_t seed = order * 2654435761u;
    int failed = 0;
    for (unsigned i = 0; i < total && !failed; ++i) {
        const unsigned b = blocks[i];
        block_index = {b % grid.x, b / grid.x % grid.y, b / (grid.x * grid.y)};
        failed = !run_block(order, seed);
    }
    for (unsigned f = 0; f < MAX_THREADS && failed; ++f)  // threads that wait for ever are given up
        if (fibers[f].stack) renew(fibers[f], entry);
    restore(before);
    return failed;
}

template <class... A>
struct Call {
    void (*kernel)(A...);
    void** values;
    template <size_t... I>
    void with(std::index_sequence<I...>) {
        kernel(*(std::remove_const_t<A>*)values[I]...);
    }
    static void start(void* call) { ((Call*)call)->with(std::index_sequence_for<A...>{}); }
};

template <class... A>
int launch(void (*kernel)(A...), const unsigned* size, const unsigned* blocks, unsigned order, void** values) {
    grid = {size[0], size[1], size[2]};
    block = {size[3], size[4], size[5]};
    count = block.x * block.y * block.z;
    for (unsigned t = 0; t < count; ++t)
        threads[t] = {{t % block.x, t / block.x % block.y, t / (block.x * block.y)}, 0, nullptr};
    Call<A...> call{kernel, values};
    body = Call<A...>::start;
    body_arguments = &call;
    return run(blocks, order);
}

// What the host must pass: a letter and a size. "r4" is a pointer to constant data of 4 bytes each, "w4" one that may
// be written through; "f", "u", "i" and "s" are floating point, unsigned, signed and struct values.
template <class T>
void describe(char*& text) {
    using Value = std::remove_pointer_t<T>;
    char kind = std::is_class_v<T> ? 's' : std::is_floating_point_v<T> ? 'f' : std::is_unsigned_v<T> ? 'u' : 'i';
    if (std::is_pointer_v<T>) kind = std::is_const_v<Value> ? 'r' : 'w';
    text += sprintf(text, "%c%d ", kind, (int)sizeof(Value));
}

template <class... A>
const char* signature(void (*)(A...)) {
    static char text[12 * sizeof...(A) + 1];
    char* end = text;
    (describe<A>(end), ...);
    return text;
}

} // namespace cpu

#define threadIdx (cpu::self->index)
#define blockIdx (cpu::block_index)
#define blockDim (cpu::block)
#define gridDim (cpu::grid)
#define __syncthreads() cpu::wait(__COUNTER__ + 1)

// --- The functions that CUDA has without an include

#define CPU_LEAST_AND_MOST(T, A, B) \
    inline T min(A a, B b) { return (T)b != (T)b || (T)a < (T)b ? (T)a : (T)b; } \
    inline T max(A a, B b) { return (T)b != (T)b || (T)a > (T)b ? (T)a : (T)b; }
CPU_LEAST_AND_MOST(int, int, int)
CPU_LEAST_AND_MOST(unsigned, unsigned, unsigned)
CPU_LEAST_AND_MOST(unsigned, int, unsigned)
CPU_LEAST_AND_MOST(unsigned, unsigned, int)
CPU_LEAST_AND_MOST(long long, long long, long long)
CPU_LEAST_AND_MOST(unsigned long long, unsigned long long, unsigned long long)
CPU_LEAST_AND_MOST(float, float, float)
CPU_LEAST_AND_MOST(double, double, double)
#undef CPU_LEAST_AND_MOST

template <class To, class From>
inline To cpu_bits(From value) {
    static_assert(sizeof(To) == sizeof(From));
    To bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}
inline int __float_as_int(float value) { return cpu_bits<int>(value); }
inline unsigned __float_as_uint(float value) { return cpu_bits<unsigned>(value); }
inline float __int_as_float(int bits) { return cpu_bits<float>(bits); }
inline float __uint_as_float(unsigned bits) { return cpu_bits<float>(bits); }
inline long long __double_as_longlong(double value) { return cpu_bits<long long>(value); }
inline double __longlong_as_double(long long bits) { return cpu_bits<double>(bits); }

// Blocks and threads take turns here: nothing comes between the steps of an atomic operation, and all see all writes.
inline void __threadfence() {}
template <class T>
using cpu_same = std::common_type_t<T>;
template <class T>
inline T atomicExch(T* target, cpu_same<T> value) {
    const T before = *target;
    *target = value;
    return before;
}
template <class T>
inline T atomicAdd(T* target, cpu_same<T> value) {
    static_assert(sizeof(T) >= 4);
    return atomicExch(target, *target + value);
}
template <class T>
inline T atomicMin(T* target, cpu_same<T> value) {
    static_assert(std::is_integral_v<T> && sizeof(T) >= 4);
    return atomicExch(target, min(*target, value));
}
template <class T>
inline T atomicMax(T* target, cpu_same<T> value) {
    static_assert(std::is_integral_v<T> && sizeof(T) >= 4);
    return atomicExch(target, max(*target, value));
}
template <class T>
inline T atomicCAS(T* target, cpu_same<T> expected, cpu_same<T> value) {
    static_assert(std::is_integral_v<T> && sizeof(T) >= 4);
    return atomicExch(target, *target == expected ? value : *target);
}

// A kernel as two C functions: what it takes, and a launch of `size` (grid, then block) over a list of blocks.
#define CPU_VISIBLE extern "C" __attribute__((visibility("default")))
#define CPU_EXPORT(name) \
    CPU_VISIBLE const char* signature_##name() { return cpu::signature(&cpu_source::name); } \
    CPU_VISIBLE int launch_##name(const unsigned* size, const unsigned* blocks, unsigned order, void** values) { \
        return cpu::launch(&cpu_source::name, size, blocks, order, values); \
    }
CPU_VISIBLE const char* cpu_error() { return cpu::error; }
