// What every kernel shares. Sources are compiled as one text (defines, this file, the stage's file), never by #include:
// CuPy's compile cache does not see included files. Pictures are planar float32: element (c, y, x) lies at
// c * plane + y * width + x. The host passes int and float, and double where a kernel says so.

#define GPUSTACK_THREADS_X 32
#define GPUSTACK_THREADS_Y 8
#define GPUSTACK_THREADS 256
#define PICTURE_KERNEL extern "C" __global__ void __launch_bounds__(GPUSTACK_THREADS_X* GPUSTACK_THREADS_Y)
#define LINE_KERNEL extern "C" __global__ void __launch_bounds__(GPUSTACK_THREADS)
// The same for kernels that the compiler would give too few registers: two blocks at a time leave it 128.
#define ROOMY_PICTURE_KERNEL extern "C" __global__ void __launch_bounds__(GPUSTACK_THREADS_X* GPUSTACK_THREADS_Y, 2)
#define ROOMY_LINE_KERNEL extern "C" __global__ void __launch_bounds__(GPUSTACK_THREADS, 2)

// Half of a symmetric blur: tap[0] is the middle one. A struct by value, __grid_constant__ so that it stays in constant
// memory when it is indexed.
struct Taps {
    int radius;
    float tap[18];
};

// Mirror an index into 0..length-1 without repeating the edge: -1 -> 1, length -> length - 2, as OpenCV's BORDER_REFLECT_101.
__device__ __forceinline__ int mirror(int index, int length) {
    if (index >= 0 && index < length) return index;
    if (length == 1) return 0;
    const int period = 2 * (length - 1);
    int folded = index % period;
    if (folded < 0) folded += period;
    return folded < length ? folded : period - folded;
}

__device__ __forceinline__ int clamped(int index, int length) { return min(max(index, 0), length - 1); }

// The pixel of this thread in a picture kernel.
__device__ __forceinline__ int own_x() { return blockIdx.x * GPUSTACK_THREADS_X + threadIdx.x; }
__device__ __forceinline__ int own_y() { return blockIdx.y * GPUSTACK_THREADS_Y + threadIdx.y; }

// The number of this thread in its block, row by row.
__device__ __forceinline__ int own_thread() { return threadIdx.y * GPUSTACK_THREADS_X + threadIdx.x; }

// 0.299 R + 0.587 G + 0.114 B, in this order and without fused multiply-add.
__device__ __forceinline__ float luma_of(float red, float green, float blue) {
    return 0.299f * red + 0.587f * green + 0.114f * blue;
}

// The 5-tap binomial (1 4 6 4 1)/16 of `reduce`.
__device__ __forceinline__ float binomial(float a, float b, float c, float d, float e) {
    return 0.0625f * (a + e) + 0.25f * (b + d) + 0.375f * c;
}

// Keys' cubic weights, a = -0.75, at a fraction 0..1 ("Cubic convolution interpolation", 1981).
__device__ __forceinline__ void cubic(float t, float weight[4]) {
    const float a = -0.75f, before = t + 1.0f, after = 1.0f - t;
    weight[0] = ((a * before - 5.0f * a) * before + 8.0f * a) * before - 4.0f * a;
    weight[1] = ((a + 2.0f) * t - (a + 3.0f)) * t * t + 1.0f;
    weight[2] = ((a + 2.0f) * after - (a + 3.0f)) * after * after + 1.0f;
    weight[3] = 1.0f - weight[0] - weight[1] - weight[2];
}

// A sample of a float picture as an integer of the frames' dtype: rounded half to even and clamped; floats pass.
__device__ __forceinline__ PIXEL to_pixel(float value, float white) {
#if PIXEL_IS_FLOAT
    return value;
#else
    return (PIXEL)min(max(rintf(value * white), 0.0f), white);
#endif
}
