// Windows wider than shared memory holds (`--radius`): the steps of level.cu and measure.cu one by one, through planes in
// memory, in the same order of operations. The blur of a line reads 2 * radius + 1 values a pixel from the cache.
// With: expand.cuh

// The detail of a level: the image minus its expanded reduction; z counts channels.
PICTURE_KERNEL detail_of(const float* __restrict__ image, int image_plane, const float* __restrict__ coarse, int coarse_plane,
                         float* __restrict__ out, int out_plane, int height, int width) {
    const int x = own_x(), y = own_y();
    if (x >= width || y >= height) return;
    const size_t z = blockIdx.z, here = (size_t)y * width + x;
    const float up = expanded(coarse + z * coarse_plane, (height + 1) / 2, (width + 1) / 2, y, x);
    out[z * out_plane + here] = image[z * image_plane + here] - up;
}

// Squared luma of an image; alpha is ignored.
PICTURE_KERNEL power_of(const float* __restrict__ image, int image_plane, int channels, float* __restrict__ out, int height,
                        int width) {
    const int x = own_x(), y = own_y();
    if (x >= width || y >= height) return;
    const size_t here = (size_t)y * width + x, plane = image_plane;
    const float value =
        channels < 3 ? image[here] : luma_of(image[here], image[plane + here], image[2 * plane + here]);
    out[here] = value * value;
}

// Squared 4-neighbour Laplacian of a plane times `scale`.
PICTURE_KERNEL bend_of(const float* __restrict__ plane, float scale, float* __restrict__ out, int height, int width) {
    const int x = own_x(), y = own_y();
    if (x >= width || y >= height) return;
    const float* line = plane + (size_t)y * width;
    const float around = (plane[(size_t)mirror(y - 1, height) * width + x] + plane[(size_t)mirror(y + 1, height) * width + x]) +
                         (line[mirror(x - 1, width)] + line[mirror(x + 1, width)]);
    const float curved = (around - 4.0f * line[x]) * scale;
    out[(size_t)y * width + x] = curved * curved;
}

// A symmetric blur along x, or `down` along y; taps[0] is the middle one, taps[radius] the last.
PICTURE_KERNEL blur_line(const float* __restrict__ plane, const float* __restrict__ taps, int radius, int down,
                         float* __restrict__ out, int height, int width) {
    const int x = own_x(), y = own_y();
    if (x >= width || y >= height) return;
    const int at = down ? y : x, length = down ? height : width;
    const size_t step = down ? width : 1;
    const float* line = plane + (down ? (size_t)x : (size_t)y * width);
    float sum = taps[0] * line[at * step];
    for (int k = 1; k <= radius; ++k)
        sum += taps[k] * (line[mirror(at - k, length) * step] + line[mirror(at + k, length) * step]);
    out[(size_t)y * width + x] = sum;
}

// energy += trust * evidence
PICTURE_KERNEL heed(float* __restrict__ energy, const float* __restrict__ evidence, float trust, int height, int width) {
    const int x = own_x(), y = own_y();
    if (x >= width || y >= height) return;
    energy[(size_t)y * width + x] += trust * evidence[(size_t)y * width + x];
}

// Widen a range by a frame's values where it is valid; z counts channels.
PICTURE_KERNEL extend_by(const float* __restrict__ image, int image_plane, const unsigned char* __restrict__ valid, float white,
                         PIXEL* __restrict__ low, PIXEL* __restrict__ high, int extent_plane, int height, int width) {
    const int x = own_x(), y = own_y();
    if (x >= width || y >= height) return;
    const size_t here = (size_t)y * width + x, at = (size_t)blockIdx.z * extent_plane + here;
    if (valid && !valid[here]) return;
    const PIXEL rounded = to_pixel(image[(size_t)blockIdx.z * image_plane + here], white);
    if (rounded < low[at]) low[at] = rounded;
    if (rounded > high[at]) high[at] = rounded;
}
