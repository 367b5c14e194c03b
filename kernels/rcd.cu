// Develop a Bayer mosaic by ratio correction along the direction in which it is smooth (L. Sanz Rodriguez, "Ratio corrected
// demosaicing", 2017, version 2.3; gpustack/backend/demosaic/rcd.py says how it works, and adds in the same order). Bytes a
// pixel: reads 2, writes 6.
// With: mosaic.cuh

#define TILE_X 32
#define TILE_Y 16
#define REACH 10  // pixels: 3 to other colours, 2 from there to green, 1 to the unrest around that, and what this needs, 4
#define PATCH_X (TILE_X + 2 * REACH)
#define PATCH_Y (TILE_Y + 2 * REACH)
#define DOWN PATCH_X
#define ACROSS 1
#define FALLING (PATCH_X + 1)
#define RISING (PATCH_X - 1)
#define LEAST 0.65f
#define LEAST_POWER 0.42f

// Shared memory of a block; pixel (y, x) lies at [y - top][x - left]. `other` is blue at red and red at blue.
struct Patch {
    float light[PATCH_Y][PATCH_X], green[PATCH_Y][PATCH_X], other[PATCH_Y][PATCH_X];
    float straight[PATCH_Y][PATCH_X], oblique[PATCH_Y][PATCH_X];
};

// What changes on one side of a pixel, and what a colour would be by that side.
struct Side {
    float change, value;
};

__device__ __forceinline__ float power(const float* s, int step) {
    const float one = s[-step] + s[step], two = s[-2 * step] + s[2 * step], three = s[-3 * step] + s[3 * step];
    const float high = three - one - two * 3.0f + s[0] * 6.0f;
    return high * high;
}

__device__ __forceinline__ float summed_power(const float* s, int step) {
    return fmaxf(power(s - step, step) + power(s, step) + power(s + step, step), LEAST_POWER);
}

// The share of the first axis in the unrest along both.
__device__ __forceinline__ float unrest(const float* s, int first, int second) {
    const float one = summed_power(s, first);
    return one / (summed_power(s, second) + one);
}

// A share, or the mean of those of the diagonal neighbours, whichever is farther from a half.
__device__ __forceinline__ float surer(const float* share) {
    const float around = (share[-FALLING] + share[-RISING] + (share[RISING] + share[FALLING])) * 0.25f;
    return fabsf(share[0] - 0.5f) < fabsf(around - 0.5f) ? around : share[0];
}

__device__ __forceinline__ float between(const Side& before, const Side& after) {
    return (before.change * after.value + after.change * before.value) / (before.change + after.change);
}

__device__ __forceinline__ float blended(float first, float second, float share) { return first + (second - first) * share; }

__device__ __forceinline__ float low(const float* s) {
    const float beside = s[-DOWN] + s[DOWN] + (s[-ACROSS] + s[ACROSS]);
    return s[0] + beside * 0.5f + (s[-FALLING] + s[-RISING] + (s[RISING] + s[FALLING])) * 0.25f;
}

// Green by one side: the green beside, times how much brighter it is here.
__device__ __forceinline__ Side by_ratio(const float* s, float here, int step) {
    const float change = fabsf(s[0] - s[2 * step]) + fabsf(s[step] - s[3 * step]) + fabsf(s[2 * step] - s[4 * step]) +
                         fabsf(s[-step] - s[step]);
    return {change + LEAST, s[step] * (here + here) / (here + LEAST + low(s + 2 * step))};
}

__device__ __forceinline__ float found_green(const float* s, const float* straight, float white) {
    const float here = low(s);
    const float down = between(by_ratio(s, here, -DOWN), by_ratio(s, here, DOWN));
    const float across = between(by_ratio(s, here, -ACROSS), by_ratio(s, here, ACROSS));
    return fminf(fmaxf(blended(down, across, surer(straight)), 0.0f), white);
}

// How a colour `s` differs from green `g` on one side.
__device__ __forceinline__ Side by_difference(const float* s, const float* g, int step) {
    const float change = fabsf(s[step] - s[3 * step]) + fabsf(s[-step] - s[step]) + fabsf(g[0] - g[2 * step]);
    return {change + LEAST, s[step] - g[step]};
}

__device__ __forceinline__ float difference(const float* s, const float* g, int step) {
    return between(by_difference(s, g, -step), by_difference(s, g, step));
}

// Red or blue at green: `across` and `down` are where it is known along these axes.
__device__ __forceinline__ float found_beside(const float* across, const float* down, const float* g, const float* straight) {
    return blended(difference(down, g, DOWN), difference(across, g, ACROSS), surer(straight)) + g[0];
}

__device__ __forceinline__ float found_opposite(const float* s, const float* g, const float* oblique) {
    return blended(difference(s, g, FALLING), difference(s, g, RISING), surer(oblique)) + g[0];
}

// samples (height, width) -> out (height, width, 3), linear.
ROOMY_PICTURE_KERNEL develop_rcd(const unsigned short* __restrict__ samples, unsigned short* __restrict__ out,
                                 const __grid_constant__ Mosaic mosaic) {
    __shared__ Patch patch;
    const int left = (int)blockIdx.x * TILE_X - REACH, top = (int)blockIdx.y * TILE_Y - REACH;
    for (int i = own_thread(); i < PATCH_Y * PATCH_X; i += GPUSTACK_THREADS) {
        const int row = i / PATCH_X, column = i % PATCH_X;
        const float light = light_of(mosaic, samples, top + row, left + column);
        patch.light[row][column] = light;
        patch.green[row][column] = light;  // to be replaced at red and blue
    }
    __syncthreads();
    for (int i = own_thread(); i < PATCH_Y * PATCH_X; i += GPUSTACK_THREADS) {
        const int row = i / PATCH_X, column = i % PATCH_X;
        if (min(min(row, PATCH_Y - 1 - row), min(column, PATCH_X - 1 - column)) < 4) continue;
        const float* s = &patch.light[row][column];
        patch.straight[row][column] = unrest(s, DOWN, ACROSS);
        if (colour_of(mosaic, top + row, left + column) != GREEN) patch.oblique[row][column] = unrest(s, FALLING, RISING);
    }
    __syncthreads();
    // Red and blue pixels only: every second one of a row, from `first` on.
    for (int i = own_thread(); i < PATCH_Y * (PATCH_X / 2); i += GPUSTACK_THREADS) {
        const int row = i / (PATCH_X / 2), first = colour_of(mosaic, top + row, left) == GREEN;
        const int column = i % (PATCH_X / 2) * 2 + first;
        if (min(min(row, PATCH_Y - 1 - row), min(column, PATCH_X - 1 - column)) < 5) continue;
        patch.green[row][column] = found_green(&patch.light[row][column], &patch.straight[row][column], mosaic.white);
    }
    __syncthreads();
    for (int i = own_thread(); i < PATCH_Y * (PATCH_X / 2); i += GPUSTACK_THREADS) {
        const int row = i / (PATCH_X / 2), first = colour_of(mosaic, top + row, left) == GREEN;
        const int column = i % (PATCH_X / 2) * 2 + first;
        if (min(min(row, PATCH_Y - 1 - row), min(column, PATCH_X - 1 - column)) < 7) continue;
        patch.other[row][column] =
            found_opposite(&patch.light[row][column], &patch.green[row][column], &patch.oblique[row][column]);
    }
    __syncthreads();
    const int column = threadIdx.x + REACH, x = left + column;
    if (x >= mosaic.width) return;
    for (int row = threadIdx.y + REACH; row < TILE_Y + REACH && top + row < mosaic.height; row += GPUSTACK_THREADS_Y) {
        const int y = top + row, own = colour_of(mosaic, y, x), beside = colour_of(mosaic, y, x + 1);
        const float *light = &patch.light[row][column], *other = &patch.other[row][column];
        const float *green = &patch.green[row][column], *straight = &patch.straight[row][column];
        unsigned short* pixel = out + ((size_t)y * mosaic.width + x) * 3;
        pixel[GREEN] = rounded(mosaic, green[0]);
        for (int colour = RED; colour <= BLUE; colour += BLUE) {
            const float value = own == colour    ? light[0]
                                : own != GREEN   ? other[0]
                                : beside == colour ? found_beside(light, other, green, straight)
                                                   : found_beside(other, light, green, straight);
            pixel[colour] = rounded(mosaic, value);
        }
    }
}
