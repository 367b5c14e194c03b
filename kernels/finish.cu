// The end of a run: sums to pictures, and pictures to the frames' dtype.

// out = sums / weights; where no weight was given, the nearest frame's value (`nearest` may be null). A weight below `least` is
// rounding: the surface is one frame away.
PICTURE_KERNEL blended(const float* __restrict__ sums, int sums_plane, const float* __restrict__ total,
                       const float* __restrict__ nearest, int nearest_plane, float least, float* __restrict__ out, int height,
                       int width) {
    const int x = own_x(), y = own_y();
    if (x >= width || y >= height) return;
    const size_t here = (size_t)y * width + x, c = blockIdx.z;
    const float weight = total[here];
    const float mean = sums[c * sums_plane + here] / fmaxf(weight, least);
    out[c * height * width + here] = nearest && weight < least ? nearest[c * nearest_plane + here] : mean;
}

// Image (c, h, w) to (h, w, c) of the frames' dtype: scaled, rounded half to even, and clamped to the range that was seen (`low`
// null: to the dtype's). Where no frame was seen the range is empty, and the value 0.
ROOMY_PICTURE_KERNEL pack(const float* __restrict__ image, int image_plane, int channels, const PIXEL* __restrict__ low,
                    const PIXEL* __restrict__ high, int extent_plane, float white, PIXEL* __restrict__ out, int height,
                    int width) {
    const int x = own_x(), y = own_y();
    if (x >= width || y >= height) return;
    const size_t here = (size_t)y * width + x;
    for (int c = 0; c < channels; ++c) {
        PIXEL value = to_pixel(image[(size_t)c * image_plane + here], white);
        if (low) {
            const PIXEL least = low[(size_t)c * extent_plane + here], most = high[(size_t)c * extent_plane + here];
            if (value < least) value = least;
            if (value > most) value = most;
            if (least > most) value = 0;
        }
        out[here * channels + c] = value;
    }
}

// Clamp an image to the range that was seen, in place; where that is empty the value is 0.
PICTURE_KERNEL clamp_to(float* __restrict__ image, int image_plane, const PIXEL* __restrict__ low,
                        const PIXEL* __restrict__ high, int extent_plane, float unit, int height, int width) {
    const int x = own_x(), y = own_y();
    if (x >= width || y >= height) return;
    const size_t here = (size_t)y * width + x, c = blockIdx.z;
    const PIXEL least = low[c * extent_plane + here], most = high[c * extent_plane + here];
    float* value = image + (c * image_plane + here);
    *value = least > most ? 0.0f : fminf(fmaxf(*value, (float)least * unit), (float)most * unit);
}

// The range over 3 x 3 pixels, the edge repeated, for the rows from `first` on; empty where the pixel's own is.
ROOMY_PICTURE_KERNEL around(const PIXEL* __restrict__ low, const PIXEL* __restrict__ high, int extent_plane, int height,
                            int width, int first, PIXEL* __restrict__ out_low, PIXEL* __restrict__ out_high,
                            int rows) {
    const int x = own_x(), row = own_y();
    if (x >= width || row >= rows) return;
    const size_t from = (size_t)blockIdx.z * extent_plane, to = ((size_t)blockIdx.z * rows + row) * width + x;
    const size_t own = from + (size_t)(first + row) * width + x;
    PIXEL least = low[own], most = high[own];
    if (!(least > most))
        for (int i = 0; i < 9; ++i) {
            const size_t line = from + (size_t)clamped(first + row - 1 + i / 3, height) * width;
            const int column = clamped(x - 1 + i % 3, width);
            const PIXEL below = low[line + column], above = high[line + column];
            if (below < least) least = below;
            if (above > most) most = above;
        }
    out_low[to] = least;
    out_high[to] = most;
}
