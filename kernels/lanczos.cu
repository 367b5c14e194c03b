// With: place.cuh
// Rows of the canvas resampled from a frame (h, w, c): Lanczos of three lobes (Duchon, "Lanczos filtering in one and two
// dimensions", 1979) at float32 positions, the frame's edge repeated outside. Bytes a pixel: the frame's own (its
// neighbours come from the cache), and 4 a channel.

#define TAPS 6
#define FIRST_TAP -2

// A position in the frame: the whole pixel before it, and the weights of the taps around.
struct Spot {
    int left, top;
    float across[TAPS], down[TAPS];
};

// sin(v) / v at v = pi t / 3, for t 0..1, to 6e-9: interpolated at the zeros of a Chebyshev polynomial.
__device__ __forceinline__ float sinc(float t) {
    const float z = t * t;
    return (((3.9066463e-06f * z - 0.00026161328f) * z + 0.010021501f) * z - 0.18277045f) * z + 1.0f;
}

// The weights, which add up to 1, at a fraction 0..1 after the third of the taps. A tap at the distance d weighs
// sin(pi d) sin(pi d / 3) / d^2. The first sine is the same for all taps but for its sign, and with t (1 - t) / sin(pi t)
// as a common factor nothing is divided by nought. The second takes three values: a, b and their sum.
__device__ __forceinline__ void lanczos(float t, float weight[TAPS]) {
    const float u = 1.0f - t, near = sinc(t), far = sinc(u), both = t * u;
    const float a = t * near, b = u * far, middle = both * (a + b);
    weight[0] = both * b / ((t + 2.0f) * (t + 2.0f));
    weight[1] = -(middle / ((t + 1.0f) * (t + 1.0f)));
    weight[2] = u * near;
    weight[3] = t * far;
    weight[4] = -(middle / ((u + 1.0f) * (u + 1.0f)));
    weight[5] = both * a / ((u + 2.0f) * (u + 2.0f));
    const float scale = 1.0f / (weight[0] + weight[1] + weight[2] + weight[3] + weight[4] + weight[5]);
#pragma unroll
    for (int i = 0; i < TAPS; ++i) weight[i] *= scale;
}

// The samples of all channels at a spot, written `plane` values apart. Channels share a tap's address and are counted when
// this is compiled: in a loop over them the compiler would keep 36 addresses, more than there are registers.
template <int CHANNELS>
__device__ __forceinline__ void sample(const PIXEL* __restrict__ frame, int height, int width, const Spot& spot,
                                       const Toning& toning, float* __restrict__ out, size_t plane) {
    float sum[CHANNELS] = {};
#pragma unroll
    for (int j = 0; j < TAPS; ++j) {
        const PIXEL* line = frame + (size_t)clamped(spot.top + FIRST_TAP + j, height) * width * CHANNELS;
        float part[CHANNELS] = {};
#pragma unroll
        for (int i = 0; i < TAPS; ++i) {
            const PIXEL* pixel = line + (size_t)clamped(spot.left + FIRST_TAP + i, width) * CHANNELS;
#pragma unroll
            for (int c = 0; c < CHANNELS; ++c) part[c] += (float)pixel[c] * toning.scale[c] * spot.across[i];
        }
#pragma unroll
        for (int c = 0; c < CHANNELS; ++c) sum[c] += part[c] * spot.down[j];
    }
#pragma unroll
    for (int c = 0; c < CHANNELS; ++c) out[c * plane] = sum[c] + toning.offset[c];
}

ROOMY_PICTURE_KERNEL warp_lanczos(const PIXEL* __restrict__ frame, int frame_height, int frame_width, int channels,
                                  float* __restrict__ out, unsigned char* __restrict__ valid, int height, int width,
                                  const __grid_constant__ Warp warp) {
    const int x = own_x(), y = own_y();
    if (x >= width || y >= height) return;
    const Position at = position(warp, x, warp.first_row + y);
    const float left = whole(at.x, frame_width), top = whole(at.y, frame_height);
    Spot spot = {(int)left, (int)top, {}, {}};
    lanczos(fminf(fmaxf(at.x - left, 0.0f), 1.0f), spot.across);
    lanczos(fminf(fmaxf(at.y - top, 0.0f), 1.0f), spot.down);
    const size_t here = (size_t)y * width + x, plane = (size_t)height * width;
    if (channels == 1) sample<1>(frame, frame_height, frame_width, spot, warp.toning, out + here, plane);
    if (channels == 2) sample<2>(frame, frame_height, frame_width, spot, warp.toning, out + here, plane);
    if (channels == 3) sample<3>(frame, frame_height, frame_width, spot, warp.toning, out + here, plane);
    if (channels == 4) sample<4>(frame, frame_height, frame_width, spot, warp.toning, out + here, plane);
    if (valid) valid[here] = covered(warp, at, frame_height, frame_width);
}
