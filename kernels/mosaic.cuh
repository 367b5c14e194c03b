// Bayer mosaics: whose filter a pixel has, and its light. For the stages that find the colours between.

#define RED 0
#define GREEN 1
#define BLUE 2

// What a mosaic is. `black` and `gain` belong to the four pixels that the pattern repeats, row by row; `red` is one of them.
// Light above `white` is cut off.
struct Mosaic {
    int height, width;
    int red;
    float white;
    int black[4];
    float gain[4];
};

__device__ __forceinline__ int colour_of(const Mosaic& mosaic, int y, int x) {
    const int down = (y ^ (mosaic.red >> 1)) & 1, across = (x ^ mosaic.red) & 1;
    return down != across ? GREEN : down ? BLUE : RED;
}

// The light of a pixel, a whole number up to white; beyond the edge the mosaic is mirrored, which keeps its pattern.
__device__ __forceinline__ float light_of(const Mosaic& mosaic, const unsigned short* __restrict__ samples, int y, int x) {
    const int site = (y & 1) * 2 + (x & 1);
    const int sample = samples[(size_t)mirror(y, mosaic.height) * mosaic.width + mirror(x, mosaic.width)];
    return fminf(rintf((float)max(sample - mosaic.black[site], 0) * mosaic.gain[site]), mosaic.white);
}

__device__ __forceinline__ unsigned short rounded(const Mosaic& mosaic, float value) {
    return (unsigned short)fminf(fmaxf(rintf(value), 0.0f), mosaic.white);
}
