// With: place.cuh
// Rows of the canvas from a frame (h, w, c) of integers or floats, where the transform is a shift by whole pixels: values are
// copied exactly. Bytes a pixel: the frame's own, and 4 a channel.

// out (c, rows, width) = toned frame value; outside the frame its edge repeats. `valid` may be null: all are inside.
PICTURE_KERNEL load_shifted(const PIXEL* __restrict__ frame, int frame_height, int frame_width, int channels,
                            float* __restrict__ out, unsigned char* __restrict__ valid, int height, int width, int across,
                            int down, const __grid_constant__ Toning toning) {
    const int x = own_x(), y = own_y();
    if (x >= width || y >= height) return;
    const int from_x = clamped(x + across, frame_width), from_y = clamped(y + down, frame_height);
    const size_t here = (size_t)y * width + x, plane = (size_t)height * width;
    const PIXEL* pixel = frame + ((size_t)from_y * frame_width + from_x) * channels;
    for (int c = 0; c < channels; ++c) out[c * plane + here] = (float)pixel[c] * toning.scale[c] + toning.offset[c];
    if (valid) valid[here] = from_x == x + across && from_y == y + down ? 255 : 0;
}
