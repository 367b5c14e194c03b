// The ground put in beside nearer things (Backend.look_behind), as far as it fits what was seen and is more than noise. Bytes a
// pixel, of c channels: `compare` 16c + 13 in, 4c + 4 out; `judge` 24c + 17 in, 24 out; `lay_zone` 13 in, 8 out; `put_in` 4c + 9
// in, 4c out, and beside a step 12c + 16 in. Operations: a blur of 13 + 13 taps c + 1 times and four times more, each tap of the
// first 1.75 times for the halo.
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

// What the picture lacks of a channel: before the ground what the thing's frame shows, sharpened; on the ground's side the
// ground without its veil.
__device__ __forceinline__ float lacking(const Beside& beside, const Found& found, int c, size_t here) {
    const size_t at = (size_t)c * beside.height * beside.width + here;
    if (found.side[here] != FRONT) return coded_of(found.clear[at], beside.coded) - picture_at(beside, c, here);
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

// How well the ground fits what was seen of a veiled pixel, and of any; how much of it is bare; the power of what the picture
// lacks; and on the ground's side the power of the veil, and how much of it the picture is without.
ROOMY_PICTURE_KERNEL judge(const __grid_constant__ Beside beside, const __grid_constant__ Found found,
                           const float* __restrict__ sums, float strictness, float* __restrict__ fits,
                           float* __restrict__ trust, float* __restrict__ bare, float* __restrict__ power,
                           float* __restrict__ taken, float* __restrict__ veil) {
    const int x = own_x(), y = own_y(), channels = beside.channels;
    if (x >= beside.width || y >= beside.height) return;
    const size_t here = (size_t)y * beside.width + x, plane = (size_t)beside.height * beside.width;
    const bool veiled = found.side[here] == FRONT, ground = found.side[here] == GROUND;
    const float total = sums[channels * plane + here];
    float furthest = 0.0f, squares = 0.0f, shunned = 0.0f, whole = 0.0f;
    for (int c = 0; c < channels; ++c) {
        const float more = lacking(beside, found, c, here), back = back_at(beside, c, here);
        const float laid = back - coded_of(found.clear[c * plane + here], beside.coded);
        furthest = fmaxf(furthest, fabsf(sums[c * plane + here]));
        squares += more * more;
        shunned += laid * (back - picture_at(beside, c, here));
        whole += laid * laid;
    }
    const float own = total > 0.02f ? unit(2.0f - furthest / fmaxf(total, 0.01f) * strictness) : 0.0f;
    fits[here] = veiled ? own : 0.0f;
    trust[here] = own;
    bare[here] = veiled ? 1.0f - found.cover[here] : 0.0f;
    power[here] = squares / (float)channels;
    taken[here] = ground ? shunned / (float)channels : 0.0f;
    veil[here] = ground ? whole / (float)channels : 0.0f;
}

// Where the ground may be put in, 0..1: before it everywhere, on its own side where the picture shuns the veil, by shares from
// `none` on and `slope` steeply. Trust counts there only.
ROOMY_PICTURE_KERNEL lay_zone(const unsigned char* __restrict__ side, const float* __restrict__ taken,
                              const float* __restrict__ veil, float none, float slope, float* __restrict__ trust,
                              float* __restrict__ zone, int height, int width, const __grid_constant__ Taps taps) {
    __shared__ Window<REACH> part, whole;
    const int top = (int)blockIdx.y * TILE_Y, x = own_x();
    fill_window(part, taps.radius, top, height, width, [&](int y, int x) { return taken[(size_t)y * width + x]; });
    fill_window(whole, taps.radius, top, height, width, [&](int y, int x) { return veil[(size_t)y * width + x]; });
    blur_across(part, taps.radius, taps);
    blur_across(whole, taps.radius, taps);
    for (int row = threadIdx.y; row < TILE_Y; row += GPUSTACK_THREADS_Y) {
        const int y = top + row;
        if (x >= width || y >= height) return;
        const size_t here = (size_t)y * width + x;
        const float most = fmaxf(blurred_down(whole, taps.radius, taps, row), 1e-12f);
        const float share = blurred_down(part, taps.radius, taps, row) / most;
        const float own = side[here] == FRONT ? 1.0f : side[here] == GROUND ? unit((share - none) * slope) : 0.0f;
        zone[here] = own;
        trust[here] *= own;
    }
}

// The rows of the picture from `first` on, with what it lacks put in; `smoothing` and `taps` blur the trust and the power.
ROOMY_PICTURE_KERNEL put_in(const __grid_constant__ Beside beside, const __grid_constant__ Found found,
                            const float* __restrict__ trust, const float* __restrict__ zone, const float* __restrict__ power,
                            float noise, int first, float* __restrict__ out, int rows,
                            const __grid_constant__ Taps smoothing, const __grid_constant__ Taps taps) {
    __shared__ Window<REACH> trusted, strength;
    const int height = beside.height, width = beside.width, top = first + (int)blockIdx.y * TILE_Y, x = own_x();
    fill_window(trusted, smoothing.radius, top, height, width, [&](int y, int x) { return trust[(size_t)y * width + x]; });
    fill_window(strength, taps.radius, top, height, width, [&](int y, int x) { return power[(size_t)y * width + x]; });
    blur_across(trusted, smoothing.radius, smoothing);
    blur_across(strength, taps.radius, taps);
    for (int row = threadIdx.y; row < TILE_Y; row += GPUSTACK_THREADS_Y) {
        const int y = (int)blockIdx.y * TILE_Y + row;
        if (x >= width || y >= rows) return;
        const size_t here = (size_t)(first + y) * width + x;
        float share = 0.0f;
        if (found.side[here]) {
            const float most = blurred_down(strength, taps.radius, taps, row);
            share = blurred_down(trusted, smoothing.radius, smoothing, row) * visible(found, here) * zone[here];
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
