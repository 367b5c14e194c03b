// Fold one level of a frame's Laplacian pyramid into what is kept: expand, subtract, windowed energy, compare and keep in one
// pass. Bytes a pixel: image 4c, coarse c, energy 4, evidence 4 on all levels but the finest, then the part: a hard choice
// reads 4 and writes 4c + 6 where the frame wins; a soft one reads and writes 4c + 4, reads 4, writes 6 where it wins.
// With: expand.cuh, part.cuh

#define TILE_X 32
#define TILE_Y 16
#define REACH 5                              // of the window, at most: ceil(3 sigma) for sigma 1.5
#define PATCH_X (TILE_X + 2 * REACH)
#define PATCH_Y (TILE_Y + 2 * REACH)
#define COARSE_Y (PATCH_Y / 2 + 3)           // coarse rows that a patch needs, at any parity
#define CHANNELS 4

struct LevelBand {
    const float* image;
    const float* coarse;
    const float* evidence;       // null on the finest level
    const unsigned char* valid;  // null: all pixels are
    float* energy;
    PIXEL* low;                  // null: no range is kept
    PIXEL* high;
    int image_plane, coarse_plane, extent_plane;
    int height, width, channels;
    int first, last;             // rows that are folded in
    int from;                    // first row whose energy is wanted
    int until;
    float trust;                 // how much more the evidence counts
    float white;
};

// Shared memory of a block: coarse rows already widened to the patch's columns, the energy, and its blur along x.
struct Work {
    float wide[CHANNELS][COARSE_Y][PATCH_X];
    float power[PATCH_Y][PATCH_X];
    float lines[PATCH_Y][TILE_X];
};

// The detail at fine pixel (y, x): `column` is its place in the patch, `top` the coarse row that wide[.][0] holds.
__device__ __forceinline__ float detail(const LevelBand& band, const Work& work, int c, int y, int x, int column, int top) {
    const Between rows = between(y, (band.height + 1) / 2);
    const float up = interpolated(work.wide[c][rows.before - top][column], work.wide[c][rows.at - top][column],
                                  work.wide[c][rows.after - top][column], rows.odd);
    return band.image[(size_t)c * band.image_plane + (size_t)y * band.width + x] - up;
}

__device__ __forceinline__ void widen(const LevelBand& band, Work& work, int x0, int top) {
    const int coarse_height = (band.height + 1) / 2, coarse_width = (band.width + 1) / 2;
    for (int i = own_thread(); i < COARSE_Y * PATCH_X; i += GPUSTACK_THREADS) {
        const int row = i / PATCH_X, column = i % PATCH_X;
        const size_t line = (size_t)min(top + row, coarse_height - 1) * coarse_width;
        const Between columns = between(mirror(x0 + column, band.width), coarse_width);
        for (int c = 0; c < band.channels; ++c)
            work.wide[c][row][column] = widened(band.coarse + (size_t)c * band.coarse_plane + line, columns);
    }
}

// Squared luma of the detail over the patch.
__device__ __forceinline__ void empower(const LevelBand& band, Work& work, int y0, int x0, int top, int reach) {
    for (int i = own_thread(); i < (TILE_Y + 2 * reach) * PATCH_X; i += GPUSTACK_THREADS) {
        const int row = i / PATCH_X, column = i % PATCH_X;
        if (y0 + row >= band.height + reach) continue;  // no pixel looks there, and its mirror may lie above the patch
        const int y = mirror(y0 + row, band.height), x = mirror(x0 + column, band.width);
        float value = detail(band, work, 0, y, x, column, top);
        if (band.channels >= 3)
            value = luma_of(value, detail(band, work, 1, y, x, column, top), detail(band, work, 2, y, x, column, top));
        work.power[row][column] = value * value;
    }
}

__device__ __forceinline__ void extend(const LevelBand& band, size_t i, float value) {
    const PIXEL rounded = to_pixel(value, band.white);
    if (rounded < band.low[i]) band.low[i] = rounded;
    if (rounded > band.high[i]) band.high[i] = rounded;
}

// Fold the pixel (y, x) of the band with its energy.
__device__ __forceinline__ void fold(const LevelBand& band, const Part& part, const Work& work, int y, int x, int column,
                                     int top, float energy) {
    const size_t here = (size_t)(y - band.first) * band.width + x;
    const bool valid = !band.valid || band.valid[(size_t)y * band.width + x];
    const float share = admit(part, here, energy, valid).share;
    for (int c = 0; c < band.channels; ++c) {
        if (share != 0.0f) keep(part, (size_t)c * part.plane + here, detail(band, work, c, y, x, column, top), share);
        if (band.low && valid)
            extend(band, (size_t)c * band.extent_plane + here,
                   band.image[(size_t)c * band.image_plane + (size_t)y * band.width + x]);
    }
}

PICTURE_KERNEL fold_level(const __grid_constant__ LevelBand band, const __grid_constant__ Part part,
                          const __grid_constant__ Taps taps) {
    __shared__ Work work;
    const int reach = taps.radius;
    const int x0 = (int)blockIdx.x * TILE_X - reach, y0 = band.from + (int)blockIdx.y * TILE_Y - reach;
    // The topmost coarse row of the patch; rows mirrored at the top lie below it.
    const int top = max(0, (max(y0, 0) >> 1) - 1);
    widen(band, work, x0, top);
    __syncthreads();
    empower(band, work, y0, x0, top, reach);
    __syncthreads();
    for (int i = own_thread(); i < (TILE_Y + 2 * reach) * TILE_X; i += GPUSTACK_THREADS) {
        const float* p = &work.power[i / TILE_X][i % TILE_X + reach];
        float sum = taps.tap[0] * p[0];
        for (int k = 1; k <= reach; ++k) sum += taps.tap[k] * (p[-k] + p[k]);
        work.lines[i / TILE_X][i % TILE_X] = sum;
    }
    __syncthreads();
    const int x = (int)blockIdx.x * TILE_X + threadIdx.x;
    if (x >= band.width) return;
    for (int row = threadIdx.y; row < TILE_Y; row += GPUSTACK_THREADS_Y) {
        const int y = y0 + reach + row;
        if (y >= band.until) return;
        float energy = taps.tap[0] * work.lines[row + reach][threadIdx.x];
        for (int k = 1; k <= reach; ++k)
            energy += taps.tap[k] * (work.lines[row + reach - k][threadIdx.x] + work.lines[row + reach + k][threadIdx.x]);
        const size_t here = (size_t)y * band.width + x;
        if (band.evidence) energy += band.trust * band.evidence[here];
        band.energy[here] = energy;
        if (y >= band.first && y < band.last) fold(band, part, work, y, x, (int)threadIdx.x + reach, top, energy);
    }
}
