// The focus measure: squared 4-neighbour Laplacians of the luma at full and at half size, in units of their noise, smoothed,
// and folded at once into what is kept. Bytes a pixel: luma 4c in and 4 out; curvature of the half size 2; measure 4 + 1, and
// the part: a soft choice reads image and mean and writes the mean, 12c, and 12 to 18 besides, 16 to 20 more with a
// spread; a hard one 4 to 10.
// With: expand.cuh, part.cuh

#define TILE_X 32
#define TILE_Y 16
#define REACH 8                              // of the window, at most: ceil(3 sigma) for sigma 2.5
#define PATCH_X (TILE_X + 2 * REACH)
#define PATCH_Y (TILE_Y + 2 * REACH)

struct Work {
    float luma[PATCH_Y + 2][PATCH_X + 2];
    float power[PATCH_Y][PATCH_X];
    float lines[PATCH_Y][TILE_X];
};

// Luma of an image; alpha is ignored.
PICTURE_KERNEL luma(const float* __restrict__ image, int image_plane, int channels, float* __restrict__ out, int height,
                    int width) {
    const int x = own_x(), y = own_y();
    if (x >= width || y >= height) return;
    const size_t here = (size_t)y * width + x, plane = image_plane;
    out[here] = channels < 3 ? image[here] : luma_of(image[here], image[plane + here], image[2 * plane + here]);
}

// Squared Laplacian, blurred along x, for the tile whose first pixel is (y0, x0); all threads must come here.
__device__ __forceinline__ void curve(const float* __restrict__ plane, int height, int width, int y0, int x0, float scale,
                                      const Taps& taps, Work& work) {
    const int reach = taps.radius, wide = TILE_X + 2 * reach, high = TILE_Y + 2 * reach;
    for (int i = own_thread(); i < (high + 2) * (wide + 2); i += GPUSTACK_THREADS) {
        const int row = i / (wide + 2), column = i % (wide + 2);
        const int y = mirror(y0 - reach - 1 + row, height), x = mirror(x0 - reach - 1 + column, width);
        work.luma[row][column] = plane[(size_t)y * width + x];
    }
    __syncthreads();
    for (int i = own_thread(); i < high * wide; i += GPUSTACK_THREADS) {
        const int row = i / wide + 1, column = i % wide + 1;
        const float around = (work.luma[row - 1][column] + work.luma[row + 1][column]) +
                             (work.luma[row][column - 1] + work.luma[row][column + 1]);
        const float curved = (around - 4.0f * work.luma[row][column]) * scale;
        work.power[row - 1][column - 1] = curved * curved;
    }
    __syncthreads();
    for (int i = own_thread(); i < high * TILE_X; i += GPUSTACK_THREADS) {
        const float* p = &work.power[i / TILE_X][i % TILE_X + reach];
        float sum = taps.tap[0] * p[0];
        for (int k = 1; k <= reach; ++k) sum += taps.tap[k] * (p[-k] + p[k]);
        work.lines[i / TILE_X][i % TILE_X] = sum;
    }
    __syncthreads();
}

// The blur along y of a tile's row, after `curve`.
__device__ __forceinline__ float settled(const Work& work, const Taps& taps, int row) {
    const int middle = row + taps.radius;
    float sum = taps.tap[0] * work.lines[middle][threadIdx.x];
    for (int k = 1; k <= taps.radius; ++k)
        sum += taps.tap[k] * (work.lines[middle - k][threadIdx.x] + work.lines[middle + k][threadIdx.x]);
    return sum;
}

// The half-size share of the measure: out (height, width) from a plane of that size.
PICTURE_KERNEL curvature(const float* __restrict__ plane, int height, int width, float scale, float* __restrict__ out,
                         const __grid_constant__ Taps taps) {
    __shared__ Work work;
    const int x0 = blockIdx.x * TILE_X, y0 = blockIdx.y * TILE_Y, x = x0 + (int)threadIdx.x;
    curve(plane, height, width, y0, x0, scale, taps, work);
    if (x >= width) return;
    for (int row = threadIdx.y; row < TILE_Y && y0 + row < height; row += GPUSTACK_THREADS_Y)
        out[(size_t)(y0 + row) * width + x] = settled(work, taps, row);
}

// Fold the rows `first` to `last` of a band of `height` rows by its focus measure; `half` is `curvature` of its reduced luma.
ROOMY_PICTURE_KERNEL fold_sharpness(const float* __restrict__ luma, const float* __restrict__ half, int height, int width,
                              float scale, const float* __restrict__ image, int image_plane, int channels,
                              const unsigned char* __restrict__ valid, int first, int last,
                              const __grid_constant__ Part part, const __grid_constant__ Taps taps) {
    __shared__ Work work;
    const int x0 = blockIdx.x * TILE_X, y0 = first + (int)blockIdx.y * TILE_Y, x = x0 + (int)threadIdx.x;
    curve(luma, height, width, y0, x0, scale, taps, work);
    if (x >= width) return;
    for (int row = threadIdx.y; row < TILE_Y && y0 + row < last; row += GPUSTACK_THREADS_Y) {
        const int y = y0 + row;
        const float energy = settled(work, taps, row) + expanded(half, (height + 1) / 2, (width + 1) / 2, y, x);
        const size_t from = (size_t)y * width + x, to = (size_t)(y - first) * width + x;
        const Admitted admitted = admit(part, to, energy, !valid || valid[from]);
        if (admitted.share == 0.0f) continue;
        if (part.depth) spread_in(part, to, admitted, luma[from]);
        if (!part.kept) continue;
        for (int c = 0; c < channels; ++c)
            keep(part, (size_t)c * part.plane + to, image[(size_t)c * image_plane + from], admitted.share);
    }
}
