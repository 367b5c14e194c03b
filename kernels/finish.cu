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
