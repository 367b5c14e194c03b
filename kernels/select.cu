// The k-th smallest of many keys, exactly, or the two in the middle: counting by digits (radix select). Two kernels:
// `tally` counts the upper 11 bits (the kernel that makes the keys may do that itself), `narrow` gathers the few keys
// in the bin that is sought, and its last block finds the remaining 20 bits among them. Bytes: the keys once each.
// Counts do not depend on the order of threads, so neither does the result.
// With: search.cuh

#define DIGIT 10

struct Place {
    int bin, before;  // which bin, and how many keys lie in those before it
};

// Keys in the bins before those of this thread, which has `share` of them; sums[GPUSTACK_THREADS - 1] is the number of
// all.
__device__ __forceinline__ int keys_before(const unsigned* bins, int share, int* sums) {
    int own = 0;
    for (int i = 0; i < share; ++i) own += bins[threadIdx.x * share + i];
    return running_sum(own, sums) - own;
}

// Write down which bin holds the key of this rank (0: the smallest); one thread finds that it has it.
__device__ __forceinline__ void locate(const unsigned* bins, int share, int before, int rank, Place* place) {
    for (int bin = threadIdx.x * share; bin < (threadIdx.x + 1) * share; ++bin) {
        const int after = before + bins[bin];
        if (before <= rank && rank < after) *place = {bin, before};
        before = after;
    }
}

LINE_KERNEL tally(const unsigned* __restrict__ keys, int count, Search* __restrict__ search) {
    __shared__ unsigned bins[TALLY_BINS];
    clear_tally(bins);
    for (int i = blockIdx.x * GPUSTACK_THREADS + threadIdx.x; i < count; i += gridDim.x * GPUSTACK_THREADS)
        count_key(bins, keys[i]);
    add_tally(bins, search);
}

// Copy the keys in the bins `first` to `last` to `candidates`, in any order.
__device__ __forceinline__ void gather(const unsigned* __restrict__ keys, int count, unsigned first, unsigned last,
                                       unsigned* candidates, Search* search) {
    __shared__ unsigned room, base;
    for (int start = blockIdx.x * GPUSTACK_THREADS; start < count; start += gridDim.x * GPUSTACK_THREADS) {
        const int i = start + threadIdx.x;
        const unsigned key = i < count ? keys[i] : NO_KEY, bin = key >> TALLY_SHIFT;
        const bool wanted = bin >= first && bin <= last;
        if (threadIdx.x == 0) room = 0;
        __syncthreads();
        const unsigned at = wanted ? atomicAdd(&room, 1u) : 0;
        __syncthreads();
        if (threadIdx.x == 0 && room) base = atomicAdd(&search->candidates, room);
        __syncthreads();
        if (wanted) candidates[base + at] = key;
    }
}

// The smallest candidate above a key.
__device__ __forceinline__ unsigned next_above(unsigned key, const unsigned* candidates, int count) {
    __shared__ unsigned least;
    if (threadIdx.x == 0) least = NO_KEY;
    __syncthreads();
    for (int i = threadIdx.x; i < count; i += GPUSTACK_THREADS)
        if (candidates[i] > key) atomicMin(&least, candidates[i]);
    __syncthreads();
    return least;
}

// One block: the candidate of rank `rank` among those with upper bits `key`, and the one after it if `pair`.
__device__ __forceinline__ void finish(unsigned key, int rank, bool pair, const unsigned* candidates, int count,
                                       Search* search) {
    __shared__ unsigned bins[1 << DIGIT];
    __shared__ int sums[GPUSTACK_THREADS];
    __shared__ Place place;
    const int share = (1 << DIGIT) / GPUSTACK_THREADS;
    const unsigned mask = (1 << DIGIT) - 1;
    for (int shift = TALLY_SHIFT - DIGIT; shift >= 0; shift -= DIGIT) {
        for (int i = threadIdx.x; i < 1 << DIGIT; i += GPUSTACK_THREADS) bins[i] = 0;
        __syncthreads();
        for (int i = threadIdx.x; i < count; i += GPUSTACK_THREADS)
            if (candidates[i] >> (shift + DIGIT) == key) atomicAdd(&bins[candidates[i] >> shift & mask], 1u);
        __syncthreads();
        const int before = keys_before(bins, share, sums);
        locate(bins, share, before, rank, &place);
        __syncthreads();
        key = key << DIGIT | place.bin;
        rank -= place.before;
        __syncthreads();
    }
    // All whose digits agree are equal, so a second one of them follows unless this was the last.
    const bool again = !pair || rank + 1 < (int)bins[place.bin];
    const unsigned above = again ? key : next_above(key, candidates, count);
    if (threadIdx.x == 0) {
        search->lower = __uint_as_float(key);
        search->upper = __uint_as_float(above);
    }
}

// `rank` < 0 asks for the two keys in the middle, which are one if the number of keys is odd. `candidates` has room for
// all.
ROOMY_LINE_KERNEL narrow(const unsigned* __restrict__ keys, int count, int rank, unsigned* candidates, Search* search) {
    __shared__ int sums[GPUSTACK_THREADS];
    __shared__ Place low, high;
    const int share = TALLY_BINS / GPUSTACK_THREADS;
    const int before = keys_before(search->tally, share, sums), total = sums[GPUSTACK_THREADS - 1];
    const int first = rank < 0 ? (total - 1) / 2 : rank, second = rank < 0 ? total / 2 : rank;
    locate(search->tally, share, before, first, &low);
    locate(search->tally, share, before, second, &high);
    __syncthreads();
    if (total) gather(keys, count, low.bin, high.bin, candidates, search);
    if (!comes_last(&search->arrived)) return;
    if (total) finish(low.bin, first - low.before, second > first, candidates, search->candidates, search);
    __syncthreads();
    for (int i = threadIdx.x; i < TALLY_BINS; i += GPUSTACK_THREADS) search->tally[i] = 0;
    if (threadIdx.x == 0) {
        search->candidates = 0;
        search->total = total;
        if (!total) search->lower = search->upper = 0.0f;
    }
}
