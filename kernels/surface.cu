// The depth surface: outliers go by a median, the rest is averaged by confidence, holes are filled from their rims.
// With: expand.cuh

#define TILE_X 32
#define TILE_Y 8
#define REACH 9                              // of the blur, at most: ceil(3 sigma) for sigma 3
#define PATCH_X (TILE_X + 2 * REACH)
#define PATCH_Y (TILE_Y + 2 * REACH)

struct Both {
    float x, y;
};

// Median of 5x5 pixels, the edge repeated: the value with at most 12 others below it and at most 12 above. Found by
// counting, which needs no sorted copy and so no stack.
PICTURE_KERNEL median(const float* __restrict__ plane, float* __restrict__ out, int height, int width) {
    __shared__ float patch[TILE_Y + 4][TILE_X + 4];
    const int x0 = (int)(blockIdx.x * TILE_X) - 2, y0 = (int)(blockIdx.y * TILE_Y) - 2;
    for (int i = own_thread(); i < (TILE_Y + 4) * (TILE_X + 4); i += GPUSTACK_THREADS) {
        const int y = clamped(y0 + i / (TILE_X + 4), height), x = clamped(x0 + i % (TILE_X + 4), width);
        patch[i / (TILE_X + 4)][i % (TILE_X + 4)] = plane[(size_t)y * width + x];
    }
    __syncthreads();
    const int x = own_x(), y = own_y(), ty = threadIdx.y, tx = threadIdx.x;
    if (x >= width || y >= height) return;
    for (int i = 0; i < 25; ++i) {
        const float value = patch[ty + i / 5][tx + i % 5];
        int below = 0, above = 0;
        for (int j = 0; j < 25; ++j) {
            below += patch[ty + j / 5][tx + j % 5] < value;
            above += patch[ty + j / 5][tx + j % 5] > value;
        }
        if (below <= 12 && above <= 12) {
            out[(size_t)y * width + x] = value;
            return;
        }
    }
}

// Gaussian blur of plane times weight, and of the weight, in one pass.
PICTURE_KERNEL smooth_by(const float* __restrict__ plane, const float* __restrict__ weight, float* __restrict__ top,
                         float* __restrict__ bottom, int height, int width, const __grid_constant__ Taps taps) {
    __shared__ Both patch[PATCH_Y][PATCH_X];
    __shared__ Both lines[PATCH_Y][TILE_X];
    const int reach = taps.radius, wide = TILE_X + 2 * reach, high = TILE_Y + 2 * reach;
    const int x0 = (int)(blockIdx.x * TILE_X) - reach, y0 = (int)(blockIdx.y * TILE_Y) - reach;
    for (int i = own_thread(); i < high * wide; i += GPUSTACK_THREADS) {
        const size_t from = (size_t)mirror(y0 + i / wide, height) * width + mirror(x0 + i % wide, width);
        patch[i / wide][i % wide] = {weight[from] * plane[from], weight[from]};
    }
    __syncthreads();
    for (int i = own_thread(); i < high * TILE_X; i += GPUSTACK_THREADS) {
        const Both* p = &patch[i / TILE_X][i % TILE_X + reach];
        Both sum = {taps.tap[0] * p[0].x, taps.tap[0] * p[0].y};
        for (int k = 1; k <= reach; ++k) {
            sum.x += taps.tap[k] * (p[-k].x + p[k].x);
            sum.y += taps.tap[k] * (p[-k].y + p[k].y);
        }
        lines[i / TILE_X][i % TILE_X] = sum;
    }
    __syncthreads();
    const int x = own_x(), y = own_y(), middle = threadIdx.y + reach;
    if (x >= width || y >= height) return;
    const Both* p = &lines[middle][threadIdx.x];
    Both sum = {taps.tap[0] * p->x, taps.tap[0] * p->y};
    for (int k = 1; k <= reach; ++k) {
        sum.x += taps.tap[k] * (p[-k * TILE_X].x + p[k * TILE_X].x);
        sum.y += taps.tap[k] * (p[-k * TILE_X].y + p[k * TILE_X].y);
    }
    top[(size_t)y * width + x] = sum.x;
    bottom[(size_t)y * width + x] = sum.y;
}

// (top + weight * expanded rim) / (bottom + weight); without a rim top / bottom.
PICTURE_KERNEL fill_in(const float* __restrict__ top, const float* __restrict__ bottom, const float* __restrict__ rim,
                       float weight, float* __restrict__ out, int height, int width) {
    const int x = own_x(), y = own_y();
    if (x >= width || y >= height) return;
    const size_t here = (size_t)y * width + x;
    if (!rim) {
        out[here] = top[here] / fmaxf(bottom[here], 1e-12f);
        return;
    }
    const float wide = expanded(rim, (height + 1) / 2, (width + 1) / 2, y, x);
    out[here] = (top[here] + weight * wide) / (bottom[here] + weight);
}
