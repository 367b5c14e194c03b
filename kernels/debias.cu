// Taking the blur out of a mean of frames: its blur is known at every pixel, so what that blur takes away from another
// estimate of the sharp picture is added to the mean. One channel at a time: `begin`, five times `climb`, `unblur`; then for
// all of them `trust` and `improve`; `climb` smooths as well. Bytes a pixel and channel: 12 + 5 * 20 + 28; besides
// those 8c + 12. `misfit` tells the blur of one frame's distance.

#define TILE 32
#define REACH 6  // the largest radius: ceil(3 sigma) for sigma 2
#define PATCH (TILE + 2 * REACH)
#define RUNGS 6
#define RADII 32

// Variances at which a blur is worked out, and 1 / (the next one - this one).
struct Ladder {
    float variance[RUNGS], slope[RUNGS];
};

__device__ __forceinline__ float unit(float value) { return fminf(fmaxf(value, 0.0f), 1.0f); }
__device__ __forceinline__ float root(float value) { return sqrtf(fmaxf(value, 0.0f)); }

// The lowest rung, and what is blurred by nothing so far: a picture's values, or their squares.
PICTURE_KERNEL begin(const float* __restrict__ plane, int squared, float* __restrict__ rung, float* __restrict__ alike,
                     int height, int width) {
    const int x = own_x(), y = own_y();
    if (x >= width || y >= height) return;
    const size_t here = (size_t)y * width + x;
    const float value = squared ? plane[here] * plane[here] : plane[here];
    rung[here] = value;
    if (alike) alike[here] = value;
}

// From one rung to the next, by a small blur along x and then along y. `alike` (null: a blur and no more) goes along as far
// as the variance at each pixel, spread * scale, reaches: linearly between `low` and the next rung's variance.
PICTURE_KERNEL climb(const float* __restrict__ below, float* __restrict__ above, int height, int width,
                     const __grid_constant__ Taps taps, const float* __restrict__ spread, float scale, float low,
                     float slope, float most, float* __restrict__ alike) {
    __shared__ float patch[PATCH][PATCH], lines[PATCH][TILE];
    const int reach = taps.radius, side = TILE + 2 * reach;
    const int left = (int)blockIdx.x * TILE - reach, top = (int)blockIdx.y * TILE - reach;
    for (int r = threadIdx.y; r < side; r += GPUSTACK_THREADS_Y) {
        const float* line = below + (size_t)mirror(top + r, height) * width;
        for (int c = threadIdx.x; c < side; c += GPUSTACK_THREADS_X) patch[r][c] = line[mirror(left + c, width)];
    }
    __syncthreads();
    for (int r = threadIdx.y; r < side; r += GPUSTACK_THREADS_Y) {
        const float* at = &patch[r][threadIdx.x + reach];
        float sum = taps.tap[0] * at[0];
        for (int k = 1; k <= reach; ++k) sum += taps.tap[k] * (at[-k] + at[k]);
        lines[r][threadIdx.x] = sum;
    }
    __syncthreads();
    const int x = own_x();
    for (int r = threadIdx.y; r < TILE; r += GPUSTACK_THREADS_Y) {
        const int y = (int)blockIdx.y * TILE + r, middle = r + reach;
        if (x >= width || y >= height) return;
        const size_t here = (size_t)y * width + x;
        float sum = taps.tap[0] * lines[middle][threadIdx.x];
        for (int k = 1; k <= reach; ++k)
            sum += taps.tap[k] * (lines[middle - k][threadIdx.x] + lines[middle + k][threadIdx.x]);
        above[here] = sum;
        if (!alike) continue;
        const float part = unit((fminf(spread[here] * scale, most) - low) * slope);
        alike[here] += part * (sum - patch[middle][threadIdx.x + reach]);
    }
}

// One channel, coded: `lost` is what the mean's blur took away, `away` how far the mean is from the estimate blurred alike,
// `power` the mean over the channels of lost^2. `away` may be `alike`.
PICTURE_KERNEL unblur(const float* __restrict__ estimate, const float* __restrict__ mean, const float* alike, int squared,
                      int channel, int channels, float* __restrict__ lost, float* away, float* __restrict__ power,
                      int height, int width) {
    const int x = own_x(), y = own_y();
    if (x >= width || y >= height) return;
    const size_t here = (size_t)y * width + x;
    const float before = estimate[here], blurred = alike[here], light = squared ? before * before : before;
    const float whole = mean[here] + (light - blurred), coded = squared ? root(mean[here]) : mean[here];
    const float more = (squared ? root(whole) : whole) - coded;
    lost[here] = more;
    away[here] = coded - (squared ? root(blurred) : blurred);
    const float sum = channel ? power[here] + more * more : more * more;
    power[here] = channel == channels - 1 ? sum / (float)channels : sum;
}

// How much of what the blur took away is detail, by its mean square and that of noise.
__device__ __forceinline__ float detail_share(float power, float noise) {
    return fmaxf(power - noise, 0.0f) / fmaxf(power, 1e-12f);
}

// `apart`, smoothed, becomes less than nothing only where the estimate, smoothed (`base`), has a halo: where it is the
// brighter one, and `share` of how much brighter something within `reach` is would do. One channel.
PICTURE_KERNEL halo(const float* __restrict__ base, float* __restrict__ apart, int reach, float share, int height, int width) {
    __shared__ float patch[PATCH][PATCH], lines[PATCH][TILE];
    const int side = TILE + 2 * reach, left = (int)blockIdx.x * TILE - reach, top = (int)blockIdx.y * TILE - reach;
    for (int r = threadIdx.y; r < side; r += GPUSTACK_THREADS_Y) {
        const float* line = base + (size_t)mirror(top + r, height) * width;
        for (int c = threadIdx.x; c < side; c += GPUSTACK_THREADS_X) patch[r][c] = line[mirror(left + c, width)];
    }
    __syncthreads();
    for (int r = threadIdx.y; r < side; r += GPUSTACK_THREADS_Y) {
        float most = patch[r][threadIdx.x];
        for (int k = 1; k <= 2 * reach; ++k) most = fmaxf(most, patch[r][threadIdx.x + k]);
        lines[r][threadIdx.x] = most;
    }
    __syncthreads();
    const int x = own_x();
    for (int r = threadIdx.y; r < TILE; r += GPUSTACK_THREADS_Y) {
        const int y = (int)blockIdx.y * TILE + r;
        if (x >= width || y >= height) return;
        float most = lines[r][threadIdx.x];
        for (int k = 1; k <= 2 * reach; ++k) most = fmaxf(most, lines[r + k][threadIdx.x]);
        const size_t here = (size_t)y * width + x;
        const float away = apart[here];
        if (-away > (most - patch[r + reach][threadIdx.x + reach]) * share) apart[here] = -away;
    }
}

// How far the mean is used, 0..1, before it is smoothed: `apart` holds what `halo` has left of each channel.
PICTURE_KERNEL trust(const float* __restrict__ apart, int channels, const float* __restrict__ strength, float noise,
                     const float* __restrict__ spread, float scale, float most, float distance, float width_of_blur,
                     float* __restrict__ out, int height, int width) {
    const int x = own_x(), y = own_y();
    if (x >= width || y >= height) return;
    const size_t here = (size_t)y * width + x, plane = (size_t)height * width;
    float furthest = apart[here];
    for (int c = 1; c < channels; ++c) furthest = fmaxf(furthest, apart[c * plane + here]);
    const float narrow = unit(2.0f - fminf(spread[here] * scale, most) * width_of_blur);
    out[here] = unit(2.0f - furthest * distance) * (1.0f - detail_share(strength[here], noise) * (1.0f - narrow));
}

// The rows of the estimate from `first` on, made better; z counts channels.
PICTURE_KERNEL improve(const float* __restrict__ estimate, int estimate_plane, const float* __restrict__ mean, int mean_plane,
                       const float* __restrict__ lost, const float* __restrict__ strength, const float* __restrict__ trust,
                       const float* __restrict__ spread, float noise, int squared, int height, int width, int first,
                       float* __restrict__ out, int rows) {
    const int x = own_x(), row = own_y();
    if (x >= width || row >= rows) return;
    const size_t here = (size_t)(first + row) * width + x, c = blockIdx.z;
    const float gain = detail_share(strength[here], noise);
    const float before = estimate[c * estimate_plane + here], light = mean[c * mean_plane + here];
    const float better = (squared ? root(light) : light) + lost[c * height * width + here] * gain;
    const float share = spread[here] == 0.0f ? 0.0f : trust[here];
    out[(c * rows + row) * width + x] = before + share * (better - before);
}

struct Fit {
    const float* mean;
    const float* depth;
    const float* variance;
    const float* energy;
    const unsigned short* frame;
    const float* rungs;  // (RUNGS, height, width)
    int mean_plane, channels, height, width, first, stride, columns;
    float widest, least;
    Ladder ladder;
    float scale[RADII];
};

// How far the mean is from the sharpest frames, blurred as if by the radius of this block; `count`: 1 where it is compared.
__device__ __forceinline__ double misfit_at(const Fit& fit, size_t here, int number) {
    const float variance = fit.variance[here], distance = (float)fit.frame[here] - fit.depth[here];
    const float excess = variance - distance * distance;
    if (!(excess > 0.0f && variance < fit.widest && fit.energy[here] > fit.least)) return 0.0;
    if (number == 0) return 1.0;
    const size_t plane = (size_t)fit.height * fit.width, mean_plane = fit.mean_plane;
    const float own = excess * fit.scale[number - 1], *at = fit.mean + here;
    float below = fit.rungs[here], alike = below;
    for (int rung = 1; rung < RUNGS; ++rung) {
        const float above = fit.rungs[rung * plane + here];
        alike += unit((own - fit.ladder.variance[rung - 1]) * fit.ladder.slope[rung - 1]) * (above - below);
        below = above;
    }
    const float mean = fit.channels < 3 ? at[0] : luma_of(at[0], at[mean_plane], at[2 * mean_plane]);
    const double away = mean - alike;
    return away * away;
}

// A block for every sampled row and every sum: the number of pixels, then the squared differences for each radius.
LINE_KERNEL misfit(const __grid_constant__ Fit fit, double* __restrict__ sums) {
    __shared__ double partly[GPUSTACK_THREADS];
    const int row = blockIdx.x / fit.columns, number = blockIdx.x % fit.columns, own = threadIdx.x;
    const size_t line = (size_t)(fit.first + row * fit.stride) * fit.width;
    double sum = 0.0;
    for (int x = own * fit.stride; x < fit.width; x += GPUSTACK_THREADS * fit.stride) sum += misfit_at(fit, line + x, number);
    partly[own] = sum;
    for (int half = GPUSTACK_THREADS / 2; half > 0; half /= 2) {
        __syncthreads();
        if (own < half) partly[own] += partly[own + half];
    }
    if (own == 0) sums[blockIdx.x] = partly[0];
}
