// A block's window on a picture, in shared memory: a tile of TILE_X x TILE_Y pixels with REACH more on every side, filled with
// whatever is worked out of a pixel, and blurred there; each thread settles TILE_Y / GPUSTACK_THREADS_Y pixels of a column.

#define TILE_X 32
#define TILE_Y 16

template <int REACH>
struct Window {
    float patch[TILE_Y + 2 * REACH][TILE_X + 2 * REACH];
    float lines[TILE_Y + 2 * REACH][TILE_X];
};

// Largest and smallest of a block's numbers, none of which is below 0; all threads must come here.
struct Span {
    int least, most;
};

__device__ __forceinline__ void begin_span(Span& span) {
    if (own_thread() == 0) span = {0x7f800000, 0};
    __syncthreads();
}

__device__ __forceinline__ void widen_span(Span& span, float value) {
    atomicMin(&span.least, __float_as_int(value));
    atomicMax(&span.most, __float_as_int(value));
}

// Fill the window of the tile whose first row is `top` with what `value(y, x)` gives, mirrored at the picture's edges, `reach`
// pixels around; all threads must come here.
template <int REACH, typename Value>
__device__ __forceinline__ void fill_window(Window<REACH>& window, int reach, int top, int height, int width, Value value) {
    const int left = (int)blockIdx.x * TILE_X - reach;
#pragma unroll 1
    for (int r = threadIdx.y; r < TILE_Y + 2 * reach; r += GPUSTACK_THREADS_Y) {
        const int y = mirror(top - reach + r, height);
#pragma unroll 1
        for (int c = threadIdx.x; c < TILE_X + 2 * reach; c += GPUSTACK_THREADS_X)
            window.patch[r][c] = value(y, mirror(left + c, width));
    }
    __syncthreads();
}

// The blur along x of what was filled with `reach`, as far as the blur along y reads it; all threads must come here.
template <int REACH>
__device__ __forceinline__ void blur_across(Window<REACH>& window, int reach, const Taps& taps) {
    for (int r = reach - taps.radius + (int)threadIdx.y; r < TILE_Y + reach + taps.radius; r += GPUSTACK_THREADS_Y) {
        const float* at = &window.patch[r][threadIdx.x + reach];
        float sum = taps.tap[0] * at[0];
        for (int k = 1; k <= taps.radius; ++k) sum += taps.tap[k] * (at[-k] + at[k]);
        window.lines[r][threadIdx.x] = sum;
    }
    __syncthreads();
}

// The blur along y, after `blur_across`, in a row of the tile.
template <int REACH>
__device__ __forceinline__ float blurred_down(const Window<REACH>& window, int reach, const Taps& taps, int row) {
    const float* at = &window.lines[row + reach][threadIdx.x];
    float sum = taps.tap[0] * at[0];
    for (int k = 1; k <= taps.radius; ++k) sum += taps.tap[k] * (at[-k * TILE_X] + at[k * TILE_X]);
    return sum;
}
