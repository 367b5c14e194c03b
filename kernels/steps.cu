// Where depth steps (Backend.steps): which depths are surely seen, and what the farthest and the nearest of these are within
// reach. Morphology by squares whose windows end at the picture's edges; it rounds nothing, so order does not matter.
// Bytes a pixel: `surely_seen` 8 in, 1 out; `step_sides` 5 in, 9 out.

#define TILE_X 32
#define TILE_Y 16
#define REACH 12  // STEP_REACH_PX: of the focus measure of a nearer thing
#define NOWHERE 1e9f
#define GROUND 1
#define FRONT 2

struct Ends {
    float most, least;
};

// What is looked at first, and the extremes along lines after it.
union Room {
    float patch[TILE_Y + 2 * (REACH + 2)][TILE_X + 2 * (REACH + 2)];
    Ends lines[TILE_Y + 2 * (REACH + 1)][TILE_X];
};

__device__ __forceinline__ bool inside(int index, int length) { return index >= 0 && index < length; }

// 1 where a depth is even over 3x3 pixels, above noise, and no rim of a stronger edge within reach.
PICTURE_KERNEL surely_seen(const float* __restrict__ depth, const float* __restrict__ energy, float floor, float share,
                           float even, unsigned char* __restrict__ seen, int height, int width) {
    __shared__ float patch[TILE_Y + 2 * REACH][TILE_X + 2 * REACH], lines[TILE_Y + 2 * REACH][TILE_X];
    const int left = (int)blockIdx.x * TILE_X, top = (int)blockIdx.y * TILE_Y, x = left + (int)threadIdx.x;
    for (int r = threadIdx.y; r < TILE_Y + 2 * REACH; r += GPUSTACK_THREADS_Y)
        for (int c = threadIdx.x; c < TILE_X + 2 * REACH; c += GPUSTACK_THREADS_X)
            patch[r][c] = energy[(size_t)clamped(top - REACH + r, height) * width + clamped(left - REACH + c, width)];
    __syncthreads();
    for (int r = threadIdx.y; r < TILE_Y + 2 * REACH; r += GPUSTACK_THREADS_Y) {
        float most = patch[r][threadIdx.x];
        for (int k = 1; k <= 2 * REACH; ++k) most = fmaxf(most, patch[r][threadIdx.x + k]);
        lines[r][threadIdx.x] = most;
    }
    __syncthreads();
    for (int row = threadIdx.y; row < TILE_Y; row += GPUSTACK_THREADS_Y) {
        const int y = top + row;
        if (x >= width || y >= height) return;
        float around = lines[row][threadIdx.x];
        for (int k = 1; k <= 2 * REACH; ++k) around = fmaxf(around, lines[row + k][threadIdx.x]);
        const size_t here = (size_t)y * width + x;
        const float own = energy[here];
        Ends ends = {depth[here], depth[here]};
        for (int i = 0; i < 9; ++i) {
            const float near = depth[(size_t)clamped(y - 1 + i / 3, height) * width + clamped(x - 1 + i % 3, width)];
            ends = {fmaxf(ends.most, near), fminf(ends.least, near)};
        }
        seen[here] = ends.most - ends.least <= even && own > floor && own > share * around;
    }
}

// The farthest and the nearest depth of the 3x3 pixels around, if all of them are surely seen: what opening keeps. `NOWHERE`
// in the patch: not seen; and outside of the picture, where `known` is false, nothing is asked for.
template <typename Known>
__device__ __forceinline__ Ends core(const float patch[][TILE_X + 2 * (REACH + 2)], int r, int c, Known known) {
    Ends far_and_near = {NOWHERE, -NOWHERE};
    for (int i = 0; i < 9; ++i) {
        const int row = r - 1 + i / 3, column = c - 1 + i % 3;
        if (!known(row, column)) continue;
        const float depth = patch[row][column];
        if (depth == NOWHERE) return {-NOWHERE, NOWHERE};
        far_and_near = {fminf(far_and_near.most, depth), fmaxf(far_and_near.least, depth)};
    }
    return far_and_near;
}

// The depths on both sides of a step, and on which side a pixel is, for the rows from `first` on. Opening and dilating by
// REACH are one dilation of the cores by REACH + 1.
PICTURE_KERNEL step_sides(const float* __restrict__ depth, const unsigned char* __restrict__ seen, float step, int height,
                          int width, int first, float* __restrict__ near, float* __restrict__ far,
                          unsigned char* __restrict__ side, int rows) {
    __shared__ Room room;
    __shared__ Ends cores[TILE_Y + 2 * (REACH + 1)][TILE_X + 2 * (REACH + 1)];
    const int left = (int)blockIdx.x * TILE_X - REACH - 2, top = first + (int)blockIdx.y * TILE_Y - REACH - 2;
    for (int r = threadIdx.y; r < TILE_Y + 2 * (REACH + 2); r += GPUSTACK_THREADS_Y)
        for (int c = threadIdx.x; c < TILE_X + 2 * (REACH + 2); c += GPUSTACK_THREADS_X) {
            const size_t at = (size_t)clamped(top + r, height) * width + clamped(left + c, width);
            room.patch[r][c] = seen[at] ? depth[at] : NOWHERE;
        }
    __syncthreads();
    const auto known = [&](int r, int c) { return inside(top + r, height) && inside(left + c, width); };
    for (int r = threadIdx.y; r < TILE_Y + 2 * (REACH + 1); r += GPUSTACK_THREADS_Y)
        for (int c = threadIdx.x; c < TILE_X + 2 * (REACH + 1); c += GPUSTACK_THREADS_X)
            cores[r][c] = known(r + 1, c + 1) ? core(room.patch, r + 1, c + 1, known) : Ends{-NOWHERE, NOWHERE};
    __syncthreads();
    for (int r = threadIdx.y; r < TILE_Y + 2 * (REACH + 1); r += GPUSTACK_THREADS_Y) {
        Ends ends = cores[r][threadIdx.x];
        for (int k = 1; k <= 2 * (REACH + 1); ++k) {
            const Ends next = cores[r][threadIdx.x + k];
            ends = {fmaxf(ends.most, next.most), fminf(ends.least, next.least)};
        }
        room.lines[r][threadIdx.x] = ends;
    }
    __syncthreads();
    const int x = left + REACH + 2 + (int)threadIdx.x;
    for (int row = threadIdx.y; row < TILE_Y; row += GPUSTACK_THREADS_Y) {
        const int out = (int)blockIdx.y * TILE_Y + row;
        if (x >= width || out >= rows) return;
        Ends ends = room.lines[row][threadIdx.x];
        for (int k = 1; k <= 2 * (REACH + 1); ++k) {
            const Ends next = room.lines[row + k][threadIdx.x];
            ends = {fmaxf(ends.most, next.most), fminf(ends.least, next.least)};
        }
        bool clump = false;
        for (int i = 0; i < 25; ++i) clump |= cores[row + REACH - 1 + i / 5][threadIdx.x + REACH - 1 + i % 5].most > -NOWHERE;
        const size_t to = (size_t)out * width + x;
        const float own = depth[(size_t)(first + out) * width + x];
        const bool veiled = ends.most - own > step, ground = own - ends.least > step && !veiled && clump;
        near[to] = ground ? ends.least : own;
        far[to] = veiled ? ends.most : own;
        side[to] = veiled ? FRONT : ground ? GROUND : 0;
    }
}
