// Alignment sums: what the samples of one plane say about its motion onto another. `look_up` finds their values there
// and begins the search for the median difference, select.cu's `narrow` ends it, `add_up` adds up the normal equations.
// Bytes a sample: 20 + 4 + 44 (its neighbours there come from the cache). All sums have a fixed order.
// With: search.cuh

#define COLUMNS 9                                // eight motions and the contrast
#define PAIRS (COLUMNS * (COLUMNS + 1) / 2)      // upper triangle of the normal equations
#define SUMS 64                                  // PAIRS, COLUMNS, and 5 for the correlation as two floats each
#define PARTS (GPUSTACK_THREADS / SUMS)
#define LANES 32

struct Motion {
    double m[9];  // from positions of samples to positions in the plane, row by row
};

// The plane's value at a position inside; the edge is repeated for the neighbours.
__device__ __forceinline__ float value_at(const float* __restrict__ plane, int height, int width, float x, float y) {
    const int left = (int)x, top = (int)y;
    float across[4], down[4], sum = 0.0f;
    cubic(x - (float)left, across);
    cubic(y - (float)top, down);
#pragma unroll
    for (int j = 0; j < 4; ++j) {
        const float* line = plane + (size_t)clamped(top - 1 + j, height) * width;
        float part = 0.0f;
#pragma unroll
        for (int i = 0; i < 4; ++i) part += line[clamped(left - 1 + i, width)] * across[i];
        sum += part * down[j];
    }
    return sum;
}

// `found` is the plane's value at each moved sample, `keys` the bits of its absolute difference; NO_KEY outside the
// plane.
LINE_KERNEL look_up(const float* __restrict__ x, const float* __restrict__ y, const float* __restrict__ value,
                    int count, const float* __restrict__ plane, int height, int width,
                    const __grid_constant__ Motion motion, float contrast, float* __restrict__ found,
                    unsigned* __restrict__ keys, Search* __restrict__ search) {
    __shared__ unsigned bins[TALLY_BINS];
    clear_tally(bins);
    const double* m = motion.m;
    for (int i = blockIdx.x * GPUSTACK_THREADS + threadIdx.x; i < count; i += gridDim.x * GPUSTACK_THREADS) {
        const double from_x = x[i], from_y = y[i], w = m[6] * from_x + m[7] * from_y + m[8];
        double to_x = m[0] * from_x + m[1] * from_y + m[2], to_y = m[3] * from_x + m[4] * from_y + m[5];
        if (w != 1.0) {  // dividing by 1 would change nothing, and is slow in double
            to_x /= w;
            to_y /= w;
        }
        const float at_x = (float)to_x, at_y = (float)to_y;
        unsigned key = NO_KEY;
        float there = 0.0f;
        if (at_x >= 0.0f && at_x <= (float)(width - 1) && at_y >= 0.0f && at_y <= (float)(height - 1)) {
            there = value_at(plane, height, width, at_x, at_y);
            key = __float_as_uint(fabsf(value[i] - contrast * there));
        }
        found[i] = there;
        keys[i] = key;
        count_key(bins, key);
    }
    add_tally(bins, search);
}

// What one thread adds up: few samples each, so that floats do for the products; those of the correlation cancel.
struct Own {
    float product[PAIRS + COLUMNS];
    double here, there, here2, there2, both;
};

__device__ __forceinline__ void add_sample(Own& own, const float* __restrict__ motions, float here, float there,
                                           float contrast, float limit) {
    float column[COLUMNS], weighted[COLUMNS];
    const float difference = here - contrast * there;
    const float weight = fminf(1.0f, limit / fmaxf(fabsf(difference), 1e-12f));
#pragma unroll
    for (int i = 0; i < COLUMNS; ++i) {
        column[i] = i < COLUMNS - 1 ? motions[i] : there;
        weighted[i] = column[i] * weight;
    }
    int n = 0;
#pragma unroll
    for (int i = 0; i < COLUMNS; ++i)
#pragma unroll
        for (int j = i; j < COLUMNS; ++j) own.product[n++] += weighted[i] * column[j];
#pragma unroll
    for (int i = 0; i < COLUMNS; ++i) own.product[n++] += weighted[i] * difference;
    const double a = here, b = there;
    own.here += a;
    own.there += b;
    own.here2 += a * a;
    own.there2 += b * b;
    own.both += a * b;
}

// A double as two floats, which hold 48 of its 53 bits: it then takes the way of the others.
__device__ __forceinline__ void split(double value, float* two) {
    two[0] = (float)value;
    two[1] = (float)(value - two[0]);
}

// What the threads of a block have, added up; thread t gets one of the PARTS of sum t % SUMS.
__device__ __forceinline__ double across_block(const Own& own) {
    __shared__ float staged[GPUSTACK_THREADS / LANES][GPUSTACK_THREADS];
    __shared__ double partly[SUMS][LANES + 1];
    const int rounds = SUMS / (GPUSTACK_THREADS / LANES), group = threadIdx.x / LANES, lane = threadIdx.x % LANES;
    float all[SUMS];
#pragma unroll
    for (int i = 0; i < PAIRS + COLUMNS; ++i) all[i] = own.product[i];
    split(own.here, all + PAIRS + COLUMNS);
    split(own.there, all + PAIRS + COLUMNS + 2);
    split(own.here2, all + PAIRS + COLUMNS + 4);
    split(own.there2, all + PAIRS + COLUMNS + 6);
    split(own.both, all + PAIRS + COLUMNS + 8);
#pragma unroll
    for (int round = 0; round < rounds; ++round) {
#pragma unroll
        for (int i = 0; i < SUMS / rounds; ++i) staged[i][threadIdx.x] = all[round * (SUMS / rounds) + i];
        __syncthreads();
        double sum = 0.0;
        for (int from = lane; from < GPUSTACK_THREADS; from += LANES) sum += staged[group][from];
        partly[round * (SUMS / rounds) + group][lane] = sum;
        __syncthreads();
    }
    double sum = 0.0;
    for (int i = threadIdx.x / SUMS; i < LANES; i += PARTS) sum += partly[threadIdx.x % SUMS][i];
    return sum;
}

// Adds the PARTS of each sum; thread t < SUMS then holds sum t.
__device__ __forceinline__ double joined(double part) {
    __shared__ double parts[PARTS][SUMS];
    __syncthreads();
    parts[threadIdx.x / SUMS][threadIdx.x % SUMS] = part;
    __syncthreads();
    double sum = 0.0;
    for (int i = 0; i < PARTS; ++i) sum += parts[i][threadIdx.x % SUMS];
    return sum;
}

// `out` gets the SUMS, then the robust spread and the number of samples inside the plane; `partial` is (blocks, SUMS).
LINE_KERNEL add_up(const float* __restrict__ value, const float* __restrict__ jacobian, const float* __restrict__ found,
                   const unsigned* __restrict__ keys, int count, float contrast, double to_sigma, double huber,
                   Search* search, double* partial, double* out) {
    const float median = 0.5f * (search->lower + search->upper);
    const double spread = (double)median * to_sigma + 1e-9;
    const float limit = (float)(huber * spread);
    Own own = {};
    for (int i = blockIdx.x * GPUSTACK_THREADS + threadIdx.x; i < count; i += gridDim.x * GPUSTACK_THREADS)
        if (keys[i] != NO_KEY)
            add_sample(own, jacobian + (size_t)i * (COLUMNS - 1), value[i], found[i], contrast, limit);
    const double mine = joined(across_block(own));
    if (threadIdx.x < SUMS) partial[blockIdx.x * SUMS + threadIdx.x] = mine;
    if (!comes_last(&search->arrived)) return;
    double sum = 0.0;
    for (int block = threadIdx.x / SUMS; block < gridDim.x; block += PARTS)
        sum += partial[block * SUMS + threadIdx.x % SUMS];
    sum = joined(sum);
    if (threadIdx.x < SUMS) out[threadIdx.x] = sum;
    if (threadIdx.x == 0) {
        out[SUMS] = spread;
        out[SUMS + 1] = search->total;
    }
}
