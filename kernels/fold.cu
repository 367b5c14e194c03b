// What is kept of the frames, pixel by pixel: folding in, merging two runs, blending along a depth surface.
// With: part.cuh

// Fold a picture in by a given energy. Bytes a pixel as in level.cu.
ROOMY_PICTURE_KERNEL fold_in(const float* __restrict__ image, int image_plane, int channels, const float* __restrict__ energy,
                       const unsigned char* __restrict__ valid, int height, int width, const __grid_constant__ Part part) {
    const int x = own_x(), y = own_y();
    if (x >= width || y >= height) return;
    const size_t here = (size_t)y * width + x;
    const Admitted admitted = admit(part, here, energy[here], !valid || valid[here]);
    if (admitted.share == 0.0f) return;
    if (part.depth) {
        const float* at = image + here;
        const size_t plane = image_plane;
        spread_in(part, here, admitted, channels < 3 ? at[0] : luma_of(at[0], at[plane], at[2 * plane]));
    }
    for (int c = 0; c < channels; ++c)
        keep(part, (size_t)c * part.plane + here, image[(size_t)c * image_plane + here], admitted.share);
}

// Fold a picture in by how near its frame is to the depth surface: 1 / (1 + |depth - frame|).
ROOMY_PICTURE_KERNEL keep_nearest(const float* __restrict__ image, int image_plane, int channels,
                            const float* __restrict__ depth, const unsigned char* __restrict__ valid, int height, int width,
                            const __grid_constant__ Part part) {
    const int x = own_x(), y = own_y();
    if (x >= width || y >= height) return;
    const size_t here = (size_t)y * width + x;
    const float closeness = 1.0f / (1.0f + fabsf(depth[here] - (float)part.index));
    if (admit(part, here, closeness, !valid || valid[here]).share == 0.0f) return;
    for (int c = 0; c < channels; ++c)
        keep(part, (size_t)c * part.plane + here, image[(size_t)c * image_plane + here], 1.0f);
}

// Fold another run's winner into the part: larger energy wins, ties go to the lower frame.
__device__ __forceinline__ void merge_winner(const Part& part, const Part& other, size_t i, int channels, bool with_image) {
    const float mine = part.energy[i], theirs = other.energy[i];
    if (!(theirs > mine || (theirs == mine && other.frame[i] < part.frame[i]))) return;
    part.energy[i] = theirs;
    part.frame[i] = other.frame[i];
    if (part.depth) part.sharpest[i] = other.sharpest[i];
    if (!with_image || !part.kept || !other.kept) return;
    for (int c = 0; c < channels; ++c)
        part.kept[(size_t)c * part.plane + i] = other.kept[(size_t)c * other.plane + i];
}

// Mean and variance of the indices of two runs together, the other's having a share of the weight.
__device__ __forceinline__ void merge_spread(const Part& part, const Part& other, size_t i, float share) {
    const float away = other.depth[i] - part.depth[i], step = share * away, variance = part.variance[i];
    part.depth[i] += step;
    part.variance[i] = variance + (share * (other.variance[i] - variance) + step * away * (1.0f - share));
}

PICTURE_KERNEL merge(const __grid_constant__ Part part, const __grid_constant__ Part other, int channels, int height,
                     int width) {
    const int x = own_x(), y = own_y();
    if (x >= width || y >= height) return;
    const size_t here = (size_t)y * width + x;
    if (part.total) {
        const float a = above_noise(part, fmaxf(part.energy[here], 0.0f));
        const float b = above_noise(part, fmaxf(other.energy[here], 0.0f));
        const float mine = part.total[here] * weight_of(part, fminf(1.0f, a / b));
        const float theirs = other.total[here] * weight_of(part, fminf(1.0f, b / a));
        const float total = mine + theirs, share = theirs / fmaxf(total, 1e-30f);
        part.total[here] = total;
        for (int c = 0; c < channels; ++c) {
            const size_t i = (size_t)c * part.plane + here;
            part.kept[i] += share * (other.kept[(size_t)c * other.plane + here] - part.kept[i]);
        }
        if (part.depth) merge_spread(part, other, here, share);
    }
    merge_winner(part, other, here, channels, !part.total);
}

// Widen a range by another run's.
PICTURE_KERNEL merge_extent(PIXEL* __restrict__ low, PIXEL* __restrict__ high, const PIXEL* __restrict__ other_low,
                            const PIXEL* __restrict__ other_high, int height, int width) {
    const int x = own_x(), y = own_y();
    if (x >= width || y >= height) return;
    const size_t i = ((size_t)blockIdx.z * height + y) * width + x;
    if (other_low[i] < low[i]) low[i] = other_low[i];
    if (other_high[i] > high[i]) high[i] = other_high[i];
}

// Add a frame, weighted by how near the surface is: max(0, 1 - |depth - frame|). Bytes a pixel: 4, and where the weight is
// above 0, 12c + 8.
PICTURE_KERNEL blend_in(const float* __restrict__ image, int image_plane, int channels, const float* __restrict__ depth,
                        const unsigned char* __restrict__ valid, int height, int width, int frame, float* __restrict__ mean,
                        int mean_plane, float* __restrict__ total) {
    const int x = own_x(), y = own_y();
    if (x >= width || y >= height) return;
    const size_t here = (size_t)y * width + x;
    const float weight = fmaxf(0.0f, 1.0f - fabsf(depth[here] - (float)frame));
    if (weight == 0.0f || (valid && !valid[here])) return;
    total[here] += weight;
    for (int c = 0; c < channels; ++c)
        mean[(size_t)c * mean_plane + here] += image[(size_t)c * image_plane + here] * weight;
}

// target += other; z counts channels, the planes follow each other without a gap.
PICTURE_KERNEL add(float* __restrict__ target, const float* __restrict__ other, int height, int width) {
    const int x = own_x(), y = own_y();
    if (x >= width || y >= height) return;
    const size_t i = ((size_t)blockIdx.z * height + y) * width + x;
    target[i] += other[i];
}
