// Evening out the contrast of a band-passed plane for alignment: the energy of its cells (`energies`, then blur.cu's `blur`),
// what each cell is multiplied by (`gains`), and the plane times that (`even_out`). 8 bytes a pixel, and a quarter for cells.

// Mean square of blocks of `high` x `wide` pixels; a remainder is dropped.
PICTURE_KERNEL energies(const float* __restrict__ plane, int plane_width, int high, int wide, float* __restrict__ out,
                        int height, int width) {
    const int x = own_x(), y = own_y();
    if (x >= width || y >= height) return;
    float sum = 0.0f;
    for (int r = 0; r < high; ++r) {
        const float* line = plane + (size_t)(y * high + r) * plane_width + x * wide;
        for (int c = 0; c < wide; ++c) sum += line[c] * line[c];
    }
    out[(size_t)y * width + x] = sum / (float)(high * wide);
}

// From the energy of each cell and that of the whole plane: 1 / sqrt(1 + energy / whole), in place.
PICTURE_KERNEL gains(float* __restrict__ cells, float whole, int height, int width) {
    const int x = own_x(), y = own_y();
    if (x >= width || y >= height) return;
    const size_t at = (size_t)y * width + x;
    cells[at] = sqrtf(whole / (cells[at] + whole));
}

// Where a pixel lies between the middles of cells `step` pixels wide; beyond the outermost, in these.
struct Among {
    int before, after;
    float share;
};

__device__ __forceinline__ Among among(int pixel, int step, int count) {
    const float at = fminf(fmaxf(((float)pixel + 0.5f) / (float)step - 0.5f, 0.0f), (float)(count - 1));
    const int before = (int)at;
    return {before, min(before + 1, count - 1), at - (float)before};
}

// plane *= cells, linear between their middles.
PICTURE_KERNEL even_out(float* __restrict__ plane, const float* __restrict__ cells, int cells_height, int cells_width,
                        int high, int wide, int height, int width) {
    const int x = own_x(), y = own_y();
    if (x >= width || y >= height) return;
    const Among rows = among(y, high, cells_height), columns = among(x, wide, cells_width);
    const float* above = cells + (size_t)rows.before * cells_width;
    const float* below = cells + (size_t)rows.after * cells_width;
    const float near = above[columns.before] + (above[columns.after] - above[columns.before]) * columns.share;
    const float far = below[columns.before] + (below[columns.after] - below[columns.before]) * columns.share;
    plane[(size_t)y * width + x] *= near + (far - near) * rows.share;
}
