// What alignment reads off a frame (h, w, c) as decoded and off its luma: the shrunk luma, the noise, a
// thumbnail, the light behind a luma, and the mean light.

// Luma 0..1 of one pixel of a frame; gray, and gray with alpha, have their value first.
__device__ __forceinline__ float frame_luma(const PIXEL* __restrict__ pixel, int channels, float scale) {
    if (channels < 3) return (float)pixel[0] * scale;
    return luma_of((float)pixel[0] * scale, (float)pixel[1] * scale, (float)pixel[2] * scale);
}

// Mean luma of blocks of `high` x `wide` pixels. A frame's bytes are read once from memory: neighbouring threads share
// the lines of the cache that they read. 4 bytes are written a block.
ROOMY_PICTURE_KERNEL survey_luma(const PIXEL* __restrict__ frame, int frame_width, int channels, float scale, int high,
                           int wide, float* __restrict__ out, int height, int width) {
    const int x = own_x(), y = own_y();
    if (x >= width || y >= height) return;
    float sum = 0.0f;
    for (int r = 0; r < high; ++r) {
        const PIXEL* pixel = frame + ((size_t)(y * high + r) * frame_width + x * wide) * channels;
        float line = 0.0f;
        for (int c = 0; c < wide; ++c) line += frame_luma(pixel + c * channels, channels, scale);
        sum += line;
    }
    out[(size_t)y * width + x] = sum / (float)(high * wide);
}

#define STRIP 32  // rows of a strip, and pixels of a block, in which noise is measured

// The sum of one value of each thread of a picture kernel, for thread 0.
__device__ __forceinline__ float block_sum(float value) {
    __shared__ float sums[GPUSTACK_THREADS];
    const int thread = own_thread();
    sums[thread] = value;
    __syncthreads();
    for (int reach = GPUSTACK_THREADS / 2; reach; reach /= 2) {
        if (thread < reach) sums[thread] += sums[thread + reach];
        __syncthreads();
    }
    return sums[0];
}

// Mean absolute response of Immerkaer's mask ("Fast noise variance estimation", CVIU 64, 1996) over blocks of `wide`
// pixels of a strip. blockIdx.y counts strips, which begin `step` rows apart and mirror at their own edges.
PICTURE_KERNEL noise(const PIXEL* __restrict__ frame, int height, int width, int channels, float scale, int step,
                     int wide, float* __restrict__ means) {
    __shared__ float luma[STRIP + 2][STRIP + 3];
    const int top = blockIdx.y * step, left = blockIdx.x * wide, rows = min(STRIP, height - top);
    for (int r = threadIdx.y; r < rows + 2; r += GPUSTACK_THREADS_Y) {
        const int y = top + mirror(r - 1, rows);
        for (int c = threadIdx.x; c < wide + 2; c += GPUSTACK_THREADS_X) {
            const size_t x = mirror(left + c - 1, width);
            luma[r][c] = frame_luma(frame + ((size_t)y * width + x) * channels, channels, scale);
        }
    }
    __syncthreads();
    float sum = 0.0f;
    const int c = threadIdx.x;
    for (int r = threadIdx.y; r < rows && c < wide; r += GPUSTACK_THREADS_Y) {
        const float* a = &luma[r][c];
        const float* b = &luma[r + 1][c];
        const float* d = &luma[r + 2][c];
        sum += fabsf(a[0] - 2.0f * a[1] + a[2] - 2.0f * b[0] + 4.0f * b[1] - 2.0f * b[2] + d[0] - 2.0f * d[1] + d[2]);
    }
    sum = block_sum(sum);
    if (own_thread() == 0) means[blockIdx.y * gridDim.x + blockIdx.x] = sum / (float)(rows * wide);
}

// Which pixels of a line an output pixel covers, and how much of each, as OpenCV's INTER_AREA has it: the first and the
// last in part, and not at all if that is less than a thousandth.
struct Span {
    int first, whole, end, last;  // first..whole-1 in part, whole..end-1, end..last-1 in part
    float before, inner, after;
};

__device__ __forceinline__ Span span(int index, double scale, int length) {
    const double from = index * scale, to = from + scale, cell = fmin(scale, length - from);
    const int end = min((int)floor(to), length - 1), whole = min((int)ceil(from), end);
    Span s;
    s.whole = whole;
    s.end = end;
    s.first = whole - from > 1e-3 ? whole - 1 : whole;
    s.last = to - end > 1e-3 ? end + 1 : end;
    s.before = (float)((whole - from) / cell);
    s.inner = (float)(1.0 / cell);
    s.after = (float)(fmin(fmin(to - end, 1.0), cell) / cell);
    return s;
}

__device__ __forceinline__ float share_of(const Span& s, int i) {
    return i < s.whole ? s.before : i < s.end ? s.inner : s.after;
}

// A plane shrunk by any factors >= 1. A row of threads makes one pixel, as the thumbnail is small and its pixels large.
ROOMY_PICTURE_KERNEL thumbnail(const float* __restrict__ plane, int plane_height, int plane_width, double scale_y,
                         double scale_x, float* __restrict__ out, int width) {
    __shared__ float sums[GPUSTACK_THREADS_Y][GPUSTACK_THREADS_X];
    const int x = blockIdx.x * GPUSTACK_THREADS_Y + threadIdx.y, y = blockIdx.y;
    const Span rows = span(y, scale_y, plane_height), columns = span(min(x, width - 1), scale_x, plane_width);
    float sum = 0.0f;
    for (int from_x = columns.first + (int)threadIdx.x; from_x < columns.last; from_x += GPUSTACK_THREADS_X) {
        float line = 0.0f;
        for (int from_y = rows.first; from_y < rows.last; ++from_y)
            line += plane[(size_t)from_y * plane_width + from_x] * share_of(rows, from_y);
        sum += line * share_of(columns, from_x);
    }
    sums[threadIdx.y][threadIdx.x] = sum;
    __syncthreads();
    if (threadIdx.x || x >= width) return;
    for (int i = 1; i < GPUSTACK_THREADS_X; ++i) sum += sums[threadIdx.y][i];
    out[(size_t)y * width + x] = sum;
}

// The light behind a value coded as sRGB: a cubic that is nearly its decoding, and needs no power.
__device__ __forceinline__ float light_of(float value) {
    return value * (value * (value * 0.305306011f + 0.682171111f) + 0.012522878f);
}

// A plane of coded values as light; below black there is none.
PICTURE_KERNEL to_light(const float* __restrict__ plane, float* __restrict__ out, int height, int width) {
    const int x = own_x(), y = own_y();
    if (x >= width || y >= height) return;
    const size_t at = (size_t)y * width + x;
    out[at] = light_of(fmaxf(plane[at], 0.0f));
}

// Mean light of one colour, blockIdx.z, over blocks of `high` x `wide` pixels of a frame; `linear` values are light already,
// and those from `burnt` on are infinite. A row of threads makes one block's, as in `thumbnail`.
ROOMY_PICTURE_KERNEL light(const PIXEL* __restrict__ frame, int frame_width, int channels, float scale, int linear,
                           float burnt, int high, int wide, float* __restrict__ out, int height, int width) {
    __shared__ float sums[GPUSTACK_THREADS_Y][GPUSTACK_THREADS_X];
    const int x = blockIdx.x * GPUSTACK_THREADS_Y + threadIdx.y, y = blockIdx.y, from = min(x, width - 1) * wide;
    float sum = 0.0f;
    for (int r = 0; r < high; ++r) {
        const PIXEL* line = frame + ((size_t)(y * high + r) * frame_width + from) * channels + blockIdx.z;
        for (int c = threadIdx.x; c < wide; c += GPUSTACK_THREADS_X) {
            const float value = fmaxf((float)line[c * channels] * scale, 0.0f);
            sum += value >= burnt ? 1.0f / 0.0f : linear ? value : light_of(value);
        }
    }
    sums[threadIdx.y][threadIdx.x] = sum;
    __syncthreads();
    if (threadIdx.x || x >= width) return;
    for (int i = 1; i < GPUSTACK_THREADS_X; ++i) sum += sums[threadIdx.y][i];
    out[((size_t)blockIdx.z * height + y) * width + x] = sum / (float)(high * wide);
}
