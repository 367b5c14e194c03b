// Finding the k-th smallest of many keys, and sums and order over the blocks of a line kernel.

// What finding the k-th smallest of many keys leaves for the next kernel (select.cu). Keys are the bits of floats >= 0,
// which order as the floats do; NO_KEY is none and not counted. All is 0 before the first use, and made so again by the
// last.
#define TALLY_BINS 2048
#define TALLY_SHIFT 20
#define NO_KEY 0xFFFFFFFFu
struct Search {
    unsigned tally[TALLY_BINS];  // how many keys have these upper 11 of their 31 bits
    unsigned candidates;         // keys whose upper bits are those of the key that is sought
    unsigned arrived;            // blocks that are done
    unsigned total;              // keys that count
    float lower, upper;          // the two that were sought
};

// A block counts keys in shared memory, then adds its counts to everybody's: few atomic operations meet on one address.
__device__ __forceinline__ void clear_tally(unsigned* bins) {
    for (int i = threadIdx.x; i < TALLY_BINS; i += GPUSTACK_THREADS) bins[i] = 0;
    __syncthreads();
}

__device__ __forceinline__ void count_key(unsigned* bins, unsigned key) {
    if (key != NO_KEY) atomicAdd(&bins[key >> TALLY_SHIFT], 1u);
}

__device__ __forceinline__ void add_tally(const unsigned* bins, Search* search) {
    __syncthreads();
    for (int i = threadIdx.x; i < TALLY_BINS; i += GPUSTACK_THREADS)
        if (bins[i]) atomicAdd(&search->tally[i], bins[i]);
}

// The sum of the values of all threads of a line kernel up to this one, itself included; `sums` then holds them all.
__device__ __forceinline__ int running_sum(int value, int* sums) {
    const int thread = threadIdx.x;
    __syncthreads();
    sums[thread] = value;
    __syncthreads();
    const int group = 16;  // 16 threads add up 16 values each, then every thread adds what the groups before it have
    if (thread < GPUSTACK_THREADS / group)
        for (int i = thread * group + 1; i < (thread + 1) * group; ++i) sums[i] += sums[i - 1];
    __syncthreads();
    int sum = sums[thread];
    for (int last = group - 1; last < thread / group * group; last += group) sum += sums[last];
    __syncthreads();
    sums[thread] = sum;
    __syncthreads();
    return sum;
}

// Whether this block of a line kernel is the last to come here; it then sees what all others wrote before they came.
// Spares the launch of another kernel.
__device__ __forceinline__ bool comes_last(unsigned* arrived) {
    __shared__ bool last;
    __threadfence();
    __syncthreads();
    if (threadIdx.x == 0) {
        last = atomicAdd(arrived, 1u) == gridDim.x - 1;
        if (last) *arrived = 0;
    }
    __syncthreads();
    __threadfence();
    return last;
}
