// The pixels with the largest gradient, in ascending order: `strength` of every pixel, the threshold by select.cu, then
// `count_strong` and `take`, which write the same list whatever the order of blocks. Every `apart`-th row of the plane is
// looked at, `rows` in all. `thin` keeps some of the samples. Bytes a pixel of these rows: up to 16 + 4.6 + 4 + 4, and
// twice 0.6 for the threshold.
// With: search.cuh

#define EDGE 2       // pixels at the border that are not sampled: their gradient would mirror
#define CHUNK 2048   // pixels of a block of count_strong and of take
#define SHARE (CHUNK / GPUSTACK_THREADS)

// Sobel / 8 at a pixel inside, as OpenCV sums it: first along the rows, then down the columns.
__device__ __forceinline__ float slope_across(const float* __restrict__ at, int width) {
    const float above = at[1 - width] - at[-1 - width], here = at[1] - at[-1], below = at[1 + width] - at[-1 + width];
    return 0.25f * here + 0.125f * (above + below);
}

__device__ __forceinline__ float slope_down(const float* __restrict__ at, int width) {
    const float above = 0.25f * at[-width] + 0.125f * (at[-1 - width] + at[1 - width]);
    const float below = 0.25f * at[width] + 0.125f * (at[-1 + width] + at[1 + width]);
    return below - above;
}

// The squared gradient, -1 at the border; `keys` gets every `step`-th (there 0 for -1: a threshold is never negative).
PICTURE_KERNEL strength(const float* __restrict__ plane, int height, int apart, float* __restrict__ out,
                        unsigned* __restrict__ keys, int step, int rows, int width) {
    const int x = own_x(), row = own_y(), y = row * apart;
    if (x >= width || row >= rows) return;
    const size_t here = (size_t)row * width + x;
    float value = -1.0f;
    if (x >= EDGE && x < width - EDGE && y >= EDGE && y < height - EDGE) {
        const float* at = plane + (size_t)y * width + x;
        const float across = slope_across(at, width), down = slope_down(at, width);
        value = across * across + down * down;
    }
    out[here] = value;
    if (here % step == 0) keys[here / step] = __float_as_uint(fmaxf(value, 0.0f));
}

// How many pixels reach the threshold before each block's chunk; offsets[gridDim.x] is the number of all.
LINE_KERNEL count_strong(const float* __restrict__ strength, int pixels, unsigned* offsets, Search* search) {
    __shared__ int sums[GPUSTACK_THREADS];
    const float threshold = search->lower;
    int own = 0;
    for (int k = 0; k < SHARE; ++k) {
        const int i = blockIdx.x * CHUNK + k * GPUSTACK_THREADS + threadIdx.x;
        own += i < pixels && strength[i] >= threshold;
    }
    const int all = running_sum(own, sums);
    if (threadIdx.x == GPUSTACK_THREADS - 1) offsets[blockIdx.x] = all;
    if (!comes_last(&search->arrived)) return;
    const int blocks = gridDim.x;
    int before = 0;
    for (int start = 0; start < blocks; start += GPUSTACK_THREADS) {
        const int block = start + threadIdx.x, count = block < blocks ? offsets[block] : 0;
        const int after = running_sum(count, sums);
        if (block < blocks) offsets[block] = before + after - count;
        before += sums[GPUSTACK_THREADS - 1];
    }
    if (threadIdx.x == 0) offsets[blocks] = before;
}

// Where samples are written, and what their Jacobian is measured by: the plane's centre and half its diagonal.
struct Sampled {
    float* x;
    float* y;
    float* value;
    float* jacobian;  // (n, 8)
    double centre_x, centre_y, unit;
};

__device__ __forceinline__ void write_sample(const Sampled& out, int n, const float* __restrict__ plane, int width,
                                             int apart, int pixel) {
    const int line = pixel / width, x = pixel - line * width, y = line * apart;
    const float* at = plane + (size_t)y * width + x;
    const float unit = (float)out.unit;
    const float du = slope_across(at, width) * unit, dv = slope_down(at, width) * unit;
    const float u = (float)((x - out.centre_x) / out.unit), v = (float)((y - out.centre_y) / out.unit);
    const float inward = -(du * u + dv * v);
    const float row[8] = {du, dv, du * u, du * v, dv * u, dv * v, inward * u, inward * v};
#pragma unroll
    for (int i = 0; i < 8; ++i) out.jacobian[(size_t)n * 8 + i] = row[i];
    out.x[n] = x;
    out.y[n] = y;
    out.value[n] = *at;
}

// Every `thinning`-th of the pixels that reach the threshold.
LINE_KERNEL take(const float* __restrict__ plane, const float* __restrict__ strength, int pixels, int width,
                 int apart, int thinning, const unsigned* __restrict__ offsets, const Search* __restrict__ search,
                 const __grid_constant__ Sampled out) {
    __shared__ int sums[GPUSTACK_THREADS];
    __shared__ bool strong[CHUNK];
    const float threshold = search->lower;
    const int start = blockIdx.x * CHUNK, mine = threadIdx.x * SHARE;
    for (int k = threadIdx.x; k < CHUNK; k += GPUSTACK_THREADS)
        strong[k] = start + k < pixels && strength[start + k] >= threshold;
    __syncthreads();
    int own = 0;
    for (int k = 0; k < SHARE; ++k) own += strong[mine + k];
    int rank = offsets[blockIdx.x] + running_sum(own, sums) - own;
    for (int k = 0; k < SHARE; ++k) {
        if (!strong[mine + k]) continue;
        if (rank % thinning == 0) write_sample(out, rank / thinning, plane, width, apart, start + mine + k);
        ++rank;
    }
}

// Every `every`-th of `count` samples.
LINE_KERNEL thin(const float* __restrict__ x, const float* __restrict__ y, const float* __restrict__ value,
                 const float* __restrict__ jacobian, int count, int every, float* __restrict__ out_x,
                 float* __restrict__ out_y, float* __restrict__ out_value, float* __restrict__ out_jacobian) {
    const int kept = (count + every - 1) / every;
    for (int n = blockIdx.x * GPUSTACK_THREADS + threadIdx.x; n < kept; n += gridDim.x * GPUSTACK_THREADS) {
        const int from = n * every;
        out_x[n] = x[from];
        out_y[n] = y[from];
        out_value[n] = value[from];
        for (int i = 0; i < 8; ++i) out_jacobian[(size_t)n * 8 + i] = jacobian[(size_t)from * 8 + i];
    }
}
