// Develop a Bayer mosaic by fixed filters of 5x5 (Malvar, He, Cutler, "High-quality linear interpolation for demosaicing of
// Bayer-patterned color images", ICASSP 2004). Weights are sixteenths and light is whole, so every sum is exact. Bytes a
// pixel: reads 2, writes 6.
// With: mosaic.cuh

#define TILE_X 32
#define TILE_Y 32
#define REACH 2
#define PATCH_X (TILE_X + 2 * REACH)
#define PATCH_Y (TILE_Y + 2 * REACH)

__device__ __forceinline__ float beside(const float* s, int step) { return s[-step] + s[step]; }

__device__ __forceinline__ float diagonal(const float* s) { return beside(s, PATCH_X + 1) + beside(s, PATCH_X - 1); }

// Green where the filter is another.
__device__ __forceinline__ float found_green(const float* s) {
    const float far = beside(s, 2) + beside(s, 2 * PATCH_X), greens = beside(s, 1) + beside(s, PATCH_X);
    return 0.5f * s[0] - 0.125f * far + 0.25f * greens;
}

// Red at blue, or blue at red.
__device__ __forceinline__ float found_opposite(const float* s) {
    const float far = beside(s, 2) + beside(s, 2 * PATCH_X);
    return 0.75f * s[0] - 0.1875f * far + 0.25f * diagonal(s);
}

// Red or blue at green, where it lies beside along `step`, and the other along `over`.
__device__ __forceinline__ float found_beside(const float* s, int step, int over) {
    const float curve = 5.0f * s[0] + 0.5f * beside(s, 2 * over) - (diagonal(s) + beside(s, 2 * step));
    return 0.125f * curve + 0.5f * beside(s, step);
}

__device__ __forceinline__ float found(const Mosaic& mosaic, const float* s, int colour, int y, int x) {
    const int own = colour_of(mosaic, y, x);
    if (own == colour) return s[0];
    if (colour == GREEN) return found_green(s);
    if (own != GREEN) return found_opposite(s);
    return colour_of(mosaic, y, x + 1) == colour ? found_beside(s, 1, PATCH_X) : found_beside(s, PATCH_X, 1);
}

// samples (height, width) -> out (height, width, 3), linear.
PICTURE_KERNEL develop_malvar(const unsigned short* __restrict__ samples, unsigned short* __restrict__ out,
                              const __grid_constant__ Mosaic mosaic) {
    __shared__ float light[PATCH_Y][PATCH_X];
    const int left = (int)blockIdx.x * TILE_X - REACH, top = (int)blockIdx.y * TILE_Y - REACH;
    for (int i = own_thread(); i < PATCH_Y * PATCH_X; i += GPUSTACK_THREADS)
        light[i / PATCH_X][i % PATCH_X] = light_of(mosaic, samples, top + i / PATCH_X, left + i % PATCH_X);
    __syncthreads();
    const int column = threadIdx.x + REACH, x = left + column;
    if (x >= mosaic.width) return;
    for (int row = threadIdx.y + REACH; row < TILE_Y + REACH && top + row < mosaic.height; row += GPUSTACK_THREADS_Y) {
        const int y = top + row;
        unsigned short* pixel = out + ((size_t)y * mosaic.width + x) * 3;
        for (int colour = RED; colour <= BLUE; ++colour)
            pixel[colour] = rounded(mosaic, found(mosaic, &light[row][column], colour, y, x));
    }
}
