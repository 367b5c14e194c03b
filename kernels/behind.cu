// The ground put in beside nearer things (Backend.look_behind), as far as it fits what was seen and is more than noise. Bytes a
// pixel, of c channels: `compare` 16c + 13 in, 4c + 4 out; `judge` 20c + 13 in, 12 out; `put_in` 4c + 9 in, 4c out, and 12c + 12
// in where a nearer thing seems to be.
// Operations: a blur of 13 + 13 taps c + 1 times and twice more, each tap of the first 1.75 times for the halo.
// With: window.cuh, beside.cuh

#define REACH 6  // ceil(3 BEHIND_SIGMA_PX)

// What was worked out: `clear` the ground's light as if nothing were before it, `blurred` as the nearer frame shows it, (c, h,
// w); how much the thing covers of each pixel, and blocks of the ground's light, (h, w) 0..1.
struct Found {
    const unsigned char* side;
    const float* clear;
    const float* blurred;
    const float* cover;
    const float* blocked;
    float opaque;  // where this share of the light is blocked, what is left of the ground is not believed
};

__device__ __forceinline__ float visible(const Found& found, size_t here) {
    return unit((found.opaque - found.blocked[here]) * 5.0f);
}

// What the picture lacks of a channel.
__device__ __forceinline__ float lacking(const Beside& beside, const Found& found, int c, size_t here) {
    const size_t at = (size_t)c * beside.height * beside.width + here;
    const float front = light_of(front_at(beside, c, here), beside.coded), bare = 1.0f - found.cover[here];
    return coded_of(front + bare * (found.clear[at] - found.blurred[at]), beside.coded) - picture_at(beside, c, here);
}

// How far what was worked out is from what was seen, times its weight, and that weight, blurred; z counts channels, the weight
// comes last.
ROOMY_PICTURE_KERNEL compare(const __grid_constant__ Beside beside, const __grid_constant__ Found found,
                             float* __restrict__ sums, const __grid_constant__ Taps taps) {
    __shared__ Window<REACH> window;
    const int height = beside.height, width = beside.width, c = blockIdx.z, top = (int)blockIdx.y * TILE_Y;
    const size_t plane = (size_t)c * height * width;
    fill_window(window, taps.radius, top, height, width, [&](int y, int x) {
        const size_t at = (size_t)y * width + x;
        const bool veiled = found.side[at] == FRONT;
        const float trusted = veiled ? 1.0f - found.cover[at] : found.side[at] == GROUND ? 1.0f : 0.0f;
        const float weight = visible(found, at) * trusted;
        if (c == beside.channels) return weight;
        const float away = veiled ? front_at(beside, c, at) - coded_of(found.blurred[plane + at], beside.coded)
                                  : picture_at(beside, c, at) - coded_of(found.clear[plane + at], beside.coded);
        return away * weight;
    });
    blur_across(window, taps.radius, taps);
    const int x = own_x();
    for (int row = threadIdx.y; row < TILE_Y; row += GPUSTACK_THREADS_Y)
        if (x < width && top + row < height)
            sums[plane + (size_t)(top + row) * width + x] = blurred_down(window, taps.radius, taps, row);
}

// How well the ground fits what was seen of a veiled pixel, how much of it is bare, and the power of what the picture lacks.
ROOMY_PICTURE_KERNEL judge(const __grid_constant__ Beside beside, const __grid_constant__ Found found,
                           const float* __restrict__ sums, float strictness, float* __restrict__ fits,
                           float* __restrict__ bare, float* __restrict__ power) {
    const int x = own_x(), y = own_y(), channels = beside.channels;
    if (x >= beside.width || y >= beside.height) return;
    const size_t here = (size_t)y * beside.width + x, plane = (size_t)beside.height * beside.width;
    const float total = sums[channels * plane + here];
    float furthest = 0.0f, squares = 0.0f;
    for (int c = 0; c < channels; ++c) {
        const float more = lacking(beside, found, c, here);
        furthest = fmaxf(furthest, fabsf(sums[c * plane + here]));
        squares += more * more;
    }
    const bool veiled = found.side[here] == FRONT, known = veiled && total > 0.02f;
    fits[here] = known ? unit(2.0f - furthest / fmaxf(total, 0.01f) * strictness) : 0.0f;
    bare[here] = veiled ? 1.0f - found.cover[here] : 0.0f;
    power[here] = squares / (float)channels;
}

// The rows of the picture from `first` on, with what it lacks put in; `smoothing` and `taps` blur the fit and the power.
ROOMY_PICTURE_KERNEL put_in(const __grid_constant__ Beside beside, const __grid_constant__ Found found,
                            const float* __restrict__ fits, const float* __restrict__ power, float noise, int first,
                            float* __restrict__ out, int rows, const __grid_constant__ Taps smoothing,
                            const __grid_constant__ Taps taps) {
    __shared__ Window<REACH> fitting, strength;
    const int height = beside.height, width = beside.width, top = first + (int)blockIdx.y * TILE_Y, x = own_x();
    fill_window(fitting, smoothing.radius, top, height, width, [&](int y, int x) { return fits[(size_t)y * width + x]; });
    fill_window(strength, taps.radius, top, height, width, [&](int y, int x) { return power[(size_t)y * width + x]; });
    blur_across(fitting, smoothing.radius, smoothing);
    blur_across(strength, taps.radius, taps);
    for (int row = threadIdx.y; row < TILE_Y; row += GPUSTACK_THREADS_Y) {
        const int y = (int)blockIdx.y * TILE_Y + row;
        if (x >= width || y >= rows) return;
        const size_t here = (size_t)(first + y) * width + x;
        float share = 0.0f;
        if (found.side[here] == FRONT) {
            const float most = blurred_down(strength, taps.radius, taps, row);
            share = blurred_down(fitting, smoothing.radius, smoothing, row) * visible(found, here);
            share = share * fminf((1.0f - found.cover[here]) * 3.0f, 1.0f);
            share = share * (fmaxf(most - noise, 0.0f) / fmaxf(most, 1e-12f));
        }
        for (int c = 0; c < beside.channels; ++c) {
            const float before = picture_at(beside, c, here);
            const float better = share > 0.0f ? before + share * lacking(beside, found, c, here) : before;
            out[((size_t)c * rows + y) * width + x] = better;
        }
    }
}
