// How much of each pixel a nearer thing covers (Backend.look_behind): the plain ground around it, how much its own frame looks
// like that, and where ground is joined to ground by pixels that do. Bytes a pixel, of c channels: `lay_sides` 17 in, 5 out;
// `plain_sums` 4c + 1 in, 4c + 4 out; `liken` 8c + 9 in, 4 out; `flood` 5 in, 4 out. Operations: a blur of 31 + 31 taps c + 1
// times, each tap of the first 2.9 times for the halo; 11 + 11 comparisons; ten rounds of 9 comparisons, 3.7 times each.
// With: window.cuh, beside.cuh

#define FILL_REACH 15  // ceil(3 FILL_SIGMA_PX)
#define CONTRAST 5     // CONTRAST_PX
#define ROUNDS 10      // FLOOD_PX

// The side of each pixel, 0 where one of the two frames is missing, and the radius of the blur from one depth to the other.
PICTURE_KERNEL lay_sides(const __grid_constant__ Beside beside, float radius, float widest, unsigned char* __restrict__ side,
                         float* __restrict__ disk) {
    const int x = own_x(), y = own_y();
    if (x >= beside.width || y >= beside.height) return;
    const size_t here = (size_t)y * beside.width + x;
    const bool there = beside.front_total[here] > 0.5f && beside.back_total[here] > 0.5f;
    const unsigned char own = there ? beside.side[here] : 0;
    side[here] = own;
    disk[here] = own ? fminf(fmaxf(radius * (beside.far_depth[here] - beside.near_depth[here]), 0.0f), widest) : 0.0f;
}

// The light of what is known to be ground, blurred, and how much ground there was; z counts channels, that comes last.
PICTURE_KERNEL plain_sums(const __grid_constant__ Beside beside, const unsigned char* __restrict__ side,
                          float* __restrict__ sums, const __grid_constant__ Taps taps) {
    __shared__ Window<FILL_REACH> window;
    const int height = beside.height, width = beside.width, c = blockIdx.z, top = (int)blockIdx.y * TILE_Y;
    fill_window(window, taps.radius, top, height, width, [&](int y, int x) {
        const size_t at = (size_t)y * width + x;
        if (side[at] != GROUND) return 0.0f;
        return c < beside.channels ? light_of(picture_at(beside, c, at), beside.coded) : 1.0f;
    });
    blur_across(window, taps.radius, taps);
    const int x = own_x();
    for (int row = threadIdx.y; row < TILE_Y; row += GPUSTACK_THREADS_Y)
        if (x < width && top + row < height)
            sums[((size_t)c * height + top + row) * width + x] = blurred_down(window, taps.radius, taps, row);
}

// By how much the nearer frame stands out of the plain ground, in its strongest channel; 0 where no thing seems to be.
__device__ __forceinline__ float contrast_at(const Beside& beside, const unsigned char* __restrict__ side,
                                             const float* __restrict__ sums, size_t at) {
    if (side[at] != FRONT) return 0.0f;
    float most = 0.0f;
    for (int c = 0; c < beside.channels; ++c) {
        const float plain = coded_of(plain_at(beside, sums, c, at), beside.coded);
        most = fmaxf(most, fabsf(front_at(beside, c, at) - plain));
    }
    return most;
}

// How much a pixel is like the ground, 0..1: by its contrast, as a share of the largest nearby and of noise at least.
ROOMY_PICTURE_KERNEL liken(const __grid_constant__ Beside beside, const unsigned char* __restrict__ side,
                           const float* __restrict__ sums, float least, float low, float slope,
                           float* __restrict__ like) {
    __shared__ float patch[TILE_Y + 2 * CONTRAST][TILE_X + 2 * CONTRAST], lines[TILE_Y + 2 * CONTRAST][TILE_X];
    const int height = beside.height, width = beside.width;
    const int left = (int)blockIdx.x * TILE_X - CONTRAST, top = (int)blockIdx.y * TILE_Y - CONTRAST;
    for (int r = threadIdx.y; r < TILE_Y + 2 * CONTRAST; r += GPUSTACK_THREADS_Y)
        for (int c = threadIdx.x; c < TILE_X + 2 * CONTRAST; c += GPUSTACK_THREADS_X)
            patch[r][c] = contrast_at(beside, side, sums, (size_t)clamped(top + r, height) * width + clamped(left + c, width));
    __syncthreads();
    for (int r = threadIdx.y; r < TILE_Y + 2 * CONTRAST; r += GPUSTACK_THREADS_Y) {
        float most = 0.0f;
        for (int k = 0; k <= 2 * CONTRAST; ++k) most = fmaxf(most, patch[r][threadIdx.x + k]);
        lines[r][threadIdx.x] = most;
    }
    __syncthreads();
    const int x = own_x();
    for (int row = threadIdx.y; row < TILE_Y; row += GPUSTACK_THREADS_Y) {
        const int y = top + CONTRAST + row;
        if (x >= width || y >= height) return;
        const size_t here = (size_t)y * width + x;
        float strongest = least;
        for (int k = 0; k <= 2 * CONTRAST; ++k) strongest = fmaxf(strongest, lines[row + k][threadIdx.x]);
        const float share = patch[row + CONTRAST][threadIdx.x + CONTRAST] / strongest;
        like[here] = side[here] == FRONT ? 1.0f - unit((share - low) * slope) : side[here] == GROUND ? 1.0f : 0.0f;
    }
}

// How much of a pixel is covered: what ground does not reach, round by round, from neighbour to neighbour that is like it.
PICTURE_KERNEL flood(const float* __restrict__ like, const unsigned char* __restrict__ side, float* __restrict__ cover,
                     int height, int width) {
    __shared__ float likes[TILE_Y + 2 * ROUNDS][TILE_X + 2 * ROUNDS];
    __shared__ float reached[2][TILE_Y + 2 * ROUNDS][TILE_X + 2 * ROUNDS];
    const int left = (int)blockIdx.x * TILE_X - ROUNDS, top = (int)blockIdx.y * TILE_Y - ROUNDS;
    for (int r = threadIdx.y; r < TILE_Y + 2 * ROUNDS; r += GPUSTACK_THREADS_Y)
        for (int c = threadIdx.x; c < TILE_X + 2 * ROUNDS; c += GPUSTACK_THREADS_X) {
            const int y = top + r, x = left + c;
            const bool in = x >= 0 && y >= 0 && x < width && y < height;
            likes[r][c] = in ? like[(size_t)y * width + x] : 0.0f;
            reached[0][r][c] = in && side[(size_t)y * width + x] == GROUND ? 1.0f : 0.0f;
        }
    __syncthreads();
    for (int round = 0; round < ROUNDS; ++round) {  // what is wrong at the patch's edges comes in by one pixel a round
        const auto& before = reached[round & 1];
        for (int r = threadIdx.y; r < TILE_Y + 2 * ROUNDS; r += GPUSTACK_THREADS_Y)
            for (int c = threadIdx.x; c < TILE_X + 2 * ROUNDS; c += GPUSTACK_THREADS_X) {
                float most = 0.0f;
                for (int i = 0; i < 9; ++i)
                    most = fmaxf(most, before[clamped(r - 1 + i / 3, TILE_Y + 2 * ROUNDS)]
                                             [clamped(c - 1 + i % 3, TILE_X + 2 * ROUNDS)]);
                reached[1 - (round & 1)][r][c] = fminf(most, likes[r][c]);
            }
        __syncthreads();
    }
    const int x = own_x();
    for (int row = threadIdx.y; row < TILE_Y; row += GPUSTACK_THREADS_Y) {
        const int y = (int)blockIdx.y * TILE_Y + row;
        if (x < width && y < height)
            cover[(size_t)y * width + x] = 1.0f - reached[ROUNDS & 1][row + ROUNDS][threadIdx.x + ROUNDS];
    }
}
