// What a nearer thing's blur lays over the ground, taken off (Backend.look_behind): spread by the radius of each pixel, linearly
// between rungs, by disks or by Gaussians of their variance. Blocks work on the rungs only that their pixels lie between: away
// from steps a value stays as it is. Bytes a pixel, of c channels: `block_light` 9 in, 4 out; `unveil` 12c + 25 in, 4c out;
// `refocus` 8c + 5 in, 4c out. Operations of a pixel beside a step, at most: 529 + 289 taps c times in `unveil`, and in the
// others two blurs of 35 + 35 taps, each tap of the first 3.1 times for the halo.
// With: window.cuh, beside.cuh

#define RUNGS 9
#define SOFT_REACH 17  // ceil(3 DISK_RADII[-1] / 2)
#define DISK_REACH 11  // of the largest disk

// The radii, and the Gaussian of each; of the first, 0, it is nothing.
struct Softly {
    float radius[RUNGS];
    Taps taps[RUNGS];
};

// The radii; the pixels that each disk reaches on every side, and where its taps begin.
struct Disks {
    float radius[RUNGS];
    int reach[RUNGS], start[RUNGS];
};

// How much a rung counts for a radius.
__device__ __forceinline__ float share_of(const float* radii, int rung, float radius) {
    float share = 1.0f;
    if (rung) share = fminf(share, (radius - radii[rung - 1]) / (radii[rung] - radii[rung - 1]));
    if (rung + 1 < RUNGS) share = fminf(share, (radii[rung + 1] - radius) / (radii[rung + 1] - radii[rung]));
    return fmaxf(share, 0.0f);
}

// Whether any radius from `span.least` to `span.most` has a share in a rung.
__device__ __forceinline__ bool needed(const float* radii, int rung, const Span& span) {
    const bool below = rung + 1 < RUNGS && !(__int_as_float(span.least) < radii[rung + 1]);
    return !below && __int_as_float(span.most) > radii[rung - 1];
}

// The smallest and the largest radius of a block's pixels that are spread at all.
__device__ __forceinline__ void span_of(Span& span, const float* __restrict__ disk, int height, int width) {
    begin_span(span);
    const int x = own_x();
    for (int row = threadIdx.y; row < TILE_Y; row += GPUSTACK_THREADS_Y) {
        const int y = (int)blockIdx.y * TILE_Y + row;
        if (x >= width || y >= height) break;
        const float radius = disk[(size_t)y * width + x];
        if (radius > 0.0f) widen_span(span, radius);
    }
    __syncthreads();
}

struct Soft {
    Window<SOFT_REACH> window;
    float sum[TILE_Y][TILE_X];
    Span span;
};

// Into `work.sum`: what `value(y, x)` gives, spread by Gaussians; all threads must come here.
template <typename Value>
__device__ __forceinline__ void spread_softly(Soft& work, const Softly& by, const float* __restrict__ disk, int height,
                                              int width, Value value) {
    const int x = own_x(), top = (int)blockIdx.y * TILE_Y;
    span_of(work.span, disk, height, width);
    for (int row = threadIdx.y; row < TILE_Y; row += GPUSTACK_THREADS_Y) {
        const int y = top + row;
        if (x >= width || y >= height) break;
        work.sum[row][threadIdx.x] = share_of(by.radius, 0, disk[(size_t)y * width + x]) * value(y, x);
    }
    if (work.span.most == 0) return;
    fill_window(work.window, SOFT_REACH, top, height, width, value);
    for (int rung = 1; rung < RUNGS; ++rung) {
        if (!needed(by.radius, rung, work.span)) continue;
        blur_across(work.window, SOFT_REACH, by.taps[rung]);
        for (int row = threadIdx.y; row < TILE_Y; row += GPUSTACK_THREADS_Y) {
            const int y = top + row;
            if (x >= width || y >= height) break;
            const float share = share_of(by.radius, rung, disk[(size_t)y * width + x]);
            if (share > 0.0f)
                work.sum[row][threadIdx.x] += share * blurred_down(work.window, SOFT_REACH, by.taps[rung], row);
        }
        __syncthreads();
    }
}

// The share of the ground's light that the thing blocks, 0..1.
PICTURE_KERNEL block_light(const unsigned char* __restrict__ side, const float* __restrict__ disk,
                           const float* __restrict__ cover, float* __restrict__ blocked, int height, int width,
                           const __grid_constant__ Softly by) {
    __shared__ Soft work;
    spread_softly(work, by, disk, height, width, [&](int y, int x) {
        const size_t at = (size_t)y * width + x;
        return side[at] == FRONT ? cover[at] : 0.0f;
    });
    const int x = own_x();
    for (int row = threadIdx.y; row < TILE_Y; row += GPUSTACK_THREADS_Y) {
        const int y = (int)blockIdx.y * TILE_Y + row;
        if (x < width && y < height) blocked[(size_t)y * width + x] = fminf(work.sum[row][threadIdx.x], 1.0f);
    }
}

// The light of the ground as if nothing were before it: what the farther frame shows, less what the thing, cut out of its own
// frame and spread by disks, lays over it, over what the thing lets through. z counts channels.
ROOMY_PICTURE_KERNEL unveil(const __grid_constant__ Beside beside, const unsigned char* __restrict__ side,
                            const float* __restrict__ disk, const float* __restrict__ sums, const float* __restrict__ cover,
                            const float* __restrict__ blocked, float most_covered, const float* __restrict__ taps,
                            const __grid_constant__ Disks disks, float* __restrict__ clear) {
    __shared__ float patch[TILE_Y + 2 * DISK_REACH][TILE_X + 2 * DISK_REACH];
    __shared__ Span span;
    const int height = beside.height, width = beside.width, c = blockIdx.z, top = (int)blockIdx.y * TILE_Y, x = own_x();
    const auto cut_out = [&](int y, int x) {
        const size_t at = (size_t)y * width + x;
        if (side[at] != FRONT) return 0.0f;
        const float thing = light_of(front_at(beside, c, at), beside.coded) - plain_at(beside, sums, c, at);
        return thing * fminf(cover[at] * 10.0f, 1.0f);
    };
    span_of(span, disk, height, width);
    if (span.most > 0) {
        for (int r = threadIdx.y; r < TILE_Y + 2 * DISK_REACH; r += GPUSTACK_THREADS_Y)
            for (int k = threadIdx.x; k < TILE_X + 2 * DISK_REACH; k += GPUSTACK_THREADS_X)
                patch[r][k] = cut_out(mirror(top - DISK_REACH + r, height),
                                      mirror((int)blockIdx.x * TILE_X - DISK_REACH + k, width));
    }
    __syncthreads();
    for (int row = threadIdx.y; row < TILE_Y; row += GPUSTACK_THREADS_Y) {
        const int y = top + row;
        if (x >= width || y >= height) return;
        const size_t here = (size_t)y * width + x;
        const float radius = disk[here];
        float veil = share_of(disks.radius, 0, radius) * cut_out(y, x);
        for (int rung = 1; rung < RUNGS && radius > 0.0f; ++rung) {
            const float share = share_of(disks.radius, rung, radius);
            if (!(share > 0.0f)) continue;
            const int reach = disks.reach[rung];
            const float* tap = taps + disks.start[rung];
            float sum = 0.0f;
            for (int i = -reach; i <= reach; ++i)
                for (int j = -reach; j <= reach; ++j)
                    sum += *tap++ * patch[row + DISK_REACH + i][threadIdx.x + DISK_REACH + j];
            veil += share * sum;
        }
        const float plain = plain_at(beside, sums, c, here);
        const float seen = light_of(back_at(beside, c, here), beside.coded) - plain - veil;
        clear[(size_t)c * height * width + here] =
            fmaxf(seen / (1.0f - fminf(blocked[here], most_covered)) + plain, 0.0f);
    }
}

// The light of the ground as the nearer frame shows it: blurred by the distance; away from steps the picture's. z counts
// channels.
PICTURE_KERNEL refocus(const __grid_constant__ Beside beside, const unsigned char* __restrict__ side,
                       const float* __restrict__ disk, const float* __restrict__ clear, float* __restrict__ out,
                       const __grid_constant__ Softly by) {
    __shared__ Soft work;
    const int height = beside.height, width = beside.width, c = blockIdx.z;
    const size_t plane = (size_t)c * height * width;
    spread_softly(work, by, disk, height, width, [&](int y, int x) {
        const size_t at = (size_t)y * width + x;
        return side[at] ? clear[plane + at] : light_of(picture_at(beside, c, at), beside.coded);
    });
    const int x = own_x();
    for (int row = threadIdx.y; row < TILE_Y; row += GPUSTACK_THREADS_Y) {
        const int y = (int)blockIdx.y * TILE_Y + row;
        if (x < width && y < height) out[plane + (size_t)y * width + x] = work.sum[row][threadIdx.x];
    }
}
