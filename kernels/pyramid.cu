// One step down and one step up a pyramid, and between the cells of a small plane. Bytes a fine pixel and channel: reduce 4 in
// and 1 out, add_detail 4 + 1 in, 4 out.
// With: expand.cuh

#define TILE_X GPUSTACK_THREADS_X
#define TILE_Y GPUSTACK_THREADS_Y

// out = in at half size; 5-tap binomial, mirrored at the edges. z counts channels.
PICTURE_KERNEL reduce(const float* __restrict__ in, int in_plane, int height, int width, float* __restrict__ out,
                      int out_plane) {
    __shared__ float patch[2 * TILE_Y + 3][2 * TILE_X + 4];
    __shared__ float lines[2 * TILE_Y + 3][TILE_X + 1];
    const int x0 = 2 * (int)(blockIdx.x * TILE_X) - 2, y0 = 2 * (int)(blockIdx.y * TILE_Y) - 2;
    in += (size_t)blockIdx.z * in_plane;
    for (int i = own_thread(); i < (2 * TILE_Y + 3) * (2 * TILE_X + 3); i += TILE_X * TILE_Y) {
        const int y = i / (2 * TILE_X + 3), x = i % (2 * TILE_X + 3);
        patch[y][x] = in[(size_t)mirror(y0 + y, height) * width + mirror(x0 + x, width)];
    }
    __syncthreads();
    for (int i = own_thread(); i < (2 * TILE_Y + 3) * TILE_X; i += TILE_X * TILE_Y) {
        const float* p = &patch[i / TILE_X][2 * (i % TILE_X)];
        lines[i / TILE_X][i % TILE_X] = binomial(p[0], p[1], p[2], p[3], p[4]);
    }
    __syncthreads();
    const int x = own_x(), y = own_y(), out_height = (height + 1) / 2, out_width = (width + 1) / 2;
    if (x >= out_width || y >= out_height) return;
    const int ty = 2 * threadIdx.y, tx = threadIdx.x;
    out[blockIdx.z * (size_t)out_plane + (size_t)y * out_width + x] =
        binomial(lines[ty][tx], lines[ty + 1][tx], lines[ty + 2][tx], lines[ty + 3][tx], lines[ty + 4][tx]);
}

// The mask at half size: set where all 5x5 pixels that `reduce` reads, as far as there are any, are set.
PICTURE_KERNEL shrink_mask(const unsigned char* __restrict__ mask, int height, int width, unsigned char* __restrict__ out) {
    const int x = own_x(), y = own_y(), out_height = (height + 1) / 2, out_width = (width + 1) / 2;
    if (x >= out_width || y >= out_height) return;
    unsigned char all = 255;
    for (int j = -2; j <= 2; ++j)
        for (int i = -2; i <= 2; ++i)
            all &= mask[(size_t)clamped(2 * y + j, height) * width + clamped(2 * x + i, width)];
    out[(size_t)y * out_width + x] = all;
}

// out = coarse, expanded, plus detail: one level of the collapse. The coarse picture is expanded to the band with its halo,
// `height` rows, of which the `first`.. are wanted. z counts channels.
PICTURE_KERNEL add_detail(const float* __restrict__ coarse, int coarse_plane, int coarse_height, int coarse_width,
                          const float* __restrict__ detail, int detail_plane, float* __restrict__ out, int out_height,
                          int width, int first) {
    const int x = own_x(), y = own_y();
    if (x >= width || y >= out_height) return;
    coarse += (size_t)blockIdx.z * coarse_plane;
    const size_t here = (size_t)y * width + x;
    out[blockIdx.z * (size_t)out_height * width + here] =
        expanded(coarse, coarse_height, coarse_width, first + y, x) + detail[(size_t)blockIdx.z * detail_plane + here];
}

// Rows of the canvas from `top` on, linear between cells `step` apart, the first of them at `first`; beyond the outermost it is
// these. Bytes a pixel: 4 out, the cells come from the cache.
PICTURE_KERNEL between_cells(const float* __restrict__ cells, int cells_height, int cells_width, float first_x, float first_y,
                             float step_x, float step_y, float* __restrict__ out, int height, int width, int top) {
    const int x = own_x(), y = own_y();
    if (x >= width || y >= height) return;
    const float across = fminf(fmaxf(((float)x - first_x) / step_x, 0.0f), (float)(cells_width - 1));
    const float down = fminf(fmaxf(((float)(top + y) - first_y) / step_y, 0.0f), (float)(cells_height - 1));
    const int left = (int)across, above = (int)down;
    const int right = min(left + 1, cells_width - 1), below = min(above + 1, cells_height - 1);
    const float share = across - (float)left;
    const float* upper = cells + (size_t)above * cells_width;
    const float* lower = cells + (size_t)below * cells_width;
    const float a = upper[left] + (upper[right] - upper[left]) * share;
    const float b = lower[left] + (lower[right] - lower[left]) * share;
    out[(size_t)y * width + x] = a + (b - a) * (down - (float)above);
}
