// With: place.cuh
// Rows of the canvas resampled from a frame (h, w, c): bicubic (Keys, "Cubic convolution interpolation", 1981, a = -0.75) at
// float32 positions, the frame's edge repeated outside. Bytes a pixel: the frame's own (its neighbours come from the
// cache), and 4 a channel.

// The sample at a position already split into a whole pixel and weights.
__device__ __forceinline__ float sampled(const PIXEL* __restrict__ frame, int height, int width, int channels, int left,
                                         int top, const float* across, const float* down, float scale) {
    float sum = 0.0f;
#pragma unroll
    for (int j = 0; j < 4; ++j) {
        const PIXEL* line = frame + (size_t)clamped(top - 1 + j, height) * width * channels;
        float part = 0.0f;
#pragma unroll
        for (int i = 0; i < 4; ++i)
            part += (float)line[(size_t)clamped(left - 1 + i, width) * channels] * scale * across[i];
        sum += part * down[j];
    }
    return sum;
}

PICTURE_KERNEL warp_bicubic(const PIXEL* __restrict__ frame, int frame_height, int frame_width, int channels,
                            float* __restrict__ out, unsigned char* __restrict__ valid, int height, int width,
                            const __grid_constant__ Warp warp) {
    const int x = own_x(), y = own_y();
    if (x >= width || y >= height) return;
    const Position at = position(warp, x, warp.first_row + y);
    const float left = whole(at.x, frame_width), top = whole(at.y, frame_height);
    float across[4], down[4];
    cubic(fminf(fmaxf(at.x - left, 0.0f), 1.0f), across);
    cubic(fminf(fmaxf(at.y - top, 0.0f), 1.0f), down);
    const size_t here = (size_t)y * width + x, plane = (size_t)height * width;
    for (int c = 0; c < channels; ++c)
        out[c * plane + here] = sampled(frame + c, frame_height, frame_width, channels, (int)left, (int)top, across, down,
                                        warp.toning.scale[c]) +
                                warp.toning.offset[c];
    if (valid) valid[here] = covered(warp, at, frame_height, frame_width);
}
