// Develop a Bayer mosaic by PPG (Chuan-kai Lin, "Pixel Grouping for Color Filter Array Demosaicing", 2003), with the integers
// and at the border the means that LibRaw has, so that both give the same. Bytes a pixel: reads 2, writes 6.

#define RED 0
#define GREEN 1
#define BLUE 2
#define TILE_X 32
#define TILE_Y 32
#define REACH 4  // pixels: what red and blue need of green, 1, and what that needs of the samples, 3
#define PATCH_X (TILE_X + 2 * REACH)
#define PATCH_Y (TILE_Y + 2 * REACH)
#define WHITE 65535

// What a mosaic is. `black` and `gain` belong to the four pixels that the pattern repeats, row by row; `red` is one of them.
struct Mosaic {
    int height, width;
    int red;
    int black[4];
    float gain[4];
};

// Shared memory of a block: scaled samples and the green of all pixels. Pixel (y, x) lies at [y - top][x - left].
struct Patch {
    unsigned short sample[PATCH_Y][PATCH_X];
    unsigned short green[PATCH_Y][PATCH_X];
};

__device__ __forceinline__ int colour_of(const Mosaic& mosaic, int y, int x) {
    const int down = (y ^ (mosaic.red >> 1)) & 1, across = (x ^ mosaic.red) & 1;
    return down != across ? GREEN : down ? BLUE : RED;
}

__device__ __forceinline__ unsigned short scaled(const Mosaic& mosaic, unsigned short sample, int y, int x) {
    const int site = (y & 1) * 2 + (x & 1), light = (int)sample - mosaic.black[site];
    return light <= 0 ? 0 : (unsigned short)fminf((float)light * mosaic.gain[site], (float)WHITE);
}

__device__ __forceinline__ int limited(int value, int a, int b) { return min(max(value, min(a, b)), max(a, b)); }

// The green between two neighbours at `step`, four times, from their sum and the curvature of the pixel's own colour.
__device__ __forceinline__ int green_guess(const unsigned short* s, int step) {
    return (s[-step] + s[0] + s[step]) * 2 - s[-2 * step] - s[2 * step];
}

// How much the mosaic changes along `step`: within the colour of the pixel, and within the green ones around it.
__device__ __forceinline__ int unrest(const unsigned short* s, int step) {
    return (abs(s[-2 * step] - s[0]) + abs(s[2 * step] - s[0]) + abs(s[-step] - s[step])) * 3 +
           (abs(s[3 * step] - s[step]) + abs(s[-3 * step] - s[-step])) * 2;
}

// Green where the filter is another: along the direction in which the mosaic changes less.
__device__ __forceinline__ int found_green(const unsigned short* s) {
    const int step = unrest(s, 1) > unrest(s, PATCH_X) ? PATCH_X : 1;
    return limited(green_guess(s, step) >> 2, s[step], s[-step]);
}

// The samples on both sides along `step`, corrected by how green differs there, twice.
__device__ __forceinline__ int colour_guess(const unsigned short* s, const unsigned short* g, int step) {
    return s[-step] + s[step] + 2 * g[0] - g[-step] - g[step];
}

__device__ __forceinline__ int clipped(int value) { return min(max(value, 0), WHITE); }

// Red at blue or blue at red: along the diagonal on which colour and green change less, or the mean of both.
__device__ __forceinline__ int found_opposite(const unsigned short* s, const unsigned short* g) {
    const int falling = PATCH_X + 1, rising = PATCH_X - 1;
    const int one = abs(s[-falling] - s[falling]) + abs(g[-falling] - g[0]) + abs(g[falling] - g[0]);
    const int other = abs(s[-rising] - s[rising]) + abs(g[-rising] - g[0]) + abs(g[rising] - g[0]);
    if (one == other) return clipped((colour_guess(s, g, falling) + colour_guess(s, g, rising)) >> 2);
    return clipped(colour_guess(s, g, one > other ? rising : falling) >> 1);
}

// The mean of the pixels of a colour next to (y, x), diagonally too, that are in the picture; 0 where there is none.
__device__ __forceinline__ int mean_beside(const Mosaic& mosaic, const unsigned short* s, int colour, int y, int x) {
    int sum = 0, count = 0;
    for (int v = max(y - 1, 0); v <= min(y + 1, mosaic.height - 1); ++v)
        for (int u = max(x - 1, 0); u <= min(x + 1, mosaic.width - 1); ++u)
            if (colour_of(mosaic, v, u) == colour) {
                sum += s[(v - y) * PATCH_X + u - x];
                ++count;
            }
    return count ? sum / count : 0;
}

// Pixels between (y, x) and the nearest edge of the picture; negative outside.
__device__ __forceinline__ int from_edge(const Mosaic& mosaic, int y, int x) {
    return min(min(y, mosaic.height - 1 - y), min(x, mosaic.width - 1 - x));
}

// Red or blue at a pixel whose filter is another.
__device__ __forceinline__ int found(const Mosaic& mosaic, const unsigned short* s, const unsigned short* g, int colour,
                                     int y, int x) {
    if (from_edge(mosaic, y, x) < 1) return mean_beside(mosaic, s, colour, y, x);
    if (colour_of(mosaic, y, x) != GREEN) return found_opposite(s, g);
    return clipped(colour_guess(s, g, colour_of(mosaic, y, x + 1) == colour ? 1 : PATCH_X) >> 1);
}

// samples (height, width) -> out (height, width, 3), linear.
PICTURE_KERNEL develop_bayer(const unsigned short* __restrict__ samples, unsigned short* __restrict__ out,
                             const __grid_constant__ Mosaic mosaic) {
    __shared__ Patch patch;
    const int left = (int)blockIdx.x * TILE_X - REACH, top = (int)blockIdx.y * TILE_Y - REACH;
    for (int i = own_thread(); i < PATCH_Y * PATCH_X; i += GPUSTACK_THREADS) {
        const int row = i / PATCH_X, column = i % PATCH_X, y = top + row, x = left + column;
        if (from_edge(mosaic, y, x) < 0) continue;
        patch.sample[row][column] = scaled(mosaic, samples[(size_t)y * mosaic.width + x], y, x);
    }
    __syncthreads();
    for (int i = own_thread(); i < (TILE_Y + 2) * (TILE_X + 2); i += GPUSTACK_THREADS) {
        const int row = i / (TILE_X + 2) + REACH - 1, column = i % (TILE_X + 2) + REACH - 1, y = top + row, x = left + column;
        const int edge = from_edge(mosaic, y, x);
        if (edge < 0) continue;
        const unsigned short* s = &patch.sample[row][column];
        int green = s[0];
        if (colour_of(mosaic, y, x) != GREEN) green = edge < 3 ? mean_beside(mosaic, s, GREEN, y, x) : found_green(s);
        patch.green[row][column] = (unsigned short)green;
    }
    __syncthreads();
    const int column = threadIdx.x + REACH, x = left + column;
    if (x >= mosaic.width) return;
    for (int row = threadIdx.y + REACH; row < TILE_Y + REACH && top + row < mosaic.height; row += GPUSTACK_THREADS_Y) {
        const int y = top + row, own = colour_of(mosaic, y, x);
        const unsigned short *s = &patch.sample[row][column], *g = &patch.green[row][column];
        unsigned short* pixel = out + ((size_t)y * mosaic.width + x) * 3;
        pixel[RED] = (unsigned short)(own == RED ? s[0] : found(mosaic, s, g, RED, y, x));
        pixel[GREEN] = g[0];
        pixel[BLUE] = (unsigned short)(own == BLUE ? s[0] : found(mosaic, s, g, BLUE, y, x));
    }
}
